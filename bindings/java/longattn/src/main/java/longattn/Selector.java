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
        add(id, category, score.tokenCount(), score.dependencyStrength(), score.distributionUniformity());
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
    public synchronized void add(
            String id, String category, long tokenCount, double dependencyStrength, double distributionUniformity) {
        byte[] idBytes = Utf8.encode(id);
        byte[] categoryBytes = Utf8.encode(category);
        try (Arena arena = new Arena()) {
            Pointer score = Score.write(arena, tokenCount, dependencyStrength, distributionUniformity);
            arena.check(handle.use(selector -> Abi.longattn_selector_add(selector, arena.copy(idBytes), idBytes.length,
                    arena.copy(categoryBytes), categoryBytes.length, score, arena.error)));
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
     * @param settings {@code alpha}, {@code standardize}, and one of {@code ratio}, {@code count}, {@code token_budget} and
     *     {@code threshold}, where they are not to have their defaults
     * @return all windows, by category in the order of their bytes, and within a category the best first; equal scores go to
     *     the smaller id
     * @throws LongAttnException with {@link Status#INVALID_SETTING}, also where more than one cut is set, and
     *     {@link Status#INVALID_ARGUMENT} where two windows of one category have the same id
     */
    public synchronized List<Ranked> finish(Map<String, String> settings) {
        try (Arena arena = new Arena()) {
            Pointer config = arena.config(settings);
            Pointer selection = arena.owned(handle.use(selector -> arena.made(
                    place -> Abi.longattn_selector_finish(selector, config, place, arena.error))),
                    Abi::longattn_selection_free);
            Pointer found = arena.allocate(Ranked.BYTES);
            List<Ranked> read = new ArrayList<>();
            for (long index = 0; index < Abi.longattn_selection_count(selection); index++) {
                arena.check(Abi.longattn_selection_get(selection, index, found, arena.error));
                read.add(new Ranked(found));
            }
            return read;
        }
    }

    /** Closes the selector; once more does nothing. */
    @Override
    public void close() {
        handle.close();
    }
}
