package longattn;

/** What went wrong, for a program to act on. */
public enum Status {
    /** The call did all that it should. */
    OK(0),
    /** An argument is outside its documented range, or two arguments contradict each other. */
    INVALID_ARGUMENT(1),
    /** Text is not valid UTF-8, or a string has a surrogate without its other half. */
    INVALID_UTF8(2),
    /** A setting's key or value is not one of the valid ones. */
    INVALID_SETTING(3),
    /** A file could not be read or written. */
    IO(4),
    /** The JSON of a selector is malformed. */
    INVALID_RECORD(5),
    /** A scorer package is missing, truncated, or contradicts itself. */
    INVALID_MODEL(6),
    /** A well-formed model or tokenizer of a kind that this version cannot use. */
    UNSUPPORTED(7),
    /** The native library or ONNX Runtime could not be found, loaded or started. */
    RUNTIME(8),
    /** The work would take more memory than the setting {@code memory_limit} allows. */
    MEMORY_LIMIT(9),
    /** The model gave NaN or infinite numbers, or such were given. */
    NON_FINITE(10),
    /** The text has too few tokens to be scored. */
    TOO_SHORT(11),
    /** The caller asked for the work to stop. */
    CANCELLED(12),
    /** A bug in the library. */
    INTERNAL(13),
    /** A status of a later version of the library. */
    UNKNOWN(-1);

    private final int code;

    Status(int code) {
        this.code = code;
    }

    /**
     * Whether what failed one window, with this status, would fail all others of the same length too. By this rule a job stops,
     * and rejects the window alone otherwise.
     *
     * @return whether it is fatal
     */
    public boolean isFatal() {
        Abi.load();
        return Abi.longattn_status_is_fatal(code) != 0;
    }

    static Status of(int code) {
        for (Status status : values()) {
            if (status.code == code) {
                return status;
            }
        }
        return UNKNOWN;
    }
}
