package longattn;

/** What every call here fails with. Its message says what happened, where, and what to do about it. */
public final class LongAttnException extends RuntimeException {
    private static final long serialVersionUID = 1;

    /** What went wrong. */
    private final Status status;

    /**
     * Makes an exception.
     *
     * @param status what went wrong
     * @param message what happened, where, and what to do about it
     */
    public LongAttnException(Status status, String message) {
        super(message);
        this.status = status;
    }

    /** {@return what went wrong, for a program to act on} */
    public Status status() {
        return status;
    }
}
