package longattn;

import com.sun.jna.Pointer;
import java.lang.System.Logger.Level;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.function.BiConsumer;

/** The library as a whole. */
public final class LongAttn {
    /** The numbers of the library's levels are the places. */
    private static final List<Level> LEVELS =
            List.of(Level.OFF, Level.ERROR, Level.WARNING, Level.INFO, Level.DEBUG, Level.TRACE);

    /** Kept for as long as the library may call it. */
    private static Abi.Log log;

    private LongAttn() {}

    /**
     * The version of the native library, such as {@code 0.1.0}.
     *
     * @return the version
     * @throws LongAttnException with {@link Status#RUNTIME} where the native library cannot be loaded: the message says where
     *     it was looked for
     */
    public static String version() {
        Abi.load();
        return Abi.longattn_version().getString(0, StandardCharsets.UTF_8.name());
    }

    /**
     * Sends the library's log messages of this process to {@code sink}, which replaces the one before. Without one nothing is
     * logged. When this returns, the one before is running nowhere.
     *
     * @param level the least of the levels that are logged; {@link Level#OFF} ends logging
     * @param sink is given each message, on whatever thread has something to say, from several at once; it must not use
     *     LongAttn, and what it throws is dropped. A {@code System.getLogger("longattn")::log} will do.
     */
    public static synchronized void setLog(Level level, BiConsumer<Level, String> sink) {
        Abi.load();
        Abi.Log next = (number, message, length, userData) -> {
            try {
                sink.accept(LEVELS.get(number), Arena.string(message, length));
            } catch (RuntimeException dropped) {
                // It must not reach the library.
            }
        };
        try (Arena arena = new Arena()) {
            int number = level == Level.ALL ? LEVELS.size() - 1 : LEVELS.indexOf(level);
            arena.check(Abi.longattn_log_set(next, Pointer.NULL, number, arena.error));
        }
        log = next;
    }
}
