package longattn;

import com.sun.jna.Pointer;
import java.nio.charset.StandardCharsets;

/** One window of a document: which tokens and bytes of it, both without special tokens. */
public final class Window {
    static final int BYTES = 40;

    private final int tokenStart;
    private final int byteStart;
    private final int byteEnd;
    private final int[] tokenIds;

    Window(Pointer window) {
        tokenStart = (int) window.getLong(0);
        byteStart = (int) window.getLong(16);
        byteEnd = (int) window.getLong(24);
        tokenIds = window.getPointer(32).getIntArray(0, (int) window.getLong(8));
    }

    /** {@return the first token, as an index into the document's} */
    public int tokenStart() {
        return tokenStart;
    }

    /** {@return the first byte, as an offset into the document's UTF-8, at a character boundary} */
    public int byteStart() {
        return byteStart;
    }

    /** {@return the byte after the last} */
    public int byteEnd() {
        return byteEnd;
    }

    /** {@return the token ids, a copy} */
    public int[] tokenIds() {
        return tokenIds.clone();
    }

    /** {@return the window, to be scored} */
    public Input input() {
        return Input.tokens(tokenIds);
    }

    /**
     * The window's text.
     *
     * @param document the document in UTF-8
     * @return its part from {@link #byteStart()} to {@link #byteEnd()}
     */
    public String text(byte[] document) {
        return new String(document, byteStart, byteEnd - byteStart, StandardCharsets.UTF_8);
    }
}
