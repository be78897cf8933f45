package longattn;

import com.sun.jna.Pointer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Function;

/**
 * An open scorer package: a model, its tokenizer, and a pool of threads. Open it once and keep it: it holds all of the model
 * in memory. Any threads may use one scorer at once, and get the same bits as one thread alone.
 *
 * <p>After {@link #close()} its methods throw {@link IllegalStateException}. Calls that are under way end as if it had not
 * been closed, and the last of them frees the model.
 */
public final class Scorer implements AutoCloseable {
    private final Handle handle;

    private Scorer(Pointer scorer) {
        handle = Handle.of(this, scorer, Abi::longattn_scorer_free);
    }

    /**
     * Opens a scorer package with the default settings.
     *
     * @param scorerPackage as in {@link #open(Path, Map)}
     * @return the scorer
     * @throws LongAttnException as in {@link #open(Path, Map)}
     */
    public static Scorer open(Path scorerPackage) {
        return open(scorerPackage, Map.of());
    }

    /**
     * Opens a scorer package.
     *
     * @param scorerPackage a directory with {@code model.onnx} and {@code tokenizer.json}, as {@code longattn export} makes it,
     *     or a bare {@code model.onnx}, which scores token ids alone unless a {@code tokenizer.json} lies beside it; the files
     *     are not needed afterwards
     * @param settings those that are not to have their defaults
     * @return the scorer
     * @throws LongAttnException with {@link Status#RUNTIME} where the native library or ONNX Runtime cannot be loaded: the
     *     message says where they were looked for; {@link Status#INVALID_SETTING}; {@link Status#IO},
     *     {@link Status#INVALID_MODEL} or {@link Status#UNSUPPORTED} for a package that is missing, damaged, or of a kind that
     *     this version cannot use
     */
    public static Scorer open(Path scorerPackage, Map<String, String> settings) {
        Abi.load();
        try (Arena arena = new Arena()) {
            byte[] path = Utf8.encode(scorerPackage.toString());
            Pointer config = arena.config(settings);
            return new Scorer(arena.made(
                    scorer -> Abi.longattn_scorer_open(arena.copy(path), path.length, config, scorer, arena.error)));
        }
    }

    /** {@return a description of the package as one JSON object; later versions may add keys} */
    public String describe() {
        try (Arena arena = new Arena()) {
            return handle.use(
                    scorer -> arena.text(text -> Abi.longattn_scorer_describe(scorer, text, arena.error)));
        }
    }

    /** {@return the values of all settings that the scorer was opened with} */
    public Map<String, String> settings() {
        try (Arena arena = new Arena()) {
            return handle.use(scorer -> Setting.values(
                    arena.owned(Abi.longattn_scorer_config(scorer), Abi::longattn_config_free)));
        }
    }

    /** {@return the number of heads that each window is scored by; 0 where the model does not tell before it is run} */
    public int headCount() {
        return handle.use(scorer -> (int) Abi.longattn_scorer_head_count(scorer));
    }

    /**
     * Scores a text as one window: its first tokens, up to the setting {@code window}, special ones included.
     *
     * @param text the text
     * @return the score
     * @throws LongAttnException as in {@link #score(Input, Cancel)}
     */
    public Score score(String text) {
        return score(Input.text(text));
    }

    /**
     * Scores a window.
     *
     * @param window the window
     * @return the score
     * @throws LongAttnException as in {@link #score(Input, Cancel)}
     */
    public Score score(Input window) {
        return score(window, new Cancel());
    }

    /**
     * Scores a window until asked to stop. An interrupt does not end it: {@link #scoreAll(List)} heeds one.
     *
     * @param window the window
     * @param cancel asks it to stop
     * @return the score
     * @throws LongAttnException with {@link Status#UNSUPPORTED} for a text where the package has no tokenizer,
     *     {@link Status#INVALID_UTF8} for a text that is not valid, {@link Status#TOO_SHORT} below 2 tokens,
     *     {@link Status#INVALID_ARGUMENT} for an id outside the model's vocabulary, {@link Status#MEMORY_LIMIT} for attention
     *     maps larger than the setting {@code memory_limit}, {@link Status#NON_FINITE} for damaged weights,
     *     {@link Status#RUNTIME} where ONNX Runtime fails, {@link Status#CANCELLED}
     */
    public Score score(Input window, Cancel cancel) {
        try (Arena arena = new Arena()) {
            return new Score(score(window, cancel, Pointer.NULL, 0, arena));
        }
    }

