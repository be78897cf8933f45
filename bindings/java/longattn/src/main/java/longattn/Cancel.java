package longattn;

import com.sun.jna.Pointer;
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

    /** {@return whether {@link #request()} was called} */
    public boolean isRequested() {
        return use(cancel -> Abi.longattn_cancel_is_requested(cancel) != 0);
    }

    <T> T use(Function<Pointer, T> call) {
        return handle.use(call);
    }
}
