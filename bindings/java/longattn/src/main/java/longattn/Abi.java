package longattn;

import com.sun.jna.Callback;
import com.sun.jna.Native;
import com.sun.jna.NativeLibrary;
import com.sun.jna.Pointer;
import java.io.File;
import java.util.Map;

/** The functions of longattn.h, sizes being {@code long}, and the library that holds them. */
final class Abi {
    /** The ABI that these declarations are of. */
    private static final int VERSION = 1;

    static final String LIBRARY_PROPERTY = "longattn.library";

    private static boolean loaded;

    private Abi() {}

    interface Log extends Callback {
        void invoke(int level, Pointer message, long length, Pointer userData);
    }

    interface Progress extends Callback {
        void invoke(Pointer progress, Pointer userData);
    }

    interface Reject extends Callback {
        void invoke(Pointer reject, Pointer userData);
    }

    interface Notice extends Callback {
        void invoke(Pointer notice, long length, Pointer userData);
    }

    /** Makes the functions ready. To be called before the first of them, and by all that does not come from one. */
    static synchronized void load() {
        if (loaded) {
            return;
        }
        try {
            if (Native.SIZE_T_SIZE != Long.BYTES) {
                throw new UnsatisfiedLinkError("this is not a 64-bit machine");
            }
            Native.register(Abi.class, find());
        } catch (UnsatisfiedLinkError failure) {
            throw new LongAttnException(Status.RUNTIME, explain(failure));
        }
        int version = longattn_abi_version();
        if (version != VERSION) {
            throw new LongAttnException(Status.UNSUPPORTED,
                    "liblongattn has ABI " + version + ", and these classes are for ABI " + VERSION + ": use those of one version");
        }
        loaded = true;
    }

    private static NativeLibrary find() {
        String file = System.getProperty(LIBRARY_PROPERTY);
        if (file != null) {
            return NativeLibrary.getInstance(file);
        }
        for (String directory : System.getProperty("java.library.path", "").split(File.pathSeparator)) {
            NativeLibrary.addSearchPath("longattn", directory);
        }
        return NativeLibrary.getInstance("longattn", Map.of());
    }

    private static String explain(UnsatisfiedLinkError failure) {
        String file = System.getProperty(LIBRARY_PROPERTY);
        String places = file != null ? "the property " + LIBRARY_PROPERTY + " names " + file
                : "looked in java.library.path (" + System.getProperty("java.library.path") + "), jna.library.path ("
                        + System.getProperty("jna.library.path", "not set") + "), the system's loader, and the jars. "
                        + "Install LongAttn, or name the file by -D" + LIBRARY_PROPERTY + "=/path/to/"
                        + System.mapLibraryName("longattn");
        return "the native library of LongAttn could not be loaded; " + places + ". " + failure.getMessage();
    }

    static native Pointer longattn_version();

    static native int longattn_abi_version();

    static native Pointer longattn_error_message(Pointer error, Pointer length);

    static native void longattn_error_free(Pointer error);

    static native byte longattn_status_is_fatal(int status);

    static native void longattn_text_free(Pointer text);

    static native Pointer longattn_config_new();

    static native int longattn_config_set(Pointer config, Pointer key, long keyLength, Pointer value, long valueLength,
            Pointer error);

    static native int longattn_config_get(Pointer config, Pointer key, long keyLength, Pointer value, Pointer error);

    static native void longattn_config_free(Pointer config);

    static native long longattn_setting_count();

    static native int longattn_setting_get(long index, Pointer setting, Pointer error);

    static native long longattn_tokens_count(Pointer tokens);

    static native Pointer longattn_tokens_ids(Pointer tokens);

    static native Pointer longattn_tokens_boundaries(Pointer tokens);

    static native void longattn_tokens_free(Pointer tokens);

    static native int longattn_windows_cut(Pointer tokens, long window, Pointer windows, Pointer error);

    static native long longattn_windows_count(Pointer windows);

    static native int longattn_windows_get(Pointer windows, long index, Pointer window, Pointer error);

    static native void longattn_windows_free(Pointer windows);

    static native Pointer longattn_cancel_new();

    static native void longattn_cancel_request(Pointer cancel);

    static native void longattn_cancel_set_deadline(Pointer cancel, long milliseconds);

    static native byte longattn_cancel_is_requested(Pointer cancel);

    static native void longattn_cancel_free(Pointer cancel);

    static native int longattn_score_map(Pointer map, long heads, long length, Pointer config, Pointer headsOut,
            long headCapacity, Pointer score, Pointer error);

    static native int longattn_score_query_key(Pointer queries, long heads, Pointer keys, long keyValueHeads, long length,
            long headSize, double scale, Pointer config, Pointer headsOut, long headCapacity, Pointer score, Pointer error);