    /**
     * Scores a window, and tells what each head says. Where {@link #headCount()} is 0 this runs the model twice.
     *
     * @param window the window
     * @return the scores
     * @throws LongAttnException as in {@link #score(Input, Cancel)}
     */
    public DetailedScore scoreHeads(Input window) {
        Cancel never = new Cancel();
        int known = headCount();
        int count = known > 0 ? known : score(window).headCount();
        try (Arena arena = new Arena()) {
            Pointer heads = arena.allocate((long) count * DetailedScore.Head.BYTES);
            return new DetailedScore(score(window, never, heads, count, arena), heads);
        }
    }

    /**
     * Scores a window, and tells how far back its attention reaches.
     *
     * @param window the window
     * @return the score and the distance profile
     * @throws LongAttnException as in {@link #scoreProfile(Input, Cancel)}
     */
    public ProfiledScore scoreProfile(Input window) {
        return scoreProfile(window, new Cancel());
    }

    /**
     * Scores a window until asked to stop, and tells how far back its attention reaches.
     *
     * @param window the window
     * @param cancel asks it to stop
     * @return the score and the distance profile
     * @throws LongAttnException with {@link Status#INVALID_SETTING} where the scorer was opened without the setting
     *     {@code profile} at {@code true}, and as in {@link #score(Input, Cancel)}
     */
    public ProfiledScore scoreProfile(Input window, Cancel cancel) {
        try (Arena arena = new Arena()) {
            Pointer input = arena.allocate(Input.BYTES);
            Pointer profile = arena.allocate(ProfiledScore.BYTES);
            Pointer score = arena.allocate(Score.BYTES);
            window.write(input, arena);
            arena.check(handle.use(scorer -> cancel.use(token ->
                    Abi.longattn_scorer_score_profile(scorer, input, token, profile, score, arena.error))));
            return new ProfiledScore(score, profile);
        }
    }

    /**
     * Scores a window by several layers in one pass.
     *
     * @param window the window
     * @param cancel asks it to stop
     * @return the score, and what each layer says, in the order of the package
     * @throws LongAttnException with {@link Status#UNSUPPORTED} where the model does not tell its layers, and as in
     *     {@link #score(Input, Cancel)}
     */
    public LayeredScore scoreLayers(Input window, Cancel cancel) {
        try (Arena arena = new Arena()) {
            int count = handle.use(scorer -> (int) Abi.longattn_scorer_layer_count(scorer));
            Pointer input = arena.allocate(Input.BYTES);
            Pointer layers = arena.allocate((long) count * LayeredScore.Layer.BYTES);
            Pointer score = arena.allocate(Score.BYTES);
            window.write(input, arena);
            arena.check(handle.use(scorer -> cancel.use(token -> Abi.longattn_scorer_score_layers(
                    scorer, input, token, layers, count, score, arena.error))));
            return new LayeredScore(score, layers, count);
        }
    }

    /**
     * The losses of the tokens of one window, framed and cut as it is scored: the negative log-likelihood in nats of each token
     * but the first, given those before it, by all layers of the model.
     *
     * @param tokenIds the window
     * @param cancel asks it to stop
     * @return the losses
     * @throws LongAttnException with {@link Status#UNSUPPORTED} where the package tells no losses, and as in
     *     {@link #score(Input, Cancel)}
     */
    public float[] losses(int[] tokenIds, Cancel cancel) {
        int capacity = Integer.parseInt(settings().get("window"));
        try (Arena arena = new Arena()) {
            Pointer ids = arena.copy(tokenIds);
            Pointer losses = arena.allocate((long) capacity * Float.BYTES);
            Pointer count = arena.allocate(Long.BYTES);
            arena.check(handle.use(scorer -> cancel.use(token -> Abi.longattn_scorer_losses(
                    scorer, ids, tokenIds.length, token, losses, capacity, count, arena.error))));
            return losses.getFloatArray(0, (int) count.getLong(0));
        }
    }

