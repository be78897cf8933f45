package longattn;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.jna.NativeLibrary;
import com.sun.jna.Structure;
import java.util.ArrayList;
import java.util.List;
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
                () -> scorer.scoreProfile(Input.text("abc")),
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
    void smallCallsAndForgottenScorersLeaveNoMemoryBehind() throws Exception {
        long calls = Long.getLong("longattn.calls", 60_000);
        try (Scorer scorer = Scorer.open(Case.TINY)) {
            assertNoGrowth(calls, 20, () -> callMany(scorer, calls));
        }
        assertNoGrowth(20, 50_000, () -> {
            for (int index = 0; index < 20; index++) {
                Scorer.open(Case.TINY);
            }
        });
    }

    /** What the virtual machine takes to warm up is left out. */
    private static void assertNoGrowth(long calls, double limit, Runnable round) throws Exception {
        long before = 0;
        for (int rounds = 0; rounds < 6; rounds++) {
            if (rounds == 2) {
                before = allocatedBytes();
            }
            round.run();
            collect();
        }
        double growth = Double.MAX_VALUE;
        for (int attempt = 0; attempt < 20 && growth > limit; attempt++) {
            collect();
            growth = (double) (allocatedBytes() - before) / (4 * calls);
        }
        assertTrue(growth <= limit, growth + " bytes of growth a call");
    }

    /** The cleaner has a thread of its own, which may be late on a busy machine. */
    private static void collect() throws InterruptedException {
        System.gc();
        Thread.sleep(500);
    }

    /** Each makes and drops a text, an error, or an object that only the collector finds. */
    private static void callMany(Scorer scorer, long calls) {
        for (long call = 0; call < calls; call++) {
            switch ((int) (call % 4)) {
                case 0:
                    scorer.score("It was a bright cold day");
                    break;
                case 1:
                    assertThrows(LongAttnException.class, () -> scorer.score(""));
                    break;
                case 2:
                    scorer.cut("abc".getBytes(), 2);
                    break;
                default:
                    Selector selector = new Selector();
                    selector.add("a", "books", 100, 0.1, -0.1);
                    selector.toJson();
            }
        }
    }

    /** Bytes that were allocated and not freed, which the process's memory tells less exactly. */
    private static long allocatedBytes() {
        MallocStatistics now = (MallocStatistics)
                NativeLibrary.getInstance("c").getFunction("mallinfo2").invoke(MallocStatistics.class, new Object[0]);
        return now.fields[7] + now.fields[4]; // in heaps, and mapped alone
    }

    /** {@code struct mallinfo2} of the GNU C library. */
    @Structure.FieldOrder("fields")
    public static final class MallocStatistics extends Structure implements Structure.ByValue {
        public long[] fields = new long[10];
    }
}
