package longattn;

/**
 * Watches a {@link Job}, a {@link Calibration} or a selection from {@link Results}. Its methods are called on threads of the job,
 * one call at a time, and work waits for them: they must be quick, and must not use the job. Where one throws, the work is
 * cancelled, and the method of the job throws the same.
 */
public interface JobListener {
    /** One that looks away. */
    JobListener NONE = new JobListener() {};

    /**
     * The job went on. Called several times a second.
     *
     * @param progress how far it has come
     */
    default void progress(JobProgress progress) {}

    /**
     * A record, a file or a window could not be used. It has been written to {@code rejects.jsonl} already.
     *
     * @param reject which, and why
     */
    default void reject(Reject reject) {}

    /**
     * There is something that a user should know while the work goes on.
     *
     * @param notice a sentence
     */
    default void notice(String notice) {}
}
