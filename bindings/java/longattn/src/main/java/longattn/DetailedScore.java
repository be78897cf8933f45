package longattn;

import com.sun.jna.Pointer;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/** The score of one window, and of each of its heads. */
public final class DetailedScore {
    private final Score score;
    private final List<Head> heads;

    DetailedScore(Pointer score, Pointer heads) {
        this.score = new Score(score);
        List<Head> read = new ArrayList<>();
        for (int index = 0; index < this.score.headCount(); index++) {
            read.add(new Head(heads.share((long) index * Head.BYTES)));
        }
        this.heads = Collections.unmodifiableList(read);
    }

    /** {@return the score of the window} */
    public Score score() {
        return score;
    }

    /** {@return what each head says, in the model's order} */
    public List<Head> heads() {
        return heads;
    }

    /** What one head says of a window. */
    public static final class Head {
        static final int BYTES = 16;

        private final double proportion;
        private final double variance;

        private Head(Pointer head) {
            proportion = head.getDouble(0);
            variance = head.getDouble(8);
        }

        /** {@return the mean share of a token's attention that reaches far back, from 0 to 1} */
        public double proportion() {
            return proportion;
        }

        /** {@return the variance of the far weights, at least 0; smaller is more even} */
        public double variance() {
            return variance;
        }
    }
}
