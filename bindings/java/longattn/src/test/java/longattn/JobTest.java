package longattn;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class JobTest {
    private static final Map<String, String> RESUME = Map.of("earlier_results", "resume");

    private final Scorer scorer = Scorer.open(Case.TINY, Map.of("window", "50"));

    @TempDir
    private Path folder;

    @AfterEach
    void closeScorer() {
        scorer.close();
    }

    /** Documents of 120 tokens, which are three windows each, and two records that cannot be used. */
    private Path corpus(int documents) throws IOException {
        Random random = new Random(1);
        List<String> lines = new ArrayList<>();
        for (int number = 0; number < documents; number++) {
            StringBuilder text = new StringBuilder();
            random.ints(120, 'a', 'z' + 1).forEach(text::appendCodePoint);
            lines.add("{\"id\": \"d" + number + "\", \"text\": \"" + text + "\"}");
        }
        lines.addAll(List.of("no object", "{\"id\": \"empty\"}"));
        return Files.write(folder.resolve("corpus.jsonl"), lines);
    }

    private Job open(int documents, Map<String, String> settings) throws IOException {
        return Job.open(scorer, List.of(corpus(documents)), folder.resolve("result"), settings);
    }

    @Test
    void scoresAndSelectionAreWritten() throws Exception {
        List<String> rejects = new ArrayList<>();
        List<JobProgress> told = new ArrayList<>();
        JobListener listener = new JobListener() {
            @Override
            public void progress(JobProgress progress) {
                told.add(progress);
            }

            @Override
            public void reject(Reject reject) {
                rejects.add(reject.line() + reject.id() + ":" + reject.record());
                assertTrue(reject.file().endsWith("corpus.jsonl") && !reject.reason().isEmpty());
            }
        };
        try (Job job = open(12, Map.of())) {
            assertEquals(0, job.summary().windows());
            Summary summary = job.run(listener, new Cancel());
            assertEquals(36, summary.windows());
            assertEquals(9, summary.windowsSelected());
            assertEquals(2, summary.recordsRejected());
            assertEquals(1800, summary.tokensScored());
            assertEquals(120, summary.longestDocument());
            assertTrue(summary.elapsed().toNanos() > 0);
            assertEquals(9, job.summary().windowsSelected());
            assertEquals(1, job.categories().size());
            JobCategory category = job.categories().get(0);
            assertEquals("corpus", category.name());
            assertEquals(36, category.windows());
            assertEquals(9, category.selected());
        }
        assertEquals(List.of("13:no object", "14empty:{\"id\": \"empty\"}"), rejects);
        assertFalse(told.isEmpty());
        told.forEach(progress -> assertTrue(progress.done() <= progress.total().orElse(Long.MAX_VALUE)));
        assertEquals(9, Files.readAllLines(folder.resolve("result/selected.jsonl")).size());
    }

    @Test
    void anotherSelectionScoresNothing() throws Exception {
        try (Job job = open(12, Map.of())) {
            Summary scored = job.score(JobListener.NONE, new Cancel());
            Summary selected = job.select(Map.of("count", "4"));
            assertEquals(0, scored.windowsSelected());
            assertEquals(4, selected.windowsSelected());
            assertEquals(scored.tokensScored(), selected.tokensScored());
            assertEquals(9, job.select(Map.of()).windowsSelected());
            assertFails(Status.INVALID_SETTING, "only one of", () -> job.select(Map.of("count", "4", "ratio", "0.5")));
        }
    }

    @Test
    void aCancelledJobGoesOn() throws Exception {
        Cancel cancel = new Cancel();
        JobListener listener = new JobListener() {
            @Override
            public void progress(JobProgress progress) {
                if (progress.windows() > 3000) {
                    cancel.request();
                }
            }
        };
        try (Job job = open(4000, Map.of())) {
            assertFails(Status.CANCELLED, "cancelled", () -> job.run(listener, cancel));
        }
        assertFails(Status.INVALID_ARGUMENT, "has results already", () -> open(4000, Map.of()));
        try (Job job = open(4000, RESUME)) {
            Summary summary = job.run();
            assertEquals(12000, summary.windows());
            assertTrue(summary.windowsKnown() > 0 && summary.windowsKnown() < 12000);
            assertTrue(summary.tokensScored() >= 50 * (12000 - summary.windowsKnown()));
        }
    }

    @Test
    void anInterruptEndsTheWorkWithinASecond() throws Exception {
        StringBuilder text = new StringBuilder();
        new Random(1).ints(1 << 18, 'a', 'z' + 1).forEach(text::appendCodePoint);
        Path input = Files.writeString(folder.resolve("long.txt"), text);
        // One window, which takes far longer than the test waits.
        try (Scorer wide = Scorer.open(Case.TINY, Map.of("window", String.valueOf(1 << 18)));
                Job job = Job.open(wide, List.of(input), folder.resolve("result"))) {
            Thread worker = Thread.currentThread();
            Thread interrupter = new Thread(() -> {
                pause(Duration.ofMillis(500));
                worker.interrupt();
            });
            interrupter.start();
            long begun = System.nanoTime();
            assertThrows(InterruptedException.class, job::run);
            assertTrue(System.nanoTime() - begun < 1_500_000_000L);
            interrupter.join();
        }
    }

    @Test
    void aDeadlineEndsTheWork() throws Exception {
        Cancel cancel = new Cancel();
        cancel.setDeadline(Duration.ofMillis(-1));
        assertTrue(cancel.isRequested());
        try (Job job = open(12, Map.of())) {
            assertFails(Status.CANCELLED, "", () -> job.run(JobListener.NONE, cancel));
        }
    }

    private static void pause(Duration duration) {
        try {
            Thread.sleep(duration.toMillis());
        } catch (InterruptedException interrupt) {
            throw new AssertionError(interrupt);
        }
    }

    @Test
    void whatAListenerThrowsIsThrown() throws Exception {
        IllegalStateException thrown = new IllegalStateException("enough");
        JobListener listener = new JobListener() {
            @Override
            public void reject(Reject reject) {
                throw thrown;
            }
        };
        try (Job job = open(4000, Map.of())) {
            assertSame(thrown, assertThrows(IllegalStateException.class, () -> job.run(listener, new Cancel())));
            assertEquals(12000, job.run().windows());
        }
    }

    @Test
    void aDirectoryHasOneOwner() throws Exception {
        Job closed;
        try (Job job = open(12, Map.of())) {
            closed = job;
            assertFails(Status.IO, "at work in", () -> open(12, Map.of("earlier_results", "overwrite")));
            scorer.close();
            assertEquals(36, job.run().windows());
        }
        assertThrows(IllegalStateException.class, closed::run);
        assertThrows(IllegalStateException.class, closed::summary);
        assertThrows(IllegalStateException.class, closed::categories);
        closed.close();
    }

    @Test
    void wrongJobsAreRefused() throws Exception {
        Path result = folder.resolve("result");
        assertFails(Status.INVALID_ARGUMENT, "no input", () -> Job.open(scorer, List.of(), result));
        assertFails(Status.IO, "none", () -> Job.open(scorer, List.of(folder.resolve("none")), result));
        assertFails(Status.INVALID_SETTING, "reject", () -> open(12, Map.of("on_error", "sing")));
        assertTrue(Files.notExists(result));
    }

    @Test
    void resultsOfShardsAreThoseOfOneJob() throws Exception {
        Path whole = folder.resolve("result");
        try (Job job = open(12, Map.of("category", "books", "ratio", "0.5"))) {
            job.run();
        }
        List<Path> shards = new ArrayList<>();
        for (String share : List.of("2/2", "1/2")) {
            Path shard = folder.resolve("shard-" + share.charAt(0));
            try (Job job = Job.open(scorer, List.of(corpus(12)), shard, Map.of("category", "books", "shard", share))) {
                assertEquals(0, job.run().windowsSelected());
            }
            shards.add(shard);
        }
        Path merged = folder.resolve("merged");
        Summary summary = Results.select(shards, merged, Map.of("ratio", "0.5"));
        assertEquals(36, summary.windows());
        assertEquals(18, summary.windowsSelected());
        for (String name : List.of("selected.jsonl", "scores.jsonl", "rejects.jsonl")) {
            assertEquals(Files.readString(whole.resolve(name)), Files.readString(merged.resolve(name)), name);
        }
        assertEquals(9, Results.select(List.of(whole), merged, Map.of()).windowsSelected());
        assertFails(Status.INVALID_ARGUMENT, "shard 2/2 is missing",
                () -> Results.select(shards.subList(1, 2), merged, Map.of()));
        assertFails(Status.INVALID_ARGUMENT, "has results already", () -> Results.select(shards, whole, Map.of()));
        Cancel cancelled = new Cancel();
        cancelled.request();
        assertFails(Status.CANCELLED, "", () -> Results.select(shards, merged, Map.of(), JobListener.NONE, cancelled));
        IllegalStateException thrown = new IllegalStateException("enough");
        JobListener listener = new JobListener() {
            @Override
            public void progress(JobProgress progress) {
                throw thrown;
            }
        };
        assertSame(thrown, assertThrows(IllegalStateException.class,
                () -> Results.select(shards, merged, Map.of(), listener, new Cancel())));
    }

    @Test
    void aCalibrationNamesALayer() throws Exception {
        Random random = new Random(1);
        List<String> lines = new ArrayList<>();
        for (int number = 0; number < 40; number++) {
            StringBuilder text = new StringBuilder();
            random.ints(300, 0, 40).forEach(word -> text.append('w').append(word).append(' '));
            lines.add("{\"text\": \"" + text + "\"}");
        }
        lines.add("no object");
        List<Path> inputs = List.of(Files.write(folder.resolve("words.jsonl"), lines));
        Map<String, String> settings = Map.of("calibration_windows", "20");
        Path result = folder.resolve("result");
        List<String> rejects = new ArrayList<>();
        JobListener listener = new JobListener() {
            @Override
            public void reject(Reject reject) {
                rejects.add(reject.record());
            }
        };
        Calibration closed;
        try (Scorer layers = Scorer.open(Case.DEEP, Map.of("window", "64"));
                Calibration calibration = Calibration.open(layers, inputs, result, settings)) {
            closed = calibration;
            assertFails(Status.IO, "at work in", () -> Calibration.open(layers, inputs, result, settings));
            String found = calibration.run(listener, new Cancel());
            assertTrue(found.contains("\"verdict\""), found);
            assertEquals(found.strip(), Files.readString(result.resolve("calibration.json")).strip());
            assertEquals(List.of("no object"), rejects);
            Cancel cancelled = new Cancel();
            cancelled.request();
            assertFails(Status.CANCELLED, "", () -> calibration.run(JobListener.NONE, cancelled));
        }
        assertThrows(IllegalStateException.class, closed::run);
        assertFails(Status.UNSUPPORTED, "", () -> Calibration.open(scorer, inputs, folder.resolve("other"), Map.of("truth", "gain")));
    }

    @Test
    void windowsInDoubtAreNamed() {
        try (Selector selector = new Selector();
                Scorer sampled = Scorer.open(Case.TINY, Map.of("window", "2048", "rows", "320"));
                Scorer exact = Scorer.open(Case.TINY, Map.of("window", "2048"))) {
            List<Score> scores = new ArrayList<>();
            List<String> texts = new ArrayList<>();
            for (int number = 0; number < 12; number++) {
                StringBuilder text = new StringBuilder();
                new Random(number).ints(2048, 'a', 'z' + 1).forEach(text::appendCodePoint);
                texts.add(text.toString());
                scores.add(sampled.score(texts.get(number)));
                selector.add("w" + number, "books", scores.get(number));
            }
            long[] doubted = selector.inDoubt(scores, Map.of(), new Cancel());
            assertTrue(doubted.length > 0);
            for (int number = 0; number < 12; number++) {
                scores.set(number, exact.score(texts.get(number)));
                selector.rescore(number, scores.get(number));
            }
            assertArrayEquals(new long[0], selector.inDoubt(scores, Map.of(), new Cancel()));
            assertFails(Status.INVALID_ARGUMENT, "no window 12", () -> selector.rescore(12, scores.get(0)));
            scores.remove(0);
            assertFails(Status.INVALID_ARGUMENT, "11 scores", () -> selector.inDoubt(scores, Map.of(), new Cancel()));
        }
    }

    @Test
    void tokensPastThePositionsOfTheModelAreTold() {
        try (Scorer wide = Scorer.open(Case.TINY)) {
            assertEquals(0, wide.score("a".repeat(64)).untrainedTokens());
            assertEquals(36, wide.score("a".repeat(100)).untrainedTokens());
        }
    }

    @Test
    void mixedLengthsAreRefusedUnlessAllowed() {
        try (Selector selector = new Selector()) {
            selector.add("a", "books", scorer.score("abc"));
            selector.add("b", "books", scorer.score(Case.SENTENCE));
            assertFails(Status.INVALID_ARGUMENT, "mixed_lengths", () -> selector.finish(Map.of()));
            assertEquals(2, selector.finish(Map.of("mixed_lengths", "allow")).size());
        }
    }

    @Test
    void namesFollowTheRulesOfAJob() {
        assertEquals("bücher.jsonl:3#12", LongAttn.windowId("bücher.jsonl:3", 12));
        assertEquals("books.v2", LongAttn.categoryOf("hdfs://host/corpus/books.v2.jsonl.gz"));
        assertEquals("books.v2", LongAttn.categoryOf("hdfs://host/corpus/books.v2/"));
        assertTrue(Status.RUNTIME.isFatal() && Status.MEMORY_LIMIT.isFatal() && Status.CANCELLED.isFatal());
        assertFalse(Status.NON_FINITE.isFatal() || Status.TOO_SHORT.isFatal() || Status.INVALID_UTF8.isFatal());
    }

    /** What a method of a job may throw. */
    private interface Call {
        void run() throws Exception;
    }

    private static void assertFails(Status status, String words, Call call) {
        LongAttnException failure = assertThrows(LongAttnException.class, call::run);
        assertEquals(status, failure.status());
        assertTrue(failure.getMessage().contains(words), failure.getMessage());
    }
}
