package longattn;

import com.sun.jna.Pointer;
import java.util.OptionalLong;

/** How far a job has come. */
public final class JobProgress {
    private final Stage stage;
    private final long done;
    private final OptionalLong total;
    private final long windows;
    private final long tokens;

    JobProgress(Pointer progress) {
        stage = Stage.of(progress.getInt(0));
        total = progress.getByte(4) == 0 ? OptionalLong.empty() : OptionalLong.of(progress.getLong(16));
        done = progress.getLong(8);
        windows = progress.getLong(24);
        tokens = progress.getLong(32);
    }

    /** What a job is busy with. */
    public enum Stage {
        /** Reading the corpus and scoring its windows; the amount is bytes of the input files as they are on disk. */
        READING,
        /** Scoring windows in doubt on more rows; the amount is tokens. */
        REFINING,
        /** Scoring the windows of a calibration; the amount is tokens. */
        SCORING,
        /** Looking up the texts of what was selected; the amount is windows. */
        WRITING,
        /** Something that a later version of the library does. */
        UNKNOWN;

        private static Stage of(int number) {
            return number >= 0 && number < UNKNOWN.ordinal() ? values()[number] : UNKNOWN;
        }
    }

    /** {@return what the job is busy with} */
    public Stage stage() {
        return stage;
    }

    /** {@return how much of the stage is done, in its amount} */
    public long done() {
        return done;
    }

    /** {@return the whole of the stage, in its amount, where it is known} */
    public OptionalLong total() {
        return total;
    }

    /** {@return the windows scored in this call} */
    public long windows() {
        return windows;
    }

    /** {@return the tokens scored in this call} */
    public long tokens() {
        return tokens;
    }
}
