package longattn;

import com.sun.jna.Pointer;

/** What became of one of many windows: a score, or why there is none. */
public final class Result {
    static final int BYTES = 16 + Score.BYTES;

    private final Status status;
    private final String message;
    private final Score score;

    Result(Pointer result, Arena arena) {
        status = Status.of(result.getInt(0));
        message = status == Status.OK ? "" : arena.message(result.getPointer(8));
        score = new Score(result.share(16));
    }

    /** {@return {@link Status#OK}, or why there is no score} */
    public Status status() {
        return status;
    }

    /** {@return why there is no score, for a person; empty where there is one} */
    public String message() {
        return message;
    }

    /**
     * The score.
     *
     * @return the score
     * @throws LongAttnException with the status and message of this result where there is none
     */
    public Score score() {
        if (status != Status.OK) {
            throw new LongAttnException(status, message);
        }
        return score;
    }
}
