package longattn;

import com.sun.jna.Pointer;
import java.nio.FloatBuffer;
import java.util.Map;

/**
 * Scores windows from the attention of your own inference. Buffers are read from their position on; direct ones in the
 * machine's byte order are read where they are, others are copied.
 */
public final class Attention {
    private Attention() {}

    /**
     * Scores a window from an attention map.
     *
     * @param map {@code [heads, length, length]} in row-major order, softmax weights, row {@code n} holding what token {@code n}
     *     gives; entries above the diagonal are not read
     * @param heads the number of heads
     * @param length tokens of the window
     * @param settings {@code min_distance}, {@code sink_tokens} and {@code variance_domain}, where they are not to have their
     *     defaults
     * @return the scores
     * @throws LongAttnException with {@link Status#TOO_SHORT} for a length below 2, {@link Status#NON_FINITE} for NaN or
     *     infinity among the far entries, {@link Status#INVALID_ARGUMENT} for no heads or a buffer of another size,
     *     {@link Status#INVALID_SETTING}
     */
    public static DetailedScore scoreMap(FloatBuffer map, int heads, int length, Map<String, String> settings) {
        expectSize("map", map, heads, length, length);
        Abi.load();
        try (Arena arena = new Arena()) {
            Pointer config = arena.config(settings);
            Pointer headScores = arena.allocate((long) heads * DetailedScore.Head.BYTES);
            Pointer score = arena.allocate(Score.BYTES);
            arena.check(Abi.longattn_score_map(
                    arena.numbers(map), heads, length, config, headScores, heads, score, arena.error));
            return new DetailedScore(score, headScores);
        }
    }

    /**
     * Scores a window from queries and keys, in memory linear in its length.
     *
     * @param queries {@code [heads, length, headSize]} in row-major order, with the rotary embedding applied; heads that share a
     *     key head are neighbours
     * @param heads the number of query heads
     * @param keys {@code [keyValueHeads, length, headSize]} in row-major order, with the rotary embedding applied
     * @param keyValueHeads the number of key heads
     * @param length tokens of the window
     * @param headSize numbers of one query or key
     * @param scale logits are this times the product of query and key; usually {@code 1 / sqrt(headSize)}
     * @param settings {@code min_distance}, {@code sink_tokens}, {@code variance_domain}, {@code instruction_set} and
     *     {@code precision}, where they are not to have their defaults
     * @return the scores
     * @throws LongAttnException with {@link Status#TOO_SHORT} for a length below 2, {@link Status#NON_FINITE} for NaN or
     *     infinity, {@link Status#INVALID_ARGUMENT} for dimensions that contradict each other or the buffers,
     *     {@link Status#INVALID_SETTING}
     */
    public static DetailedScore scoreQueryKey(FloatBuffer queries, int heads, FloatBuffer keys, int keyValueHeads, int length,
            int headSize, double scale, Map<String, String> settings) {
        expectSize("queries", queries, heads, length, headSize);
        expectSize("keys", keys, keyValueHeads, length, headSize);
        Abi.load();
        try (Arena arena = new Arena()) {
            Pointer config = arena.config(settings);
            Pointer headScores = arena.allocate((long) heads * DetailedScore.Head.BYTES);
            Pointer score = arena.allocate(Score.BYTES);
            arena.check(Abi.longattn_score_query_key(arena.numbers(queries), heads, arena.numbers(keys), keyValueHeads,
                    length, headSize, scale, config, headScores, heads, score, arena.error));
            return new DetailedScore(score, headScores);
        }
    }

    /** The library is told dimensions alone, so that only here can a buffer be found too small for them. */
    private static void expectSize(String name, FloatBuffer buffer, int... dimensions) {
        long size = 1;
        for (int dimension : dimensions) {
            if (dimension < 0 || dimension > 0 && size > Long.MAX_VALUE / dimension) {
                throw new LongAttnException(Status.INVALID_ARGUMENT, name + " cannot have the dimension " + dimension);
            }
            size *= dimension;
        }
        if (size != buffer.remaining()) {
            throw new LongAttnException(Status.INVALID_ARGUMENT,
                    name + " has " + buffer.remaining() + " elements, but " + size + " by its dimensions");
        }
    }
}
