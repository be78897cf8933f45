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
     * The id of a window, by the rule of a job.
     *
     * @param document the document's id
     * @param number the window's number among the document's, from 0
     * @return the window's id
     */
    public static String windowId(String document, long number) {
        Abi.load();
        try (Arena arena = new Arena()) {
            byte[] bytes = Utf8.encode(document);
            return arena.text(id -> Abi.longattn_window_id(arena.copy(bytes), bytes.length, number, id, arena.error));
        }
    }

    /**
     * The category of an input whose documents name none, by the rule of a job: the name of a folder, or that of a file without
     * its extension and a suffix of compression.
     *
     * @param input the path of a file, or of a folder with a slash at its end; it need not be there
     * @return the category
     */
    public static String categoryOf(String input) {
        Abi.load();
        try (Arena arena = new Arena()) {
            byte[] bytes = Utf8.encode(input);
            return arena.text(category -> Abi.longattn_category_of(arena.copy(bytes), bytes.length, category, arena.error));
        }
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
