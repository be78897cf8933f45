package longattn

/*
#include "observer.h"

static longattn_status select_results(const longattn_path *directories, size_t count, const char *output, size_t length,
                                      const longattn_config *config, uintptr_t watcher, const longattn_cancel *cancel,
                                      longattn_summary *summary, longattn_error **error) {
    longattn_observer observer = observer_of(watcher);
    return longattn_results_select(directories, count, output, length, config, &observer, cancel, summary, error);
}
*/
import "C"

import "context"

// SelectResults selects from the results of one job that has ended, or of the jobs on all shards of one corpus (the setting
// shard), in any order, as if one job had scored them: no model is needed. The output is the directory for what [Job.Run]
// would have written into its own, with the same bytes; it is made where it is missing, and may hold an earlier selection. The
// inputs must be where they were.
//
// The options are those of [Job.Select], output_format, output_shard_size, keep_fields, attributes and metrics, the others
// having their defaults.
//
// It fails with ErrInvalidArgument, with all of them named, for shards that are missing, were given twice, did not end, or
// were scored with other settings, packages or inputs than the rest; where the output holds something else; and for windows
// that cannot be compared. It fails with ErrInvalidSetting where more than one cut is set, with ErrInvalidRecord where an input
// has changed since it was scored, with ErrIO, and with ErrCancelled.
func SelectResults(ctx context.Context, directories []string, output string, observer Observer, options ...Option) (
	summary Summary, err error) {
	config, err := newConfig(options)
	if err != nil {
		return summary, err
	}
	defer C.longattn_config_free(config)
	err = watched(ctx, func(ctx context.Context, watcher *watcher) error {
		return watcher.watch(ctx, observer, func(name C.uintptr_t, cancel *C.longattn_cancel) error {
			return withPaths(directories, func(paths *C.longattn_path, count C.size_t) error {
				path, length := chars(output)
				var found C.longattn_summary
				var failure *C.longattn_error
				C.select_results(paths, count, path, length, config, name, cancel, &found, &failure)
				summary = summaryOf(&found)
				return take(failure)
			})
		})
	})
	return summary, err
}
