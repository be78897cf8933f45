package longattn;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

class LifetimeTest {
    @Test
    void whatIsClosedSaysSo() {
        Scorer scorer = Scorer.open(Case.TINY);
        scorer.close();
        scorer.close();
        for (org.junit.jupiter.api.function.Executable call : List.<org.junit.jupiter.api.function.Executable>of(
                () -> scorer.score("abc"),
                () -> scorer.scoreAll(List.of(Input.text("abc"))),
                () -> scorer.cut("abc"),
                scorer::describe,
                scorer::settings,
                scorer::headCount)) {
            IllegalStateException failure = assertThrows(IllegalStateException.class, call);
            assertEquals("this Scorer is closed", failure.getMessage());
        }
        Selector selector = new Selector();
        selector.close();
        selector.close();
        assertThrows(IllegalStateException.class, selector::toJson);
        assertThrows(IllegalStateException.class, () -> new Selector().merge(selector));
    }

    @Test
    void closingDoesNotDisturbCallsThatAreUnderWay() throws Exception {
        ExecutorService threads = Executors.newFixedThreadPool(4);
        AtomicLong scored = new AtomicLong();
        for (int round = 0; round < 50; round++) {
            Scorer scorer = Scorer.open(Case.TINY);
            double expected = scorer.score(Case.SENTENCE).dependencyStrength();
            CountDownLatch begun = new CountDownLatch(4);
            List<Future<?>> ends = new ArrayList<>();
            for (int thread = 0; thread < 4; thread++) {
                ends.add(threads.submit(() -> {
                    begun.countDown();
                    try {
                        while (true) {
                            assertEquals(expected, scorer.score(Case.SENTENCE).dependencyStrength());
                            scored.incrementAndGet();
                        }
                    } catch (IllegalStateException closed) {
                        return null;
                    }
                }));
            }
            begun.await();
            scorer.close();
            for (Future<?> end : ends) {
                end.get();
            }
        }
        threads.shutdown();
        assertTrue(scored.get() > 0);
    }

    @Test
    void manyThreadsGetTheBitsOfOne() throws Exception {
        try (Scorer scorer = Scorer.open(Case.TINY)) {
            ExecutorService threads = Executors.newFixedThreadPool(8);
            List<Future<Double>> scores = new ArrayList<>();
            for (int index = 0; index < 400; index++) {
                String text = Case.SENTENCE.substring(index % 20);
                scores.add(threads.submit(() -> scorer.score(text).dependencyStrength()));
            }
            for (int index = 0; index < scores.size(); index++) {
                assertEquals(scorer.score(Case.SENTENCE.substring(index % 20)).dependencyStrength(), scores.get(index).get());
            }
            threads.shutdown();
        }
    }

    @Test
    void callsAndForgottenObjectsLeaveNoMemoryBehind() throws Exception {
        long calls = Long.getLong("longattn.calls", 20_000);
        callMany(calls);
        // A leak grows in every round, and what the virtual machine takes to warm up in the first ones.
        double growth = Double.POSITIVE_INFINITY;
        for (int round = 0; round < 6 && growth > 4; round++) {
            long before = residentBytes();
            callMany(calls);
            growth = (double) (residentBytes() - before) / calls;
        }
        assertTrue(growth <= 4, growth + " bytes of growth a call");
    }

    /** Each call makes and drops a text, an error, and objects that only the collector finds. */
    private static void callMany(long calls) throws Exception {
        try (Scorer scorer = Scorer.open(Case.TINY)) {
            for (long call = 0; call < calls; call++) {
                switch ((int) (call % 5)) {
                    case 0:
                        scorer.score("It was a bright cold day");
                        break;
                    case 1:
                        assertThrows(LongAttnException.class, () -> scorer.score(""));
                        break;
                    case 2:
                        scorer.cut("abc".getBytes(), 2);
                        break;
                    case 3:
                        new Selector().add("a", "books", 100, 0.1, -0.1);
                        break;
                    default:
                        Setting.values(Map.of("window", "60"));
                }
                if (call % 10_000 == 0) {
                    Scorer.open(Case.TINY);
                }
            }
        }
        System.gc();
        Thread.sleep(500); // for the cleaner
        System.gc();
    }

    private static long residentBytes() throws Exception {
        String[] pages = Files.readString(Path.of("/proc/self/statm")).split(" ");
        return Long.parseLong(pages[1]) * 4096;
    }
}
