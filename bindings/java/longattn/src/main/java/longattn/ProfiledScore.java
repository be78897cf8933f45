package longattn;

import com.sun.jna.Pointer;

/** The score of one window, and how far back its attention reaches. */
public final class ProfiledScore {
    private static final int BUCKETS = 32;
    static final int BYTES = Long.BYTES + BUCKETS * Double.BYTES;

    private final Score score;
    private final double[] distanceProfile;

    ProfiledScore(Pointer score, Pointer profile) {
        this.score = new Score(score);
        distanceProfile = profile.getDoubleArray(Long.BYTES, (int) profile.getLong(0));
    }

    /** {@return the score of the window} */
    public Score score() {
        return score;
    }

    /**
     * The mean share of a token's attention by distance, in buckets that begin at powers of two: the distance 0, which is the
     * token itself, then 1, 2 to 3, 4 to 7 and so on, up to the longest distance in the window. The sum from a bucket on is DS
     * for the {@code min_distance} at which the bucket begins. The first {@code sink_tokens} are in no bucket, so what the
     * buckets lack of 1 is their share.
     *
     * @return the share of each bucket
     */
    public double[] distanceProfile() {
        return distanceProfile.clone();
    }
}
