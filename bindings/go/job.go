package longattn

/*
#include "observer.h"

static longattn_status run_job(longattn_job *job, uintptr_t watcher, const longattn_cancel *cancel,
                               longattn_summary *summary, longattn_error **error) {
    longattn_observer observer = observer_of(watcher);
    return longattn_job_run(job, &observer, cancel, summary, error);
}

static longattn_status score_job(longattn_job *job, uintptr_t watcher, const longattn_cancel *cancel,
                                 longattn_summary *summary, longattn_error **error) {
    longattn_observer observer = observer_of(watcher);
    return longattn_job_score(job, &observer, cancel, summary, error);
}

static longattn_status select_job(longattn_job *job, const longattn_config *config, uintptr_t watcher,
                                  const longattn_cancel *cancel, longattn_summary *summary, longattn_error **error) {
    longattn_observer observer = observer_of(watcher);
    return longattn_job_select(job, config, &observer, cancel, summary, error);
}
*/
import "C"

import (
	"context"
	"time"
)

// A Job is the whole work on a corpus: documents are read, cut into windows, scored and selected, and the results are
// written into a directory, as `longattn run` does it and with the same bytes. The process may be killed at any moment, and
// the work goes on where it was.
//
// Until it is closed it owns its directory, which no other job, of this process or another, can open. Any number of
// goroutines may use it, one at a time.
type Job struct {
	// Observer watches the work. It must not be changed while a method runs.
	Observer Observer

	owned *owner[*C.longattn_job]
	turn  turn
}

// A Summary is what a job has found, of all its calls together, those of earlier processes included, where nothing else is
// said.
type Summary struct {
	DocumentsWindowed uint64 // documents that gave at least one window
	DocumentsTooShort uint64 // documents with fewer tokens than a window
	RecordsRejected   uint64 // records that could not be used
	Duplicates        uint64 // of those, the records whose id was another document's
	FilesRejected     uint64 // files that could not be read to their end, of which nothing counts
	WindowsRejected   uint64 // windows that could not be scored
	LongestDocument   uint64 // its tokens

	Windows         uint64 // windows that have scores
	WindowsKnown    uint64 // of those, the windows whose scores are of an earlier call
	WindowsExact    uint64 // of those, the windows whose scores are exact; of an adaptive job alone
	WindowsSelected uint64 // windows that made the cut
	TokensSelected  uint64 // tokens of the windows that made the cut
	TokensScored    uint64 // tokens that went through the model

	RowsComputed      uint64 // rows of attention that were computed, of an adaptive job
	RowsOfExactScores uint64 // rows of attention that exact scores of all windows take, of an adaptive job

	Calls   uint64        // the calls that scored
	Elapsed time.Duration // time that the calls took
}

// A JobCategory tells what was selected of one category.
type JobCategory struct {
	Name     string
	Windows  uint64 // windows with scores
	Selected uint64 // those that made the cut
}

// OpenJob opens a job on files and folders, or "-" for standard input, and on a directory for its results, which is made
// where it is missing. Nothing is scored yet. The options change the settings that the scorer was opened with; what scores
// depend on stays the scorer's. The scorer may be closed before the job is.
//
// It fails with ErrIO where an input is missing, the directory cannot be written to, or another job is at work in it; with
// ErrInvalidArgument where the directory has results and the setting earlier_results is refuse, or where it is resume and
// the results depend on something that has changed; with ErrInvalidSetting, also where more than one cut is set; with
// ErrUnsupported for an adaptive job on a model that computes all rows in any case.
func OpenJob(scorer *Scorer, inputs []string, directory string, options ...Option) (*Job, error) {
	var opened *C.longattn_job
	err := openWith(scorer, inputs, options, func(scorer *C.longattn_scorer, paths *C.longattn_path, count C.size_t,
		config *C.longattn_config) error {
		name, length := chars(directory)
		var failure *C.longattn_error
		C.longattn_job_open(scorer, paths, count, name, length, config, &opened, &failure)
		return take(failure)
	})
	if err != nil {
		return nil, err
	}
	job := &Job{turn: newTurn()}
	job.owned = own(job, "job in "+directory, opened, func(opened *C.longattn_job) { C.longattn_job_free(opened) })
	return job, nil
}

// openWith opens something by a scorer, with its settings changed by the options.
func openWith(scorer *Scorer, inputs []string, options []Option, open func(*C.longattn_scorer, *C.longattn_path, C.size_t,
	*C.longattn_config) error) error {
	if scorer == nil {
		return invalidArgument("a job needs a scorer")
	}
	return scorer.owned.use(func(scorer *C.longattn_scorer) error {
		config := C.longattn_scorer_config(scorer)
		defer C.longattn_config_free(config)
		if err := set(config, options); err != nil {
			return err
		}
		return withPaths(inputs, func(paths *C.longattn_path, count C.size_t) error {
			return open(scorer, paths, count, config)
		})
	})
}

// Close lets others have the directory; results and what was scored stay there. A method that is running ends as if nothing
// had happened, and lets go at its end. Later calls, Close among them, give [ErrClosed].
func (j *Job) Close() error { return j.owned.close() }

