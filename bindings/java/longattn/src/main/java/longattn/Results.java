package longattn;

import com.sun.jna.Pointer;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/**
 * Selects from the results of jobs that have ended: of one job, or of the jobs on all shards of one corpus (the setting
 * {@code shard}), as if one job had scored them. No model is needed.
 */
public final class Results {
    private Results() {}

    /**
     * Selects, unwatched.
     *
     * @param directories as in {@link #select(List, Path, Map, JobListener, Cancel)}
     * @param output as in {@link #select(List, Path, Map, JobListener, Cancel)}
     * @param settings as in {@link #select(List, Path, Map, JobListener, Cancel)}
     * @return as in {@link #select(List, Path, Map, JobListener, Cancel)}
     * @throws InterruptedException where the thread is interrupted
     * @throws LongAttnException as in {@link #select(List, Path, Map, JobListener, Cancel)}
     */
    public static Summary select(List<Path> directories, Path output, Map<String, String> settings)
            throws InterruptedException {
        return select(directories, output, settings, JobListener.NONE, new Cancel());
    }

    /**
     * Selects, and writes what {@link Job#run()} would have written into its own directory: the same bytes. The inputs must be
     * where they were.
     *
     * @param directories the result directories, in any order
     * @param output where the results go; it is made where it is missing, and may hold an earlier selection
     * @param settings those of {@link Job#select(Map)}, {@code output_format}, {@code output_shard_size}, {@code keep_fields},
     *     {@code attributes} and {@code metrics}, the others having their defaults
     * @param listener watches it
     * @param cancel asks it to stop
     * @return what was found
     * @throws InterruptedException where the thread is interrupted
     * @throws LongAttnException with {@link Status#INVALID_ARGUMENT}, all of them named, for shards that are missing, were given
     *     twice, did not end, or were scored with other settings, packages or inputs than the rest, where the output holds
     *     something else, and for windows that cannot be compared; with {@link Status#INVALID_SETTING} where more than one cut
     *     is set; with {@link Status#INVALID_RECORD} where an input has changed since it was scored; with {@link Status#IO}; and
     *     with {@link Status#CANCELLED}
     */
    public static Summary select(List<Path> directories, Path output, Map<String, String> settings, JobListener listener,
            Cancel cancel) throws InterruptedException {
        return Work.untilInterrupted(cancel, () -> {
            try (Arena arena = new Arena()) {
                Pointer paths = arena.paths(directories);
                byte[] result = Utf8.encode(output.toString());
                Pointer name = arena.copy(result);
                Pointer config = arena.config(settings);
                Pointer summary = arena.allocate(Summary.BYTES);
                new Watcher(listener, cancel).watch(arena, (observer, token) -> Abi.longattn_results_select(
                        paths, directories.size(), name, result.length, config, observer, token, summary, arena.error));
                return new Summary(summary);
            }
        });
    }
}
