package longattn;

import com.sun.jna.Native;
import com.sun.jna.Pointer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** One row of the table of settings. */
public final class Setting {
    private final String key;
    private final String placeholder;
    private final String valid;
    private final String defaultValue;
    private final String help;

    private Setting(Pointer row) {
        key = text(row, 0);
        placeholder = text(row, 1);
        valid = text(row, 2);
        defaultValue = text(row, 3);
        help = text(row, 4);
    }

    private static String text(Pointer row, int field) {
        return row.getPointer((long) field * Native.POINTER_SIZE).getString(0, StandardCharsets.UTF_8.name());
    }

    /** {@return all settings that this version of the library knows} */
    public static List<Setting> all() {
        Abi.load();
        try (Arena arena = new Arena()) {
            Pointer row = arena.allocate(5L * Native.POINTER_SIZE);
            List<Setting> settings = new ArrayList<>();
            for (long index = 0; index < Abi.longattn_setting_count(); index++) {
                arena.check(Abi.longattn_setting_get(index, row, arena.error));
                settings.add(new Setting(row));
            }
            return settings;
        }
    }

    /**
     * The values of all settings where some are set, in the form of the library.
     *
     * @param settings those that are set
     * @return keys and values, in the order of the table
     * @throws LongAttnException with {@link Status#INVALID_SETTING} for a key or value that is not valid; the message
     *     lists what is
     */
    public static Map<String, String> values(Map<String, String> settings) {
        Abi.load();
        try (Arena arena = new Arena()) {
            return values(arena.config(settings));
        }
    }

    static Map<String, String> values(Pointer config) {
        Map<String, String> values = new LinkedHashMap<>();
        for (Setting setting : all()) {
            try (Arena arena = new Arena()) {
                byte[] key = Utf8.encode(setting.key);
                values.put(setting.key, arena.text(
                        text -> Abi.longattn_config_get(config, arena.copy(key), key.length, text, arena.error)));
            }
        }
        return values;
    }

    /** {@return the key, such as {@code min_distance}} */
    public String key() {
        return key;
    }

    /** {@return what a value stands for, in capitals, such as {@code TOKENS}} */
    public String placeholder() {
        return placeholder;
    }

    /** {@return which values are valid, in words} */
    public String valid() {
        return valid;
    }

    /** {@return the value where none is set} */
    public String defaultValue() {
        return defaultValue;
    }

    /** {@return one line of help} */
    public String help() {
        return help;
    }
}
