package longattn;

import com.sun.jna.Pointer;

/** A record, a file or a window that could not be used. */
public final class Reject {
    private final String file;
    private final long line;
    private final String id;
    private final String reason;
    private final String record;

    Reject(Pointer reject) {
        file = text(reject, 0);
        line = reject.getLong(16);
        id = text(reject, 24);
        reason = text(reject, 40);
        record = text(reject, 56);
    }

    private static String text(Pointer reject, long offset) {
        Pointer bytes = reject.getPointer(offset);
        return bytes == null ? "" : Arena.string(bytes, reject.getLong(offset + 8));
    }

    /** {@return the input file, {@code -} for standard input} */
    public String file() {
        return file;
    }

    /** {@return the line or row, from 1; 0 where the whole file is meant} */
    public long line() {
        return line;
    }

    /** {@return the id of the record or window; empty where it is not known} */
    public String id() {
        return id;
    }

    /** {@return why it could not be used, and what to do about it} */
    public String reason() {
        return reason;
    }

    /** {@return the record as it was read, or its beginning} */
    public String record() {
        return record;
    }
}
