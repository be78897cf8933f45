package longattn;

import java.nio.charset.StandardCharsets;

/** Strings to UTF-8, where Java itself would put a question mark for what has no form in it. */
final class Utf8 {
    private Utf8() {}

    static byte[] encode(String text) {
        long bytes = length(text);
        if (bytes > Integer.MAX_VALUE - 8) {
            throw new LongAttnException(Status.INVALID_ARGUMENT,
                    "a text of " + bytes + " bytes in UTF-8 is larger than any of Java's arrays: give it in parts");
        }
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static long length(String text) {
        long bytes = 0;
        for (int index = 0; index < text.length(); index++) {
            char unit = text.charAt(index);
            if (unit < 0x80) {
                bytes += 1;
            } else if (unit < 0x800) {
                bytes += 2;
            } else if (!Character.isSurrogate(unit)) {
                bytes += 3;
            } else if (isPair(text, index)) {
                bytes += 4;
                index++;
            } else {
                throw new LongAttnException(Status.INVALID_UTF8,
                        "the text has half a surrogate pair at index " + index + ", which has no form in UTF-8");
            }
        }
        return bytes;
    }

    private static boolean isPair(String text, int index) {
        return index + 1 < text.length() && Character.isSurrogatePair(text.charAt(index), text.charAt(index + 1));
    }
}