// Run does everything: it scores what has no score yet, selects by the settings that the job was opened with, and writes the
// results. Where it fails, finished windows are kept: it may be called again, or the job opened again with the setting
// earlier_results at resume.
//
// It fails as [Job.Score] and [Job.Select] do.
func (j *Job) Run(ctx context.Context) (Summary, error) {
	return j.work(ctx, func(job *C.longattn_job, watcher C.uintptr_t, cancel *C.longattn_cancel, summary *C.longattn_summary,
		failure **C.longattn_error) error {
		C.run_job(job, watcher, cancel, summary, failure)
		return nil
	})
}

// Score scores what has no score yet, and writes no result but rejects.jsonl. It stops within a second of the context's end.
//
// A record, file or window that cannot be used is a reject, and the rest goes on. It fails with ErrInvalidRecord where the
// setting on_error is fail, and where there were nothing but rejects; with ErrCancelled; with ErrIO where the directory
// cannot be written to; and with what would befall every window: ErrRuntime, ErrMemoryLimit, ErrInvalidSetting.
func (j *Job) Score(ctx context.Context) (Summary, error) {
	return j.work(ctx, func(job *C.longattn_job, watcher C.uintptr_t, cancel *C.longattn_cancel, summary *C.longattn_summary,
		failure **C.longattn_error) error {
		C.score_job(job, watcher, cancel, summary, failure)
		return nil
	})
}

// Select selects, and writes selected.jsonl, scores.jsonl and the report; it scores first what has no score yet, and of an
// adaptive job what is in doubt. It may be called again with other options: nothing is scored twice.
//
// The options are alpha, standardize, mixed_lengths, confidence, and one of ratio, count, token_budget and threshold, the
// others having their defaults; without any option the settings are those that the job was opened with.
//
// It fails with ErrInvalidSetting where more than one cut is set, with ErrInvalidRecord where an input has changed since it
// was scored, with ErrInvalidArgument for windows that cannot be compared, and as [Job.Score] does.
func (j *Job) Select(ctx context.Context, options ...Option) (Summary, error) {
	return j.work(ctx, func(job *C.longattn_job, watcher C.uintptr_t, cancel *C.longattn_cancel, summary *C.longattn_summary,
		failure **C.longattn_error) error {
		var config *C.longattn_config
		if len(options) > 0 {
			made, err := newConfig(options)
			if err != nil {
				return err
			}
			defer C.longattn_config_free(made)
			config = made
		}
		C.select_job(job, config, watcher, cancel, summary, failure)
		return nil
	})
}

// Summary tells what became of everything so far.
func (j *Job) Summary() (summary Summary, err error) {
	err = j.alone(context.Background(), func(job *C.longattn_job) error {
		var found C.longattn_summary
		var failure *C.longattn_error
		C.longattn_job_summary(job, &found, &failure)
		summary = summaryOf(&found)
		return take(failure)
	})
	return summary, err
}

// Categories tells of the categories of the last selection, in the order of the bytes of their names.
func (j *Job) Categories() (categories []JobCategory, err error) {
	err = j.alone(context.Background(), func(job *C.longattn_job) error {
		for index := range C.longattn_job_category_count(job) {
			var found C.longattn_job_category
			C.longattn_job_category_get(job, index, &found, nil)
			categories = append(categories, JobCategory{
				Name:     goString(found.name, found.name_length),
				Windows:  uint64(found.windows),
				Selected: uint64(found.selected),
			})
		}
		return nil
	})
	return categories, err
}

// alone calls a function with the job when no other has it.
func (j *Job) alone(ctx context.Context, call func(*C.longattn_job) error) error {
	return j.owned.use(func(job *C.longattn_job) error {
		return j.turn.take(ctx, func() error { return call(job) })
	})
}

// work calls one of a job's steps in C under the eyes of its observer.
func (j *Job) work(ctx context.Context, step func(*C.longattn_job, C.uintptr_t, *C.longattn_cancel, *C.longattn_summary,
	**C.longattn_error) error) (summary Summary, err error) {
	err = watched(ctx, func(ctx context.Context, watcher *watcher) error {
		return j.alone(ctx, func(job *C.longattn_job) error {
			return watcher.watch(ctx, j.Observer, func(name C.uintptr_t, cancel *C.longattn_cancel) error {
				var found C.longattn_summary
				var failure *C.longattn_error
				if err := step(job, name, cancel, &found, &failure); err != nil {
					return err
				}
				summary = summaryOf(&found)
				return take(failure)
			})
		})
	})
	return summary, err
}

func summaryOf(summary *C.longattn_summary) Summary {
	return Summary{
		DocumentsWindowed: uint64(summary.documents_windowed),
		DocumentsTooShort: uint64(summary.documents_too_short),
		RecordsRejected:   uint64(summary.records_rejected),
		Duplicates:        uint64(summary.duplicates),
		FilesRejected:     uint64(summary.files_rejected),
		WindowsRejected:   uint64(summary.windows_rejected),
		LongestDocument:   uint64(summary.longest_document),
		Windows:           uint64(summary.windows),
		WindowsKnown:      uint64(summary.windows_known),
		WindowsExact:      uint64(summary.windows_exact),
		WindowsSelected:   uint64(summary.windows_selected),
		TokensSelected:    uint64(summary.tokens_selected),
		TokensScored:      uint64(summary.tokens_scored),
		RowsComputed:      uint64(summary.rows_computed),
		RowsOfExactScores: uint64(summary.rows_of_exact_scores),
		Calls:             uint64(summary.calls),
		Elapsed:           time.Duration(float64(summary.seconds) * float64(time.Second)),
	}
}
