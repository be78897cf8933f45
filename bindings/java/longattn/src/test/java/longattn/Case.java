package longattn;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/** The cases that every language's tests read, and where the tests find the project's files. */
public final class Case {
    public static final Path ROOT = Path.of(System.getProperty("longattn.root")).toAbsolutePath().normalize();
    public static final Path TINY = ROOT.resolve("tests/data/tiny/query-key");

    /** A package of several layers. */
    static final Path DEEP = ROOT.resolve("target/check-c/deep");
    public static final String SENTENCE = "It was a bright cold day in April, and the river ran high between its banks.";

    private Case() {}

    /** The rows of a file of cases, which are divided by tabs. */
    public static List<String[]> read(String file) {
        try {
            return Files.readAllLines(ROOT.resolve(file)).stream()
                    .filter(line -> !line.startsWith("#"))
                    .map(line -> line.split("\t", -1))
                    .collect(Collectors.toList());
        } catch (IOException failure) {
            throw new UncheckedIOException(failure);
        }
    }

    /** Settings such as {@code window=60 alpha=0}. */
    public static Map<String, String> settings(String text) {
        Map<String, String> settings = new LinkedHashMap<>();
        for (String setting : words(text)) {
            String[] parts = setting.split("=", 2);
            settings.put(parts[0], parts[1]);
        }
        return settings;
    }

    public static int[] ids(String text) {
        return Arrays.stream(words(text)).mapToInt(Integer::parseInt).toArray();
    }

    public static String[] words(String text) {
        return text.isBlank() ? new String[0] : text.trim().split(" +");
    }

    /** An empty path stays one. */
    public static Path packageOf(String name) {
        return name.isEmpty() ? Path.of("") : ROOT.resolve(name);
    }
}
