package longattn;

import com.sun.jna.Pointer;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * Collects scored windows, and selects the best of each category. The selection depends on the set of windows alone, not on
 * the order in which they were added or merged. After {@link #close()} its methods throw {@link IllegalStateException}.
 */
public final class Selector implements AutoCloseable {
    private final Handle handle;

    /** Has no windows. */
    public Selector() {
        Abi.load();
        handle = Handle.of(this, Abi.longattn_selector_new(), Abi::longattn_selector_free);
    }

    private Selector(Pointer selector) {
        handle = Handle.of(this, selector, Abi::longattn_selector_free);
    }

    /**
     * Makes a selector from what {@link #toJson()} gave.
     *
     * @param json the JSON
     * @return the selector
     * @throws LongAttnException with {@link Status#INVALID_RECORD} for malformed JSON, {@link Status#UNSUPPORTED} for the form of
     *     a later version
     */
    public static Selector fromJson(String json) {
        Abi.load();
        try (Arena arena = new Arena()) {
            byte[] bytes = Utf8.encode(json);
            return new Selector(arena.made(
                    selector -> Abi.longattn_selector_from_json(arena.copy(bytes), bytes.length, selector, arena.error)));
        }
    }

    /**
     * Adds a window.
     *
     * @param id names it, unlike any other of its category
     * @param category its windows compete with each other
     * @param score the window's score
     * @throws LongAttnException as in {@link #add(String, String, long, double, double)}
     */
    public void add(String id, String category, Score score) {
        add(id, category, score.tokenCount(), score.minDistance(), score.sinkTokens(), score.dependencyStrength(),
                score.distributionUniformity());
    }

    /**
     * Adds a window that was scored elsewhere.
     *
     * @param id names it, unlike any other of its category
     * @param category its windows compete with each other
     * @param tokenCount tokens of the window
     * @param dependencyStrength DS of the window
     * @param distributionUniformity DU of the window
     * @throws LongAttnException with {@link Status#NON_FINITE} where a score is NaN or infinite, {@link Status#INVALID_UTF8}
     */
    public void add(
            String id, String category, long tokenCount, double dependencyStrength, double distributionUniformity) {
        add(id, category, tokenCount, 0, 0, dependencyStrength, distributionUniformity);
    }

    /**
     * Adds a window that was scored elsewhere. Windows of one category that were measured differently are refused at the end,
     * unless the setting {@code mixed_lengths} allows them.
     *
     * @param id names it, unlike any other of its category
     * @param category its windows compete with each other
     * @param tokenCount tokens of the window
     * @param minDistance the shortest distance that counted as far, in tokens
     * @param sinkTokens how many first positions never counted as far
     * @param dependencyStrength DS of the window
     * @param distributionUniformity DU of the window
     * @throws LongAttnException with {@link Status#NON_FINITE} where a score is NaN or infinite, {@link Status#INVALID_UTF8}
     */
    public synchronized void add(String id, String category, long tokenCount, long minDistance, long sinkTokens,
            double dependencyStrength, double distributionUniformity) {
        byte[] idBytes = Utf8.encode(id);
        byte[] categoryBytes = Utf8.encode(category);
        try (Arena arena = new Arena()) {
            Pointer score = arena.allocate(Score.BYTES);
            Score.write(score, tokenCount, minDistance, sinkTokens, dependencyStrength, distributionUniformity);
            arena.check(handle.use(selector -> Abi.longattn_selector_add(selector, arena.copy(idBytes), idBytes.length,
                    arena.copy(categoryBytes), categoryBytes.length, score, arena.error)));
        }
    }

    /**
     * Gives a window other scores, such as those on more rows of attention.
     *
     * @param ordinal the number of windows that were added before it; those that were merged count in their order
     * @param score the window's score
     * @throws LongAttnException with {@link Status#INVALID_ARGUMENT} where there is no such window
     */
    public synchronized void rescore(long ordinal, Score score) {
        try (Arena arena = new Arena()) {
            Pointer written = arena.allocate(Score.BYTES);
            score.write(written);
            arena.check(handle.use(
                    selector -> Abi.longattn_selector_rescore(selector, ordinal, written, arena.error)));
        }
    }

    /**
     * Tells which windows to score on more rows, until the selection equals that by exact scores with the probability of the
     * setting {@code confidence}.
     *
     * @param scores those that the windows were added or last rescored with, in their order; their standard errors count
     * @param settings as in {@link #finish(Map)}, and {@code confidence}
     * @param cancel asks it to stop
     * @return the ordinals of the windows in doubt, ascending; none where the selection can be trusted
     * @throws LongAttnException with {@link Status#INVALID_ARGUMENT} for another number of scores than {@link #size()},
     *     {@link Status#CANCELLED}, and as in {@link #finish(Map)}
     */
    public synchronized long[] inDoubt(List<Score> scores, Map<String, String> settings, Cancel cancel) {
        if (scores.size() != size()) {
            throw new LongAttnException(Status.INVALID_ARGUMENT, scores.size() + " scores of " + size() + " windows");
        }
        try (Arena arena = new Arena()) {
            Pointer config = arena.config(settings);
            Pointer written = arena.allocate((long) Score.BYTES * scores.size());
            for (int index = 0; index < scores.size(); index++) {
                scores.get(index).write(written.share((long) Score.BYTES * index));
            }
            Pointer ordinals = arena.allocate((long) Long.BYTES * scores.size());
            Pointer count = arena.allocate(Long.BYTES);
            arena.check(handle.use(selector -> cancel.use(token -> Abi.longattn_selector_in_doubt(
                    selector, written, config, token, ordinals, count, arena.error))));
            return ordinals.getLongArray(0, (int) count.getLong(0));
        }
    }

    /** {@return the number of windows in all categories} */
    public synchronized long size() {
        return handle.use(Abi::longattn_selector_count);
    }

    /**
     * Moves all windows of another selector into this one. The other is empty afterwards.
     *
     * @param other another selector
     * @throws LongAttnException with {@link Status#INVALID_ARGUMENT} where it is this one
     */
    public void merge(Selector other) {
        // One merge at a time, so that two selectors that are merged into each other at once do not wait for ever.
        synchronized (Selector.class) {
            synchronized (this) {
                synchronized (other) {
                    try (Arena arena = new Arena()) {
                        arena.check(handle.use(selector -> other.handle.use(
                                source -> Abi.longattn_selector_merge(selector, source, arena.error))));
                    }
                }
            }
        }
    }

    /** {@return the windows as versioned JSON, to be merged on another machine; every number keeps its bits} */
    public synchronized String toJson() {
        try (Arena arena = new Arena()) {
            return handle.use(
                    selector -> arena.text(text -> Abi.longattn_selector_to_json(selector, text, arena.error)));
        }
    }

    /**
     * Ranks the windows of each category by their long-distance dependency score, and cuts. The selector is as before.
     *
     * @param settings {@code alpha}, {@code standardize}, {@code mixed_lengths}, and one of {@code ratio}, {@code count},
     *     {@code token_budget} and {@code threshold}, where they are not to have their defaults
     * @return all windows, by category in the order of their bytes, and within a category the best first; equal scores go to
     *     the smaller id
     * @throws LongAttnException with {@link Status#INVALID_SETTING}, also where more than one cut is set, and
     *     {@link Status#INVALID_ARGUMENT} where two windows of one category have the same id, or were measured on different
     *     lengths or distances while {@code mixed_lengths} is {@code refuse}
     */
    public List<Ranked> finish(Map<String, String> settings) {
        try (Ranking ranking = rank(settings)) {
            List<Ranked> read = new ArrayList<>();
            ranking.forEach(read::add);
            return read;
        }
    }

    /**
     * Ranks and cuts as {@link #finish(Map)} does, where the windows are too many for a list.
     *
     * @param settings as in {@link #finish(Map)}
     * @return all windows, to be closed
     * @throws LongAttnException as in {@link #finish(Map)}
     */
    public synchronized Ranking rank(Map<String, String> settings) {
        try (Arena arena = new Arena()) {
            Pointer config = arena.config(settings);
            return new Ranking(handle.use(selector -> arena.made(
                    place -> Abi.longattn_selector_finish(selector, config, place, arena.error))));
        }
    }

    /** Closes the selector; once more does nothing. */
    @Override
    public void close() {
        handle.close();
    }
}
