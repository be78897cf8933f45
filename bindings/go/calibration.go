package longattn

/*
#include "observer.h"

static longattn_status run_calibration(longattn_calibration *calibration, uintptr_t watcher, const longattn_cancel *cancel,
                                       longattn_text *json, longattn_error **error) {
    longattn_observer observer = observer_of(watcher);
    return longattn_calibration_run(calibration, &observer, cancel, json, error);
}
*/
import "C"

import (
	"context"
	"encoding/json"
)

// A Calibration finds out which of a model's layers to trust on a corpus, as `longattn calibrate` does: windows of every
// category are drawn, scored by all layers of the package, and compared with a truth that needs no labels. As a [Job] it owns
// its directory until it is closed, and goes on where it was stopped. Any number of goroutines may use it, one at a time.
type Calibration struct {
	// Observer watches the work. It must not be changed while a method runs.
	Observer Observer

	owned *owner[*C.longattn_calibration]
	turn  turn
}

// OpenCalibration opens a calibration on files and folders, or "-" for standard input, and on a directory for its results,
// which is made where it is missing. Nothing is scored yet. The options change the settings that the scorer was opened with;
// what scores depend on stays the scorer's. The scorer may be closed before the calibration is.
//
// It fails with ErrUnsupported for a package that does not tell its layers, or not what the setting truth asks for, and as
// [OpenJob] does.
func OpenCalibration(scorer *Scorer, inputs []string, directory string, options ...Option) (*Calibration, error) {
	var opened *C.longattn_calibration
	err := openWith(scorer, inputs, options, func(scorer *C.longattn_scorer, paths *C.longattn_path, count C.size_t,
		config *C.longattn_config) error {
		name, length := chars(directory)
		var failure *C.longattn_error
		C.longattn_calibration_open(scorer, paths, count, name, length, config, &opened, &failure)
		return take(failure)
	})
	if err != nil {
		return nil, err
	}
	calibration := &Calibration{turn: newTurn()}
	free := func(opened *C.longattn_calibration) { C.longattn_calibration_free(opened) }
	calibration.owned = own(calibration, "calibration in "+directory, opened, free)
	return calibration, nil
}

// Close lets others have the directory; results stay there. A method that is running ends as if nothing had happened, and lets
// go at its end. Later calls, Close among them, give [ErrClosed].
func (c *Calibration) Close() error { return c.owned.close() }

// Run scores what has no score yet, compares, and writes calibration.json and its chart. It gives what calibration.json holds,
// of which the key verdict has the layer and the settings to use.
//
// It fails with ErrInvalidArgument for a corpus that gives too few windows, and as [Job.Score] does.
func (c *Calibration) Run(ctx context.Context) (found json.RawMessage, err error) {
	err = watched(ctx, func(ctx context.Context, watcher *watcher) error {
		return c.owned.use(func(calibration *C.longattn_calibration) error {
			return c.turn.take(ctx, func() error {
				return watcher.watch(ctx, c.Observer, func(name C.uintptr_t, cancel *C.longattn_cancel) error {
					var text C.longattn_text
					var failure *C.longattn_error
					C.run_calibration(calibration, name, cancel, &text, &failure)
					if err := take(failure); err != nil {
						return err
					}
					found = json.RawMessage(takeText(&text))
					return nil
				})
			})
		})
	})
	return found, err
}
