package longattn;

import com.sun.jna.Callback;
import com.sun.jna.CallbackReference;
import com.sun.jna.Native;
import com.sun.jna.Pointer;
import java.util.function.BiFunction;

/** A listener as the library calls it, and what it threw. To be kept for as long as the library may call it. */
final class Watcher {
    /** {@code longattn_observer}: three callbacks, the user's pointer, and four that are reserved. */
    private static final int OBSERVER_BYTES = 8 * Native.POINTER_SIZE;

    private final Cancel cancel;
    private final Abi.Progress progress;
    private final Abi.Reject reject;
    private final Abi.Notice notice;
    private volatile Throwable thrown;

    Watcher(JobListener listener, Cancel cancel) {
        this.cancel = cancel;
        progress = (told, userData) -> tell(() -> listener.progress(new JobProgress(told)));
        reject = (told, userData) -> tell(() -> listener.reject(new Reject(told)));
        notice = (told, length, userData) -> tell(() -> listener.notice(Arena.string(told, length)));
    }

    /** Makes a call with an observer and a token, and throws what the listener threw, or else what the call failed with. */
    void watch(Arena arena, BiFunction<Pointer, Pointer, Integer> call) {
        Pointer observer = observer(arena);
        int status = cancel.use(token -> call.apply(observer, token));
        try {
            arena.check(status);
        } finally {
            check();
        }
    }

    private Pointer observer(Arena arena) {
        Pointer observer = arena.allocate(OBSERVER_BYTES);
        Callback[] callbacks = {progress, reject, notice};
        for (int index = 0; index < callbacks.length; index++) {
            Pointer function = CallbackReference.getFunctionPointer(callbacks[index]);
            observer.setPointer((long) index * Native.POINTER_SIZE, function);
        }
        return observer;
    }

    /** Throws what the listener threw, if it did. */
    private void check() {
        if (thrown instanceof Error) {
            throw (Error) thrown;
        }
        if (thrown != null) {
            throw (RuntimeException) thrown;
        }
    }

    private void tell(Runnable call) {
        if (thrown != null) {
            return;
        }
        try {
            call.run();
        } catch (RuntimeException | Error failure) {
            // It must not reach the library.
            thrown = failure;
            cancel.request();
        }
    }
}
