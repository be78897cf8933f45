package longattn;

import com.sun.jna.Pointer;

/** What was selected of one category. */
public final class JobCategory {
    static final int BYTES = 64;

    private final String name;
    private final long windows;
    private final long selected;

    JobCategory(Pointer category) {
        long length = category.getLong(8);
        name = length == 0 ? "" : Arena.string(category.getPointer(0), length);
        windows = category.getLong(16);
        selected = category.getLong(24);
    }

    /** {@return the category} */
    public String name() {
        return name;
    }

    /** {@return its windows with scores} */
    public long windows() {
        return windows;
    }

    /** {@return those that made the cut} */
    public long selected() {
        return selected;
    }
}