    /**
     * The information gain of one window, in nats a token: how much lower the loss of a token is when the model sees the whole
     * window before it than when it sees only the last 128 to 255 tokens. It is the mean over the tokens from the 256th on,
     * counted from 0, and may be negative.
     *
     * @param tokenIds the window
     * @param cancel asks it to stop
     * @return the gain
     * @throws LongAttnException with {@link Status#TOO_SHORT} below 257 tokens, and as in {@link #losses(int[], Cancel)}
     */
    public double informationGain(int[] tokenIds, Cancel cancel) {
        try (Arena arena = new Arena()) {
            Pointer ids = arena.copy(tokenIds);
            Pointer gain = arena.allocate(Double.BYTES);
            arena.check(handle.use(scorer -> cancel.use(token -> Abi.longattn_scorer_information_gain(
                    scorer, ids, tokenIds.length, token, gain, arena.error))));
            return gain.getDouble(0);
        }
    }

    /** A config of the caller's with the settings that the scorer was opened with, some of them changed. */
    Pointer config(Map<String, String> settings, Arena arena) {
        return arena.config(handle.use(Abi::longattn_scorer_config), settings);
    }

    <T> T use(Function<Pointer, T> call) {
        return handle.use(call);
    }

    private Pointer score(Input window, Cancel cancel, Pointer heads, int headCapacity, Arena arena) {
        Pointer input = arena.allocate(Input.BYTES);
        Pointer score = arena.allocate(Score.BYTES);
        window.write(input, arena);
        arena.check(handle.use(scorer -> cancel.use(token ->
                Abi.longattn_scorer_score(scorer, input, token, heads, headCapacity, score, arena.error))));
        return score;
    }

    /**
     * Scores many windows on all threads of the scorer.
     *
     * @param windows the windows
     * @return their results, as in {@link #scoreAll(List, Cancel)}
     * @throws InterruptedException as in {@link #scoreAll(List, Cancel)}
     * @throws LongAttnException as in {@link #scoreAll(List, Cancel)}
     */
    public List<Result> scoreAll(List<Input> windows) throws InterruptedException {
        return scoreAll(windows, new Cancel());
    }

    /**
     * Scores many windows on all threads of the scorer. A score has the same bits as that of {@link #score(Input)}.
     *
     * @param windows the windows
     * @param cancel once asked to stop, the windows that are not finished get {@link Status#CANCELLED}
     * @return their results, in the same order; a window that cannot be scored is no failure of the call
     * @throws InterruptedException where the thread is interrupted: {@code cancel} is asked to stop, and the work ends first
     * @throws LongAttnException with {@link Status#INTERNAL} for a bug in the library
     */
    public List<Result> scoreAll(List<Input> windows, Cancel cancel) throws InterruptedException {
        return Work.untilInterrupted(cancel, () -> scoreAllHere(windows, cancel));
    }

    private List<Result> scoreAllHere(List<Input> windows, Cancel cancel) {
        try (Arena arena = new Arena()) {
            int count = windows.size();
            Pointer inputs = arena.allocate((long) count * Input.BYTES);
            for (int index = 0; index < count; index++) {
                windows.get(index).write(inputs.share((long) index * Input.BYTES), arena);
            }
            Pointer results = arena.owned(arena.allocate((long) count * Result.BYTES),
                    memory -> Abi.longattn_results_free(memory, count));
            arena.check(handle.use(scorer -> cancel.use(token -> Abi.longattn_scorer_score_many(scorer, inputs, count, token,
                    Pointer.NULL, Pointer.NULL, results, arena.error))));
            List<Result> read = new ArrayList<>(count);
            for (int index = 0; index < count; index++) {
                read.add(new Result(results.share((long) index * Result.BYTES), arena));
            }
            return read;
        }
    }

