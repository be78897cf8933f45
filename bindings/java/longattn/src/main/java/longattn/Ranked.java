package longattn;

import com.sun.jna.Pointer;

/** One window of a selection. */
public final class Ranked {
    static final int BYTES = 80;

    private final String id;
    private final String category;
    private final long rank;
    private final long tokenCount;
    private final double dependencyStrength;
    private final double distributionUniformity;
    private final double longDistanceDependencyScore;
    private final boolean selected;

    Ranked(Pointer ranked) {
        id = Arena.string(ranked.getPointer(0), ranked.getLong(8));
        category = Arena.string(ranked.getPointer(16), ranked.getLong(24));
        rank = ranked.getLong(32);
        tokenCount = ranked.getLong(40);
        dependencyStrength = ranked.getDouble(48);
        distributionUniformity = ranked.getDouble(56);
        longDistanceDependencyScore = ranked.getDouble(64);
        selected = ranked.getByte(72) != 0;
    }

    /** {@return the id that the window was added with} */
    public String id() {
        return id;
    }

    /** {@return the category that it was added with} */
    public String category() {
        return category;
    }

    /** {@return the place in the category, 0 for the best} */
    public long rank() {
        return rank;
    }

    /** {@return the tokens of the window} */
    public long tokenCount() {
        return tokenCount;
    }

    /** {@return DS of the window} */
    public double dependencyStrength() {
        return dependencyStrength;
    }

    /** {@return DU of the window} */
    public double distributionUniformity() {
        return distributionUniformity;
    }

    /** {@return LDS = Std(DS) + alpha * Std(DU), relative to the category; larger is better} */
    public double longDistanceDependencyScore() {
        return longDistanceDependencyScore;
    }

    /** {@return whether the window made the cut} */
    public boolean selected() {
        return selected;
    }
}
