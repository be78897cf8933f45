package longattn;

/** The tokens of a text, without special ones. */
public final class Tokens {
    private final int[] ids;
    private final int[] boundaries;

    Tokens(int[] ids, int[] boundaries) {
        this.ids = ids;
        this.boundaries = boundaries;
    }

    /** {@return the token ids, a copy} */
    public int[] ids() {
        return ids.clone();
    }

    /**
     * Where the tokens begin and end in the text's UTF-8: token {@code i} stands for the bytes from {@code boundaries[i]} up
     * to, not including, {@code boundaries[i + 1]}. They do not fall, and lie at character boundaries.
     *
     * @return one more than there are tokens, a copy
     */
    public int[] boundaries() {
        return boundaries.clone();
    }
}
