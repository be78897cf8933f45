package longattn;

import com.sun.jna.Pointer;
import java.time.Duration;
import java.util.function.Function;

/** Asks running work to stop. Once asked, it stays asked: use a new one for the next work. It need not be closed. */
public final class Cancel {
    private final Handle handle;

    /** Has not been asked yet. */
    public Cancel() {
        Abi.load();
        handle = Handle.of(this, Abi.longattn_cancel_new(), Abi::longattn_cancel_free);
    }

    /** Asks every call that was given this to stop, and does not wait for them. */
    public void request() {
        use(cancel -> {
            Abi.longattn_cancel_request(cancel);
            return null;
        });
    }

    /**
     * Asks the same when this much time has passed, in place of a time that was set before.
     *
     * @param fromNow how long the work may take; it ends within a second after that
     */
    public void setDeadline(Duration fromNow) {
        long milliseconds = Math.max(fromNow.toMillis(), 0);
        use(cancel -> {
            Abi.longattn_cancel_set_deadline(cancel, milliseconds);
            return null;
        });
    }

    /** {@return whether {@link #request()} was called, or the time of {@link #setDeadline(Duration)} has passed} */
    public boolean isRequested() {
        return use(cancel -> Abi.longattn_cancel_is_requested(cancel) != 0);
    }

    <T> T use(Function<Pointer, T> call) {
        return handle.use(call);
    }
}
