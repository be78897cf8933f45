package longattn.spark;

import java.util.ArrayList;
import java.util.Collections;
import java.util.Iterator;
import java.util.List;
import longattn.Input;
import longattn.LongAttnException;
import longattn.Result;
import longattn.Score;
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
        Iterator<Result> results = score(inputs).iterator();
        List<Row> scored = new ArrayList<>(rows.size());
        for (Row row : rows) {
            scored.add(row.isNullAt(REASON) ? scoredRow(row, results.next()) : rejectedRow(row, row.getString(REASON)));
        }
        return scored.iterator();
    }

    private List<Result> score(List<Input> inputs) {
        try {
            return spec.scorer().scoreAll(inputs);
        } catch (InterruptedException interrupt) {
            Thread.currentThread().interrupt();
            throw new LongAttnException(Status.CANCELLED, "the task was interrupted");
        }
    }

    private static Row scoredRow(Row window, Result result) {
        if (result.status() != Status.OK && !result.status().isFatal()) {
            return rejectedRow(window, result.message());
        }
        Score score = result.score();
        return row(window, score.tokenCount(), score.minDistance(), score.sinkTokens(), score.dependencyStrength(),
                score.distributionUniformity(), score.rows(), score.dependencyStrengthError(),
                score.distributionUniformityError(), null);
    }

    private static Row rejectedRow(Row window, String reason) {
        return row(window, null, null, null, null, null, null, null, null, reason);
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
