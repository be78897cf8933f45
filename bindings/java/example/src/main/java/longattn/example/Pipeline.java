package longattn.example;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import longattn.LongAttnException;
import longattn.Score;
import longattn.Scorer;

/**
 * Scores windows with one scorer on many threads: reads JSON lines with {@code content}, as {@code longattn windows} writes
 * them, from standard input, and writes them with their scores, or with {@code error}, in the same order.
 */
public final class Pipeline {
    /** Lines that reading may run ahead of writing, for each thread. */
    private static final int AHEAD = 4;

    private static final ObjectMapper JSON = new ObjectMapper();

    private Pipeline() {}

    /**
     * Runs the program.
     *
     * @param arguments a scorer package, the length of a window, and the number of threads
     * @throws Exception where standard input cannot be read
     */
    public static void main(String[] arguments) throws Exception {
        if (arguments.length != 3) {
            System.err.println("Pipeline PACKAGE WINDOW THREADS < windows.jsonl > scores.jsonl");
            System.exit(2);
        }
        int threads = Integer.parseInt(arguments[2]);
        ExecutorService executor = Executors.newFixedThreadPool(threads);
        PrintStream output = new PrintStream(System.out, false, StandardCharsets.UTF_8);
        try (Scorer scorer = Scorer.open(Path.of(arguments[0]), Map.of("window", arguments[1]))) {
            BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
            Queue<Future<String>> scored = new ArrayDeque<>();
            for (String line = input.readLine(); line != null; line = input.readLine()) {
                String window = line;
                scored.add(executor.submit(() -> score(scorer, window)));
                if (scored.size() > AHEAD * threads) {
                    output.println(scored.remove().get());
                }
            }
            while (!scored.isEmpty()) {
                output.println(scored.remove().get());
            }
        } catch (LongAttnException failure) {
            System.err.println(failure.getMessage());
            System.exit(1);
        } catch (ExecutionException failure) {
            System.err.println(failure.getCause().getMessage());
            System.exit(1);
        } finally {
            executor.shutdownNow();
            output.flush();
        }
    }

    private static String score(Scorer scorer, String line) throws Exception {
        ObjectNode window = (ObjectNode) JSON.readTree(line);
        try {
            Score score = scorer.score(window.required("content").asText());
            window.put("token_count", score.tokenCount());
            window.put("dependency_strength", score.dependencyStrength());
            window.put("distribution_uniformity", score.distributionUniformity());
        } catch (LongAttnException failure) {
            window.put("error", failure.getMessage());
        }
        return JSON.writeValueAsString(window);
    }
}
