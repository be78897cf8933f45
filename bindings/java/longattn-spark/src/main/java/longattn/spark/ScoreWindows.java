package longattn.spark;

import java.util.ArrayList;
import java.util.Collections;
import java.util.Iterator;
import java.util.List;
import java.util.function.Function;
import longattn.Input;
import longattn.LongAttnException;
import longattn.ProfiledScore;
import longattn.Result;
import longattn.Score;
import longattn.Scorer;
import longattn.Status;
import org.apache.spark.api.java.function.MapPartitionsFunction;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.RowFactory;

/** The rows of windows to those of their scores, in the same order. */
final class ScoreWindows implements MapPartitionsFunction<Row, Row> {
    private static final long serialVersionUID = 1;

    /** Tokens that are scored in one go, enough to keep all threads busy with short windows. */
    private static final int BATCH_TOKENS = 1 << 16;

    private static final int TOKEN_IDS = Columns.WINDOWS.fieldIndex("token_ids");
    private static final int REASON = Columns.WINDOWS.fieldIndex("reason");

    private final ScorerSpec spec;

    ScoreWindows(ScorerSpec spec) {
        this.spec = spec;
    }

    @Override
    public Iterator<Row> call(Iterator<Row> windows) {
        return new Iterator<>() {
            private Iterator<Row> batch = Collections.emptyIterator();

            @Override
            public boolean hasNext() {
                return batch.hasNext() || windows.hasNext();
            }

            @Override
            public Row next() {
                if (!batch.hasNext()) {
                    batch = scoreBatch(windows);
                }
                return batch.next();
            }
        };
    }

    private Iterator<Row> scoreBatch(Iterator<Row> windows) {
        List<Row> rows = new ArrayList<>();
        List<Input> inputs = new ArrayList<>();
        for (int tokens = 0; windows.hasNext() && tokens < BATCH_TOKENS; ) {
            Row row = windows.next();
            rows.add(row);
            if (row.isNullAt(REASON)) {
                int[] ids = row.<Integer>getList(TOKEN_IDS).stream().mapToInt(Integer::intValue).toArray();
                inputs.add(Input.tokens(ids));
                tokens += ids.length;
            }
        }
        Scorer scorer = spec.scorer();
        Iterator<Function<Row, Row>> scored = spec.hasProfile() ? profiles(scorer, inputs) : scores(scorer, inputs);
        List<Row> results = new ArrayList<>(rows.size());
        for (Row row : rows) {
            results.add(row.isNullAt(REASON) ? scored.next().apply(row) : rejectedRow(row, row.getString(REASON)));
        }
        return results.iterator();
    }

    private static Iterator<Function<Row, Row>> scores(Scorer scorer, List<Input> inputs) {
        try {
            return scorer.scoreAll(inputs).stream().map(ScoreWindows::withResult).iterator();
        } catch (InterruptedException interrupt) {
            Thread.currentThread().interrupt();
            throw interrupted();
        }
    }

    /** Windows with profiles are scored one by one. */
    private static Iterator<Function<Row, Row>> profiles(Scorer scorer, List<Input> inputs) {
        return inputs.stream().map(input -> withProfile(scorer, input)).iterator();
    }

    private static LongAttnException interrupted() {
        return new LongAttnException(Status.CANCELLED, "the task was interrupted");
    }

    private static Function<Row, Row> withResult(Result result) {
        if (result.status() != Status.OK && !result.status().isFatal()) {
            return window -> rejectedRow(window, result.message());
        }
        Score score = result.score();
        return window -> scoredRow(window, score, null);
    }

    private static Function<Row, Row> withProfile(Scorer scorer, Input input) {
        if (Thread.currentThread().isInterrupted()) {
            throw interrupted();
        }
        try {
            ProfiledScore score = scorer.scoreProfile(input);
            return window -> scoredRow(window, score.score(), score.distanceProfile());
        } catch (LongAttnException failure) {
            if (failure.status().isFatal()) {
                throw failure;
            }
            return window -> rejectedRow(window, failure.getMessage());
        }
    }

    private static Row scoredRow(Row window, Score score, double[] profile) {
        return row(window, score.tokenCount(), score.minDistance(), score.sinkTokens(), score.dependencyStrength(),
                score.distributionUniformity(), score.rows(), score.dependencyStrengthError(),
                score.distributionUniformityError(), profile, null);
    }

    private static Row rejectedRow(Row window, String reason) {
        return row(window, null, null, null, null, null, null, null, null, null, reason);
    }

    private static Row row(Row window, Object... values) {
        Object[] row = new Object[Columns.PLACE_COUNT + values.length];
        for (int column = 0; column < Columns.PLACE_COUNT; column++) {
            row[column] = window.get(column);
        }
        System.arraycopy(values, 0, row, Columns.PLACE_COUNT, values.length);
        return RowFactory.create(row);
    }
}
