package longattn;

import com.sun.jna.Pointer;
import java.util.Iterator;
import java.util.NoSuchElementException;

/**
 * A finished selection: every window by category in the order of their bytes, and within a category the best first. It keeps
 * them in native memory, and makes each {@link Ranked} when it is asked for. After {@link #close()} its methods throw
 * {@link IllegalStateException}.
 */
public final class Ranking implements Iterable<Ranked>, AutoCloseable {
    private final Handle handle;

    Ranking(Pointer selection) {
        handle = Handle.of(this, selection, Abi::longattn_selection_free);
    }

    /** {@return the number of windows} */
    public long size() {
        return handle.use(Abi::longattn_selection_count);
    }

    /**
     * One window.
     *
     * @param index its place, from 0
     * @return the window
     * @throws LongAttnException with {@link Status#INVALID_ARGUMENT} where there is none
     */
    public Ranked get(long index) {
        try (Arena arena = new Arena()) {
            Pointer found = arena.allocate(Ranked.BYTES);
            return handle.use(selection -> {
                arena.check(Abi.longattn_selection_get(selection, index, found, arena.error));
                return new Ranked(found);
            });
        }
    }

    @Override
    public Iterator<Ranked> iterator() {
        long size = size();
        return new Iterator<>() {
            private long next = 0;

            @Override
            public boolean hasNext() {
                return next < size;
            }

            @Override
            public Ranked next() {
                if (!hasNext()) {
                    throw new NoSuchElementException();
                }
                return get(next++);
            }
        };
    }

    /** Closes the ranking; once more does nothing. */
    @Override
    public void close() {
        handle.close();
    }
}
