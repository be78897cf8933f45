package longattn;

import com.sun.jna.Pointer;
import java.time.Duration;

/**
 * What a job has found, of all its calls together, those of earlier processes included, where nothing else is said.
 */
public final class Summary {
    static final int BYTES = 256;

    private final long documentsWindowed;
    private final long documentsTooShort;
    private final long recordsRejected;
    private final long duplicates;
    private final long filesRejected;
    private final long windowsRejected;
    private final long longestDocument;
    private final long windows;
    private final long windowsKnown;
    private final long windowsExact;
    private final long windowsSelected;
    private final long tokensSelected;
    private final long tokensScored;
    private final long rowsComputed;
    private final long rowsOfExactScores;
    private final long calls;
    private final Duration elapsed;

    Summary(Pointer summary) {
        documentsWindowed = summary.getLong(0);
        documentsTooShort = summary.getLong(8);
        recordsRejected = summary.getLong(16);
        duplicates = summary.getLong(24);
        filesRejected = summary.getLong(32);
        windowsRejected = summary.getLong(40);
        longestDocument = summary.getLong(48);
        windows = summary.getLong(56);
        windowsKnown = summary.getLong(64);
        windowsExact = summary.getLong(72);
        windowsSelected = summary.getLong(80);
        tokensSelected = summary.getLong(88);
        tokensScored = summary.getLong(96);
        rowsComputed = summary.getLong(104);
        rowsOfExactScores = summary.getLong(112);
        calls = summary.getLong(120);
        elapsed = Duration.ofNanos((long) (1e9 * summary.getDouble(128)));
    }

    /** {@return the documents that gave at least one window} */
    public long documentsWindowed() {
        return documentsWindowed;
    }

    /** {@return the documents with fewer tokens than a window} */
    public long documentsTooShort() {
        return documentsTooShort;
    }

    /** {@return the records that could not be used} */
    public long recordsRejected() {
        return recordsRejected;
    }

    /** {@return of the rejected records, those whose id was another document's} */
    public long duplicates() {
        return duplicates;
    }

    /** {@return the files that could not be read to their end, of which nothing counts} */
    public long filesRejected() {
        return filesRejected;
    }

    /** {@return the windows that could not be scored} */
    public long windowsRejected() {
        return windowsRejected;
    }

    /** {@return the tokens of the longest document} */
    public long longestDocument() {
        return longestDocument;
    }

    /** {@return the windows that have scores} */
    public long windows() {
        return windows;
    }

    /** {@return of those, the windows whose scores are of an earlier call} */
    public long windowsKnown() {
        return windowsKnown;
    }

    /** {@return of those, the windows whose scores are exact; of an adaptive job alone} */
    public long windowsExact() {
        return windowsExact;
    }

    /** {@return the windows that made the cut} */
    public long windowsSelected() {
        return windowsSelected;
    }

    /** {@return the tokens of the windows that made the cut} */
    public long tokensSelected() {
        return tokensSelected;
    }

    /** {@return the tokens that went through the model} */
    public long tokensScored() {
        return tokensScored;
    }

    /** {@return the rows of attention that were computed, of an adaptive job} */
    public long rowsComputed() {
        return rowsComputed;
    }

    /** {@return the rows of attention that exact scores of all windows take, of an adaptive job} */
    public long rowsOfExactScores() {
        return rowsOfExactScores;
    }

    /** {@return the calls that scored} */
    public long calls() {
        return calls;
    }

    /** {@return the time that the calls took} */
    public Duration elapsed() {
        return elapsed;
    }
}
