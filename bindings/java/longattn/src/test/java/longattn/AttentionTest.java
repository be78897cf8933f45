package longattn;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;

class AttentionTest {
    private static final int HEADS = 4;
    private static final int KEY_HEADS = 2;
    private static final int LENGTH = 200;
    private static final int HEAD_SIZE = 16;

    private final Random random = new Random(1);

    private FloatBuffer numbers(int count) {
        FloatBuffer numbers = FloatBuffer.allocate(count);
        while (numbers.hasRemaining()) {
            numbers.put((float) random.nextGaussian());
        }
        return numbers.rewind();
    }

    /** The same numbers elsewhere, after one that is not among them. */
    private static FloatBuffer direct(FloatBuffer numbers, ByteOrder order) {
        FloatBuffer copy = ByteBuffer.allocateDirect(4 * numbers.remaining() + 4).order(order).asFloatBuffer();
        copy.put(Float.NaN).put(numbers.duplicate());
        return copy.position(1);
    }

    private static FloatBuffer map(FloatBuffer queries, FloatBuffer keys, double scale) {
        FloatBuffer map = FloatBuffer.allocate(HEADS * LENGTH * LENGTH);
        double[] weights = new double[LENGTH];
        for (int head = 0; head < HEADS; head++) {
            int keyHead = head / (HEADS / KEY_HEADS);
            for (int row = 0; row < LENGTH; row++) {
                double sum = 0;
                for (int column = 0; column <= row; column++) {
                    double logit = 0;
                    for (int place = 0; place < HEAD_SIZE; place++) {
                        logit += queries.get((head * LENGTH + row) * HEAD_SIZE + place)
                                * keys.get((keyHead * LENGTH + column) * HEAD_SIZE + place);
                    }
                    weights[column] = Math.exp(logit * scale);
                    sum += weights[column];
                }
                for (int column = 0; column < LENGTH; column++) {
                    map.put((float) (column <= row ? weights[column] / sum : Float.NaN));
                }
            }
        }
        return map.rewind();
    }

    @Test
    void queriesAndKeysScoreAsTheirMap() {
        FloatBuffer queries = numbers(HEADS * LENGTH * HEAD_SIZE);
        FloatBuffer keys = numbers(KEY_HEADS * LENGTH * HEAD_SIZE);
        DetailedScore streamed =
                Attention.scoreQueryKey(queries, HEADS, keys, KEY_HEADS, LENGTH, HEAD_SIZE, 0.25, Map.of());
        DetailedScore mapped = Attention.scoreMap(map(queries, keys, 0.25), HEADS, LENGTH, Map.of());
        assertEquals(HEADS, streamed.heads().size());
        assertEquals(LENGTH / 4, streamed.score().minDistance());
        assertEquals(1, streamed.score().dependencyStrength() / mapped.score().dependencyStrength(), 1e-5);
        assertEquals(1, streamed.score().distributionUniformity() / mapped.score().distributionUniformity(), 1e-4);
        for (int head = 0; head < HEADS; head++) {
            double expected = mapped.heads().get(head).proportion();
            assertEquals(1, streamed.heads().get(head).proportion() / expected, 1e-5);
        }
    }

    @Test
    void anyBufferWillDo() {
        FloatBuffer map = map(numbers(HEADS * LENGTH * HEAD_SIZE), numbers(KEY_HEADS * LENGTH * HEAD_SIZE), 0.25);
        double expected = Attention.scoreMap(map, HEADS, LENGTH, Map.of()).score().dependencyStrength();
        for (ByteOrder order : new ByteOrder[] {ByteOrder.LITTLE_ENDIAN, ByteOrder.BIG_ENDIAN}) {
            FloatBuffer direct = direct(map, order);
            assertEquals(expected, Attention.scoreMap(direct, HEADS, LENGTH, Map.of()).score().dependencyStrength());
            assertEquals(1, direct.position());
        }
    }

    @Test
    void wrongSizesAndNumbersAreRefused() {
        assertFails(Status.INVALID_ARGUMENT, "7 elements, but 8", FloatBuffer.allocate(7), 2, 2);
        assertFails(Status.INVALID_ARGUMENT, "dimension -1", FloatBuffer.allocate(7), -1, 2);
        assertFails(Status.INVALID_ARGUMENT, "heads", FloatBuffer.allocate(0), 0, 2);
        assertFails(Status.TOO_SHORT, "", FloatBuffer.allocate(1), 1, 1);
        FloatBuffer nan = FloatBuffer.allocate(16).put(0, 1).put(4, 1).put(8, 1).put(12, Float.NaN);
        assertFails(Status.NON_FINITE, "", nan, 1, 4);
    }

    private static void assertFails(Status status, String words, FloatBuffer map, int heads, int length) {
        LongAttnException failure =
                assertThrows(LongAttnException.class, () -> Attention.scoreMap(map, heads, length, Map.of()));
        assertEquals(status, failure.status());
        assertTrue(failure.getMessage().contains(words), failure.getMessage());
    }
}
