package longattn;

import com.sun.jna.Pointer;

/**
 * One window to score: a text, or token ids without special ones. What is longer than the setting {@code window} is cut
 * there.
 */
public final class Input {
    static final int BYTES = 32;

    private final byte[] text;
    private final int[] tokenIds;

    private Input(byte[] text, int[] tokenIds) {
        this.text = text;
        this.tokenIds = tokenIds;
    }

    /**
     * A text.
     *
     * @param text any text, also the empty one, which is too short to be scored
     * @return the input
     * @throws LongAttnException with {@link Status#INVALID_UTF8} for a surrogate without its other half
     */
    public static Input text(String text) {
        return utf8(Utf8.encode(text));
    }

    /**
     * A text in UTF-8.
     *
     * @param text the bytes, which must not change until they are scored
     * @return the input
     */
    public static Input utf8(byte[] text) {
        return new Input(text, null);
    }

    /**
     * Token ids.
     *
     * @param ids the ids, which must not change until they are scored
     * @return the input
     */
    public static Input tokens(int[] ids) {
        return new Input(null, ids);
    }

    void write(Pointer place, Arena arena) {
        if (text != null) {
            place.setPointer(0, arena.copy(text));
            place.setLong(8, text.length);
        } else {
            place.setPointer(16, arena.copy(tokenIds));
            place.setLong(24, tokenIds.length);
        }
    }
}
