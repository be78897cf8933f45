package longattn;

import com.sun.jna.Pointer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.locks.Lock;
import java.util.concurrent.locks.ReentrantLock;

/**
 * The whole work on a corpus: documents are read, cut into windows, scored and selected, and the results are written into a
 * directory, as {@code longattn run} does it and with the same bytes. The process may be killed at any moment, and the work
 * goes on where it was.
 *
 * <p>Until it is closed it owns its directory, which no other job, of this process or another, can open. Several threads may
 * use it, one call at a time. After {@link #close()} its methods throw {@link IllegalStateException}; a call that is under way
 * ends as if it had not been closed, and lets go of the directory at its end.
 *
 * <p>Interrupts are heeded within a second: the work is cancelled, and the method throws {@link InterruptedException}. Whatever
 * a method throws, finished windows are kept: it may be called again, or the job opened again with the setting
 * {@code earlier_results} at {@code resume}.
 */
public final class Job implements AutoCloseable {
    private final Handle handle;
    private final Lock lock = new ReentrantLock();

    private Job(Pointer job) {
        handle = Handle.of(this, job, Abi::longattn_job_free);
    }

    /**
     * Opens a job by the settings that the scorer was opened with.
     *
     * @param scorer as in {@link #open(Scorer, List, Path, Map)}
     * @param inputs as in {@link #open(Scorer, List, Path, Map)}
     * @param directory as in {@link #open(Scorer, List, Path, Map)}
     * @return the job
     * @throws LongAttnException as in {@link #open(Scorer, List, Path, Map)}
     */
    public static Job open(Scorer scorer, List<Path> inputs, Path directory) {
        return open(scorer, inputs, directory, Map.of());
    }

    /**
     * Opens a job. Nothing is scored yet.
     *
     * @param scorer scores the windows; it may be closed before the job is
     * @param inputs files and folders, or {@code -} for standard input
     * @param directory where the results go, which is made where it is missing
     * @param settings those that are not to be as the scorer was opened with; what scores depend on stays the scorer's
     * @return the job
     * @throws LongAttnException with {@link Status#IO} where an input is missing, the directory cannot be written to, or another
     *     job is at work in it; {@link Status#INVALID_ARGUMENT} where the directory has results and the setting
     *     {@code earlier_results} is {@code refuse}, or where it is {@code resume} and the results depend on something that has
     *     changed; {@link Status#INVALID_SETTING}, also where more than one cut is set; {@link Status#UNSUPPORTED} for an
     *     adaptive job on a model that computes all rows in any case
     */
    public static Job open(Scorer scorer, List<Path> inputs, Path directory, Map<String, String> settings) {
        try (Arena arena = new Arena()) {
            Pointer paths = arena.paths(inputs);
            byte[] result = Utf8.encode(directory.toString());
            Pointer config = scorer.config(settings, arena);
            return new Job(scorer.use(by -> arena.made(job -> Abi.longattn_job_open(
                    by, paths, inputs.size(), arena.copy(result), result.length, config, job, arena.error))));
        }
    }

    /**
     * Runs the job, unwatched.
     *
     * @return as in {@link #run(JobListener, Cancel)}
     * @throws InterruptedException where the thread is interrupted
     * @throws LongAttnException as in {@link #run(JobListener, Cancel)}
     */
    public Summary run() throws InterruptedException {
        return run(JobListener.NONE, new Cancel());
    }

    /**
     * Does everything: scores what has no score yet, selects by the settings that the job was opened with, and writes the
     * results.
     *
     * @param listener watches it
     * @param cancel asks it to stop
     * @return what was found
     * @throws InterruptedException where the thread is interrupted
     * @throws LongAttnException as in {@link #score(JobListener, Cancel)} and {@link #select(Map, JobListener, Cancel)}
     */
    public Summary run(JobListener listener, Cancel cancel) throws InterruptedException {
        return work(listener, cancel, Map.of(), (job, config, observer, token, summary, error) ->
                Abi.longattn_job_run(job, observer, token, summary, error));
    }

