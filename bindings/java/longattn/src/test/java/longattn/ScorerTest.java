package longattn;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;

class ScorerTest {
    private static final Scorer SCORER = Scorer.open(Case.TINY, Map.of("window", "1000"));

    @AfterAll
    static void close() {
        SCORER.close();
    }

    private static Status statusOf(org.junit.jupiter.api.function.Executable call) {
        return assertThrows(LongAttnException.class, call).status();
    }

    @Test
    void aScorerKnowsItsSettings() {
        assertEquals("1000", SCORER.settings().get("window"));
        assertEquals(Setting.all().size(), SCORER.settings().size());
        assertEquals(4, SCORER.headCount());
        assertTrue(SCORER.describe().startsWith("{"), SCORER.describe());
    }

    @Test
    void heads() {
        DetailedScore detailed = SCORER.scoreHeads(Input.text(Case.SENTENCE));
        double proportions = detailed.heads().stream().mapToDouble(DetailedScore.Head::proportion).sum();
        double variances = detailed.heads().stream().mapToDouble(DetailedScore.Head::variance).sum();
        assertEquals(4, detailed.heads().size());
        assertEquals(SCORER.score(Case.SENTENCE).dependencyStrength(), detailed.score().dependencyStrength());
        assertEquals(detailed.score().dependencyStrength(), proportions / 4, 1e-12);
        assertEquals(detailed.score().distributionUniformity(), -variances / 4, 1e-12);
    }

    @Test
    void layers() {
        int[] ids = IntStream.range(0, 64).map(index -> index * 7 % 48).toArray();
        try (Scorer scorer = Scorer.open(Case.DEEP, Map.of("window", "64"))) {
            LayeredScore layered = scorer.scoreLayers(Input.tokens(ids), new Cancel());
            Score score = layered.score();
            assertEquals(2, layered.layers().size());
            assertEquals(scorer.score(Input.tokens(ids)).farSquareMass(), score.farSquareMass());
            double strengths = layered.layers().stream().mapToDouble(LayeredScore.Layer::dependencyStrength).sum();
            double squares = layered.layers().stream().mapToDouble(LayeredScore.Layer::farSquareMass).sum();
            assertEquals(score.dependencyStrength(), strengths / 2, 1e-12);
            assertEquals(score.farSquareMass(), squares / 2, 1e-12);
            assertTrue(squares > 0 && squares < strengths, squares + " and " + strengths);
        }
    }

    @Test
    void profiles() {
        Input window = Input.text("abcdefgh".repeat(8));
        Cancel cancel = new Cancel();
        cancel.request();
        try (Scorer scorer = Scorer.open(Case.TINY, Map.of("profile", "true"))) {
            ProfiledScore profiled = scorer.scoreProfile(window);
            double[] profile = profiled.distanceProfile();
            assertEquals(7, profile.length);
            assertEquals(scorer.score(window).dependencyStrength(), profiled.score().dependencyStrength());
            // Bucket 5 begins at a distance of 16, a quarter of the window.
            assertEquals(profiled.score().dependencyStrength(), profile[5] + profile[6], 1e-6);
            assertEquals(Status.INVALID_UTF8, statusOf(() -> scorer.scoreProfile(Input.utf8(new byte[] {'a', -1}))));
            assertEquals(Status.CANCELLED, statusOf(() -> scorer.scoreProfile(window, cancel)));
        }
        LongAttnException failure = assertThrows(LongAttnException.class, () -> SCORER.scoreProfile(window));
        assertEquals(Status.INVALID_SETTING, failure.status());
        assertTrue(failure.getMessage().contains("profile at true"), failure.getMessage());
    }

    @Test
    void textsTokensAndWindowsAreTheSame() {
        String text = "Übergrößenträger: 日本語, ½ x² 🚀 ";
        byte[] bytes = text.repeat(50).getBytes(UTF_8);
        Tokens tokens = SCORER.tokenize(bytes);
        assertEquals(tokens.ids().length + 1, tokens.boundaries().length);
        assertEquals(bytes.length, tokens.boundaries()[tokens.ids().length]);
        List<Window> windows = SCORER.cut(bytes);
        assertEquals(3, windows.size());
        for (Window window : windows) {
            int[] ids = java.util.Arrays.copyOfRange(tokens.ids(), window.tokenStart(), window.tokenStart() + 1000);
            assertArrayEquals(ids, window.tokenIds());
            assertEquals(tokens.boundaries()[window.tokenStart()], window.byteStart());
            assertEquals(tokens.boundaries()[window.tokenStart() + 1000], window.byteEnd());
        }
        Window first = windows.get(0);
        assertTrue(text.repeat(50).startsWith(first.text(bytes)));
        assertEquals(SCORER.score(text.repeat(50)).dependencyStrength(), SCORER.score(first.input()).dependencyStrength());
        assertEquals(windows.size(), SCORER.cut(text.repeat(50)).size());
    }