    /**
     * Splits a text into tokens.
     *
     * @param text the text
     * @return the tokens
     * @throws LongAttnException as in {@link #tokenize(byte[])}
     */
    public Tokens tokenize(String text) {
        return tokenize(Utf8.encode(text));
    }

    /**
     * Splits a text into tokens.
     *
     * @param text the text in UTF-8
     * @return the tokens
     * @throws LongAttnException with {@link Status#UNSUPPORTED} where the package has no tokenizer,
     *     {@link Status#INVALID_UTF8} for a text that is not valid
     */
    public Tokens tokenize(byte[] text) {
        try (Arena arena = new Arena()) {
            Pointer tokens = tokenize(text, arena);
            int count = (int) Abi.longattn_tokens_count(tokens);
            int[] ids = count == 0 ? new int[0] : Abi.longattn_tokens_ids(tokens).getIntArray(0, count);
            long[] offsets = Abi.longattn_tokens_boundaries(tokens).getLongArray(0, count + 1);
            int[] boundaries = new int[offsets.length];
            for (int index = 0; index < offsets.length; index++) {
                boundaries[index] = (int) offsets[index];
            }
            return new Tokens(ids, boundaries);
        }
    }

    private Pointer tokenize(byte[] text, Arena arena) {
        Pointer tokens = handle.use(scorer -> arena.made(place ->
                Abi.longattn_scorer_tokenize(scorer, arena.copy(text), text.length, place, arena.error)));
        return arena.owned(tokens, Abi::longattn_tokens_free);
    }

    /**
     * Cuts a document into windows of as many tokens as the setting {@code window} says, as {@link #cut(byte[], long)} does.
     *
     * @param document the document
     * @return its windows
     * @throws LongAttnException as in {@link #tokenize(byte[])}
     */
    public List<Window> cut(String document) {
        return cut(Utf8.encode(document));
    }

    /**
     * Cuts a document into windows of as many tokens as the setting {@code window} says, as {@link #cut(byte[], long)} does.
     *
     * @param document the document in UTF-8
     * @return its windows
     * @throws LongAttnException as in {@link #tokenize(byte[])}
     */
    public List<Window> cut(byte[] document) {
        try (Arena arena = new Arena()) {
            Pointer windows = handle.use(scorer -> arena.made(place ->
                    Abi.longattn_scorer_cut(scorer, arena.copy(document), document.length, place, arena.error)));
            return read(windows, arena);
        }
    }

    /**
     * Cuts a document into windows by Algorithm 1 of the paper. A document shorter than one window gives none; windows may
     * overlap.
     *
     * @param document the document in UTF-8
     * @param window the length of a window in tokens, at least 1
     * @return its windows, in the order of the algorithm: from the front and the back in turn, and then what is left between
     * @throws LongAttnException as in {@link #tokenize(byte[])}, and with {@link Status#INVALID_ARGUMENT} for no length
     */
    public List<Window> cut(byte[] document, long window) {
        if (window < 1) {
            throw new LongAttnException(Status.INVALID_ARGUMENT, "a window of " + window + " tokens is none");
        }
        try (Arena arena = new Arena()) {
            Pointer tokens = tokenize(document, arena);
            return read(arena.made(place -> Abi.longattn_windows_cut(tokens, window, place, arena.error)), arena);
        }
    }

    private static List<Window> read(Pointer windows, Arena arena) {
        arena.owned(windows, Abi::longattn_windows_free);
        Pointer found = arena.allocate(Window.BYTES);
        List<Window> read = new ArrayList<>();
        for (long index = 0; index < Abi.longattn_windows_count(windows); index++) {
            arena.check(Abi.longattn_windows_get(windows, index, found, arena.error));
            read.add(new Window(found));
        }
        return read;
    }

    /** Closes the scorer; once more does nothing. */
    @Override
    public void close() {
        handle.close();
    }
}
