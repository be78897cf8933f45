package longattn;

import com.sun.jna.Pointer;

/** The score of one window. */
public final class Score {
    static final int BYTES = 104;

    private final long tokenCount;
    private final long minDistance;
    private final long sinkTokens;
    private final int headCount;
    private final double dependencyStrength;
    private final double distributionUniformity;
    private final long rows;
    private final double dependencyStrengthError;
    private final double distributionUniformityError;
    private final long untrainedTokens;
    private final double farSquareMass;

    Score(Pointer score) {
        tokenCount = score.getLong(0);
        minDistance = score.getLong(8);
        sinkTokens = score.getLong(16);
        headCount = (int) score.getLong(24);
        dependencyStrength = score.getDouble(32);
        distributionUniformity = score.getDouble(40);
        rows = score.getLong(48);
        dependencyStrengthError = score.getDouble(56);
        distributionUniformityError = score.getDouble(64);
        untrainedTokens = score.getLong(72);
        farSquareMass = score.getDouble(80);
    }

    /** Writes what a selection reads of a score. */
    static void write(Pointer score, long tokenCount, long minDistance, long sinkTokens, double dependencyStrength,
            double distributionUniformity) {
        score.setLong(0, tokenCount);
        score.setLong(8, minDistance);
        score.setLong(16, sinkTokens);
        score.setDouble(32, dependencyStrength);
        score.setDouble(40, distributionUniformity);
    }

    /** Writes what a selection reads of the score, and its standard errors. */
    void write(Pointer score) {
        write(score, tokenCount, minDistance, sinkTokens, dependencyStrength, distributionUniformity);
        score.setDouble(56, dependencyStrengthError);
        score.setDouble(64, distributionUniformityError);
    }

    /** {@return the tokens scored, special ones included} */
    public long tokenCount() {
        return tokenCount;
    }

    /** {@return the shortest distance that counted as far, in tokens} */
    public long minDistance() {
        return minDistance;
    }

    /** {@return how many first positions never counted as far} */
    public long sinkTokens() {
        return sinkTokens;
    }

    /** {@return the heads that were scored} */
    public int headCount() {
        return headCount;
    }

    /** {@return dependency strength DS: the mean of the heads' proportions; from 0 to 1, larger reaches farther} */
    public double dependencyStrength() {
        return dependencyStrength;
    }

    /** {@return distribution uniformity DU: minus the mean of the heads' variances; at most 0, larger is more even} */
    public double distributionUniformity() {
        return distributionUniformity;
    }

    /** {@return the rows of attention that are known; fewer than tokens where the setting {@code rows} asked for an estimate} */
    public long rows() {
        return rows;
    }

    /** {@return the standard error of DS; 0 where all rows are known} */
    public double dependencyStrengthError() {
        return dependencyStrengthError;
    }

    /** {@return the standard error of DU; 0 where all rows are known} */
    public double distributionUniformityError() {
        return distributionUniformityError;
    }

    /**
     * Tokens at the end of the window past the positions that the model was trained for, whose attention is a guess.
     *
     * @return their number; 0 where the model does not tell
     */
    public long untrainedTokens() {
        return untrainedTokens;
    }

    /**
     * Far square mass: the mean over heads of the squares of far weights, summed over a token's and averaged over tokens.
     *
     * @return it, from 0 to DS; larger is more concentrated
     */
    public double farSquareMass() {
        return farSquareMass;
    }
}