    static native int longattn_scorer_open(Pointer path, long pathLength, Pointer config, Pointer scorer, Pointer error);

    static native void longattn_scorer_free(Pointer scorer);

    static native int longattn_scorer_describe(Pointer scorer, Pointer json, Pointer error);

    static native Pointer longattn_scorer_config(Pointer scorer);

    static native long longattn_scorer_head_count(Pointer scorer);

    static native int longattn_scorer_score(Pointer scorer, Pointer input, Pointer cancel, Pointer heads, long headCapacity,
            Pointer score, Pointer error);

    static native int longattn_scorer_score_profile(Pointer scorer, Pointer input, Pointer cancel, Pointer profile,
            Pointer score, Pointer error);

    static native int longattn_scorer_score_many(Pointer scorer, Pointer inputs, long count, Pointer cancel,
            Pointer progress, Pointer userData, Pointer results, Pointer error);

    static native void longattn_results_free(Pointer results, long count);

    static native long longattn_scorer_layer_count(Pointer scorer);

    static native int longattn_scorer_score_layers(Pointer scorer, Pointer input, Pointer cancel, Pointer layers,
            long layerCapacity, Pointer score, Pointer error);

    static native int longattn_scorer_losses(Pointer scorer, Pointer ids, long idCount, Pointer cancel, Pointer losses,
            long capacity, Pointer count, Pointer error);

    static native int longattn_scorer_information_gain(Pointer scorer, Pointer ids, long idCount, Pointer cancel,
            Pointer gain, Pointer error);

    static native int longattn_scorer_tokenize(Pointer scorer, Pointer text, long textLength, Pointer tokens, Pointer error);

    static native int longattn_scorer_cut(Pointer scorer, Pointer text, long textLength, Pointer windows, Pointer error);

    static native Pointer longattn_selector_new();

    static native int longattn_selector_add(Pointer selector, Pointer id, long idLength, Pointer category,
            long categoryLength, Pointer score, Pointer error);

    static native int longattn_selector_rescore(Pointer selector, long ordinal, Pointer score, Pointer error);

    static native int longattn_selector_in_doubt(Pointer selector, Pointer scores, Pointer config, Pointer cancel,
            Pointer ordinals, Pointer count, Pointer error);

    static native long longattn_selector_count(Pointer selector);

    static native int longattn_selector_merge(Pointer selector, Pointer other, Pointer error);

    static native int longattn_selector_to_json(Pointer selector, Pointer json, Pointer error);

    static native int longattn_selector_from_json(Pointer json, long jsonLength, Pointer selector, Pointer error);

    static native int longattn_selector_finish(Pointer selector, Pointer config, Pointer selection, Pointer error);

    static native void longattn_selector_free(Pointer selector);

    static native long longattn_selection_count(Pointer selection);

    static native int longattn_selection_get(Pointer selection, long index, Pointer ranked, Pointer error);

    static native void longattn_selection_free(Pointer selection);

    static native int longattn_job_open(Pointer scorer, Pointer inputs, long inputCount, Pointer directory,
            long directoryLength, Pointer config, Pointer job, Pointer error);

    static native int longattn_job_run(Pointer job, Pointer observer, Pointer cancel, Pointer summary, Pointer error);

    static native int longattn_job_score(Pointer job, Pointer observer, Pointer cancel, Pointer summary, Pointer error);

    static native int longattn_job_select(Pointer job, Pointer config, Pointer observer, Pointer cancel, Pointer summary,
            Pointer error);

    static native int longattn_job_summary(Pointer job, Pointer summary, Pointer error);

    static native long longattn_job_category_count(Pointer job);

    static native int longattn_job_category_get(Pointer job, long index, Pointer category, Pointer error);

    static native void longattn_job_free(Pointer job);

    static native int longattn_results_select(Pointer directories, long directoryCount, Pointer output, long outputLength,
            Pointer config, Pointer observer, Pointer cancel, Pointer summary, Pointer error);

    static native int longattn_calibration_open(Pointer scorer, Pointer inputs, long inputCount, Pointer directory,
            long directoryLength, Pointer config, Pointer calibration, Pointer error);

    static native int longattn_calibration_run(Pointer calibration, Pointer observer, Pointer cancel, Pointer json,
            Pointer error);

    static native void longattn_calibration_free(Pointer calibration);

    static native int longattn_window_id(Pointer document, long documentLength, long number, Pointer id, Pointer error);

    static native int longattn_category_of(Pointer input, long inputLength, Pointer category, Pointer error);

    static native int longattn_log_set(Log callback, Pointer userData, int maxLevel, Pointer error);
}