    /**
     * Scores what has no score yet, and writes no result but {@code rejects.jsonl}. A record, file or window that cannot be used
     * is a reject, and the rest goes on.
     *
     * @param listener watches it
     * @param cancel asks it to stop
     * @return what was found
     * @throws InterruptedException where the thread is interrupted
     * @throws LongAttnException with {@link Status#INVALID_RECORD} where the setting {@code on_error} is {@code fail}, and where
     *     there were nothing but rejects; {@link Status#CANCELLED}; {@link Status#IO} where the directory cannot be written to;
     *     and what would befall every window: {@link Status#RUNTIME}, {@link Status#MEMORY_LIMIT},
     *     {@link Status#INVALID_SETTING}
     */
    public Summary score(JobListener listener, Cancel cancel) throws InterruptedException {
        return work(listener, cancel, Map.of(), (job, config, observer, token, summary, error) ->
                Abi.longattn_job_score(job, observer, token, summary, error));
    }

    /**
     * Selects, unwatched.
     *
     * @param settings as in {@link #select(Map, JobListener, Cancel)}
     * @return as in {@link #select(Map, JobListener, Cancel)}
     * @throws InterruptedException where the thread is interrupted
     * @throws LongAttnException as in {@link #select(Map, JobListener, Cancel)}
     */
    public Summary select(Map<String, String> settings) throws InterruptedException {
        return select(settings, JobListener.NONE, new Cancel());
    }

    /**
     * Selects, and writes the results; scores first what has no score yet, and of an adaptive job what is in doubt. May be called
     * again with other settings: nothing is scored twice.
     *
     * @param settings {@code alpha}, {@code standardize}, {@code mixed_lengths}, {@code confidence}, and one of {@code ratio},
     *     {@code count}, {@code token_budget} and {@code threshold}, the others having their defaults; none for those that the
     *     job was opened with
     * @param listener watches it
     * @param cancel asks it to stop
     * @return what was found
     * @throws InterruptedException where the thread is interrupted
     * @throws LongAttnException with {@link Status#INVALID_SETTING} where more than one cut is set,
     *     {@link Status#INVALID_RECORD} where an input has changed since it was scored, {@link Status#INVALID_ARGUMENT} for
     *     windows that cannot be compared, and as in {@link #score(JobListener, Cancel)}
     */
    public Summary select(Map<String, String> settings, JobListener listener, Cancel cancel) throws InterruptedException {
        return work(listener, cancel, settings, Abi::longattn_job_select);
    }

    /** {@return what became of everything so far} */
    public Summary summary() {
        lock.lock();
        try (Arena arena = new Arena()) {
            Pointer summary = arena.allocate(Summary.BYTES);
            arena.check(handle.use(job -> Abi.longattn_job_summary(job, summary, arena.error)));
            return new Summary(summary);
        } finally {
            lock.unlock();
        }
    }

    /** {@return the categories of the last selection, in the order of the bytes of their names} */
    public List<JobCategory> categories() {
        lock.lock();
        try (Arena arena = new Arena()) {
            Pointer category = arena.allocate(JobCategory.BYTES);
            return handle.use(job -> {
                List<JobCategory> categories = new ArrayList<>();
                for (long index = 0; index < Abi.longattn_job_category_count(job); index++) {
                    arena.check(Abi.longattn_job_category_get(job, index, category, arena.error));
                    categories.add(new JobCategory(category));
                }
                return categories;
            });
        } finally {
            lock.unlock();
        }
    }

    /** Lets others have the directory; results and what was scored stay there. Once more does nothing. */
    @Override
    public void close() {
        handle.close();
    }

    /** One of the steps that the library knows. */
    private interface Step {
        int call(Pointer job, Pointer config, Pointer observer, Pointer cancel, Pointer summary, Pointer error);
    }

    private Summary work(JobListener listener, Cancel cancel, Map<String, String> settings, Step step)
            throws InterruptedException {
        lock.lockInterruptibly();
        try {
            return Work.untilInterrupted(cancel, () -> workHere(listener, cancel, settings, step));
        } finally {
            lock.unlock();
        }
    }

    private Summary workHere(JobListener listener, Cancel cancel, Map<String, String> settings, Step step) {
        Watcher watcher = new Watcher(listener, cancel);
        try (Arena arena = new Arena()) {
            Pointer config = settings.isEmpty() ? Pointer.NULL : arena.config(settings);
            Pointer summary = arena.allocate(Summary.BYTES);
            watcher.watch(arena, (observer, token) ->
                    handle.use(job -> step.call(job, config, observer, token, summary, arena.error)));
            return new Summary(summary);
        }
    }
}