    @Test
    void emptyTexts() {
        assertEquals(0, SCORER.tokenize("").ids().length);
        assertArrayEquals(new int[] {0}, SCORER.tokenize("").boundaries());
        assertEquals(List.of(), SCORER.cut(""));
        assertEquals(Status.TOO_SHORT, statusOf(() -> SCORER.score("")));
        assertEquals(Status.TOO_SHORT, statusOf(() -> SCORER.score(Input.tokens(new int[0]))));
        assertEquals(Status.INVALID_ARGUMENT, statusOf(() -> SCORER.cut(new byte[9], 0)));
    }

    @Test
    void hugeTexts() {
        String text = (Case.SENTENCE + ' ').repeat(10_000);
        assertEquals(SCORER.score(text.substring(0, 4000)).dependencyStrength(), SCORER.score(text).dependencyStrength());
        List<Window> windows = SCORER.cut(text);
        assertTrue(windows.size() >= text.length() / 1000);
        assertEquals(Case.SENTENCE.charAt(0), windows.get(0).text(text.getBytes(UTF_8)).charAt(0));
    }

    @Test
    void halfASurrogatePairIsNotScoredAsAQuestionMark() {
        for (String text : List.of("ab\ud83d", "\ude80ab", "a\ud83d\ud83d\ude80", "\ude80\ud83d")) {
            assertEquals(Status.INVALID_UTF8, statusOf(() -> SCORER.score(text)), text);
            assertEquals(Status.INVALID_UTF8, statusOf(() -> SCORER.cut(text)), text);
            assertEquals(Status.INVALID_UTF8, statusOf(() -> Scorer.open(Case.TINY, Map.of("window", text))), text);
        }
        LongAttnException failure = assertThrows(LongAttnException.class, () -> Input.text("ab\ud83dc"));
        assertTrue(failure.getMessage().contains("index 2"), failure.getMessage());
    }

    @Test
    void eachOfManyWindowsHasItsOwnResult() throws InterruptedException {
        List<Input> inputs = List.of(Input.text(Case.SENTENCE), Input.text(""), Input.utf8(new byte[] {'a', -1}),
                Input.tokens(new int[] {1, 2, 3}), Input.tokens(new int[] {1, 999}));
        List<Result> results = SCORER.scoreAll(inputs);
        List<Status> statuses = new ArrayList<>();
        results.forEach(result -> statuses.add(result.status()));
        assertEquals(
                List.of(Status.OK, Status.TOO_SHORT, Status.INVALID_UTF8, Status.OK, Status.INVALID_ARGUMENT), statuses);
        assertEquals(SCORER.score(Case.SENTENCE).dependencyStrength(), results.get(0).score().dependencyStrength());
        assertEquals("", results.get(0).message());
        assertTrue(results.get(4).message().contains("999"), results.get(4).message());
        assertEquals(Status.TOO_SHORT, statusOf(() -> results.get(1).score()));
        assertEquals(List.of(), SCORER.scoreAll(List.of()));
    }

    @Test
    void cancelledWindowsSaySo() throws InterruptedException {
        Cancel cancel = new Cancel();
        assertEquals(false, cancel.isRequested());
        cancel.request();
        cancel.request();
        assertEquals(true, cancel.isRequested());
        List<Result> results = SCORER.scoreAll(List.of(Input.text(Case.SENTENCE)), cancel);
        assertEquals(Status.CANCELLED, results.get(0).status());
    }

    @Test
    void anInterruptEndsTheWork() throws InterruptedException {
        List<Input> inputs = Collections.nCopies(100_000, Input.text(Case.SENTENCE));
        List<Throwable> thrown = Collections.synchronizedList(new ArrayList<>());
        Cancel cancel = new Cancel();
        Thread thread = new Thread(() -> {
            try {
                SCORER.scoreAll(inputs, cancel);
            } catch (InterruptedException interrupt) {
                thrown.add(interrupt);
            }
        });
        thread.start();
        Thread.sleep(100);
        thread.interrupt();
        thread.join();
        assertEquals(1, thrown.size());
        assertEquals(true, cancel.isRequested());
        assertEquals(4, SCORER.score(Case.SENTENCE).headCount());
    }
}
