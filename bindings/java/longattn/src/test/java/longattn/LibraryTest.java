package longattn;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.lang.System.Logger.Level;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LibraryTest {
    /** What a process that prints the version, or why there is none, prints. */
    private static String printed(String classPath, String... options) throws Exception {
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        command.addAll(List.of(options));
        command.addAll(List.of("-cp", classPath, Version.class.getName()));
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        String printed = new String(process.getInputStream().readAllBytes());
        process.waitFor();
        return printed.trim();
    }

    static final class Version {
        public static void main(String[] arguments) {
            try {
                System.out.println(LongAttn.version());
            } catch (LongAttnException failure) {
                System.out.println(failure.status() + ": " + failure.getMessage());
            }
        }
    }

    private static final Path LIBRARY = Path.of(System.getProperty(Abi.LIBRARY_PROPERTY));

    @TempDir
    private Path directory;

    /** The class path, with none of the places in a jar where the library may be. */
    private String classPath() throws Exception {
        Path classes = Path.of(LongAttn.class.getProtectionDomain().getCodeSource().getLocation().toURI());
        Path alone = Files.createDirectories(directory.resolve("alone/longattn"));
        try (Stream<Path> files = Files.list(classes.resolve("longattn"))) {
            for (Path file : files.collect(Collectors.toList())) {
                Files.copy(file, alone.resolve(file.getFileName()), StandardCopyOption.REPLACE_EXISTING);
            }
        }
        return System.getProperty("java.class.path").replace(classes.toString(), alone.getParent().toString());
    }

    @Test
    void theLibraryIsFoundInEachPlace() throws Exception {
        String version = LongAttn.version();
        String classPath = classPath();
        String folder = LIBRARY.getParent().toString();
        Path inJar = directory.resolve(com.sun.jna.Platform.RESOURCE_PREFIX).resolve("liblongattn.so");
        Files.createDirectories(inJar.getParent());
        Files.copy(LIBRARY, inJar);
        assertEquals(version, printed(classPath, "-Dlongattn.library=" + LIBRARY));
        assertEquals(version, printed(classPath, "-Djava.library.path=" + folder));
        assertEquals(version, printed(classPath, "-Djna.library.path=" + folder));
        assertEquals(version, printed(directory + File.pathSeparator + classPath));
    }

    @Test
    void aMissingLibraryIsToldWithThePlaces() throws Exception {
        String classPath = classPath();
        String named = printed(classPath, "-Dlongattn.library=/no/such/file.so");
        assertTrue(named.startsWith("RUNTIME: ") && named.contains("/no/such/file.so"), named);
        String searched = printed(classPath, "-Djava.library.path=/no/such/folder", "-Djna.library.path=/nor/this");
        assertTrue(searched.startsWith("RUNTIME: "), searched);
        for (String place : List.of("/no/such/folder", "/nor/this", "-Dlongattn.library=", "loader")) {
            assertTrue(searched.contains(place), searched);
        }
    }

    @Test
    void settingsAreListed() {
        Setting window = Setting.all().get(0);
        assertEquals("window", window.key());
        assertEquals("32768", window.defaultValue());
        assertEquals("TOKENS", window.placeholder());
        assertTrue(window.valid().contains("whole number") && window.help().contains("window"));
        assertEquals("60", Setting.values(Map.of("window", "60")).get("window"));
        assertEquals("auto", Setting.values(Map.of()).get("alpha"));
    }

    @Test
    void messagesGoToTheLog() throws Exception {
        List<String> messages = Collections.synchronizedList(new ArrayList<>());
        LongAttn.setLog(Level.TRACE, (level, message) -> {
            messages.add(level + " " + message);
            throw new IllegalStateException("dropped");
        });
        // The tiny package was trained for fewer positions than this.
        try (Scorer scorer = Scorer.open(Case.TINY)) {
            scorer.scoreAll(List.of(Input.text(Case.SENTENCE.repeat(40))));
            assertTrue(messages.stream().anyMatch(message -> message.startsWith("WARNING windows of")), messages.toString());
        } finally {
            LongAttn.setLog(Level.OFF, (level, message) -> {});
        }
        int count = messages.size();
        try (Scorer scorer = Scorer.open(Case.TINY)) {
            scorer.score(Case.SENTENCE.repeat(40));
        }
        assertEquals(count, messages.size());
    }
}
