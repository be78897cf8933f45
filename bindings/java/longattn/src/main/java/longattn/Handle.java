package longattn;

import com.sun.jna.Pointer;
import java.lang.ref.Cleaner;
import java.util.function.Consumer;
import java.util.function.Function;

/**
 * A native object, to be freed once: when it was closed, or its owner is unreachable, and no call uses it any more. So no
 * call ever meets an object that is gone, and closing waits for none.
 */
final class Handle {
    private static final Cleaner CLEANER = Cleaner.create();

    private final String name;
    private final Pointer pointer;
    private final Consumer<Pointer> free;
    private boolean closed;
    private int users = 1;

    private Handle(String name, Pointer pointer, Consumer<Pointer> free) {
        this.name = name;
        this.pointer = pointer;
        this.free = free;
    }

    static Handle of(Object owner, Pointer pointer, Consumer<Pointer> free) {
        Handle handle = new Handle(owner.getClass().getSimpleName(), pointer, free);
        CLEANER.register(owner, handle::close);
        return handle;
    }

    <T> T use(Function<Pointer, T> call) {
        acquire();
        try {
            return call.apply(pointer);
        } finally {
            release();
        }
    }

    private synchronized void acquire() {
        if (closed) {
            throw new IllegalStateException("this " + name + " is closed");
        }
        users++;
    }

    private synchronized void release() {
        users--;
        if (users == 0) {
            free.accept(pointer);
        }
    }

    synchronized void close() {
        if (!closed) {
            closed = true;
            release();
        }
    }
}
