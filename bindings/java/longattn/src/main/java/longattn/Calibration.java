package longattn;

import com.sun.jna.Pointer;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.locks.Lock;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Finds out which of a model's layers to trust on a corpus, as {@code longattn calibrate} does: windows of every category are
 * drawn, scored by all layers of the package, and compared with a truth that needs no labels.
 *
 * <p>As a {@link Job} it owns its directory until it is closed, serves several threads one call at a time, heeds interrupts, and
 * goes on where it was stopped.
 */
public final class Calibration implements AutoCloseable {
    private final Handle handle;
    private final Lock lock = new ReentrantLock();

    private Calibration(Pointer calibration) {
        handle = Handle.of(this, calibration, Abi::longattn_calibration_free);
    }

    /**
     * Opens a calibration. Nothing is scored yet.
     *
     * @param scorer scores the windows; it may be closed before the calibration is
     * @param inputs files and folders, or {@code -} for standard input
     * @param directory where the results go, which is made where it is missing
     * @param settings those that are not to be as the scorer was opened with; what scores depend on stays the scorer's
     * @return the calibration
     * @throws LongAttnException with {@link Status#UNSUPPORTED} for a package that does not tell its layers, or not what the
     *     setting {@code truth} asks for, and as in {@link Job#open(Scorer, List, Path, Map)}
     */
    public static Calibration open(Scorer scorer, List<Path> inputs, Path directory, Map<String, String> settings) {
        try (Arena arena = new Arena()) {
            Pointer paths = arena.paths(inputs);
            byte[] result = Utf8.encode(directory.toString());
            Pointer config = scorer.config(settings, arena);
            return new Calibration(scorer.use(by -> arena.made(calibration -> Abi.longattn_calibration_open(
                    by, paths, inputs.size(), arena.copy(result), result.length, config, calibration, arena.error))));
        }
    }

    /**
     * Runs the calibration, unwatched.
     *
     * @return as in {@link #run(JobListener, Cancel)}
     * @throws InterruptedException where the thread is interrupted
     * @throws LongAttnException as in {@link #run(JobListener, Cancel)}
     */
    public String run() throws InterruptedException {
        return run(JobListener.NONE, new Cancel());
    }

    /**
     * Scores what has no score yet, compares, and writes {@code calibration.json} and its chart.
     *
     * @param listener watches it
     * @param cancel asks it to stop
     * @return what {@code calibration.json} holds, of which the key {@code verdict} has the layer and the settings to use
     * @throws InterruptedException where the thread is interrupted
     * @throws LongAttnException with {@link Status#INVALID_ARGUMENT} for a corpus that gives too few windows, and as in
     *     {@link Job#score(JobListener, Cancel)}
     */
    public String run(JobListener listener, Cancel cancel) throws InterruptedException {
        lock.lockInterruptibly();
        try {
            return Work.untilInterrupted(cancel, () -> runHere(listener, cancel));
        } finally {
            lock.unlock();
        }
    }

    private String runHere(JobListener listener, Cancel cancel) {
        Watcher watcher = new Watcher(listener, cancel);
        try (Arena arena = new Arena()) {
            return arena.textOf(json -> watcher.watch(arena, (observer, token) -> handle.use(
                    calibration -> Abi.longattn_calibration_run(calibration, observer, token, json, arena.error))));
        }
    }

    /** Lets others have the directory; results stay there. Once more does nothing. */
    @Override
    public void close() {
        handle.close();
    }
}
