package longattn.spark;

import static org.apache.spark.sql.functions.col;
import static org.apache.spark.sql.functions.lit;

import java.util.List;
import java.util.Map;
import longattn.LongAttnException;
import longattn.Status;
import org.apache.spark.sql.Column;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Encoders;
import org.apache.spark.sql.Row;

/**
 * Windows, scores and selections as datasets.
 *
 * <pre>{@code
 * ScorerSpec spec = new ScorerSpec("/models/smollm2", Map.of("window", "8192"));
 * LongAttnSpark.scores(LongAttnSpark.windows(documents, spec).repartition(400, col("id")), spec)
 *     .write().parquet("scores");
 * Dataset<Row> scores = spark.read().parquet("scores");
 * LongAttnSpark.select(scores, Map.of("ratio", "0.25")).where("selected").write().parquet("selected");
 * }</pre>
 *
 * <p>Each executor process opens a scorer once, and all its tasks share it. A task that is tried again gives the same rows,
 * to the bit.
 */
public final class LongAttnSpark {
    private LongAttnSpark() {}

    /**
     * Cuts documents into windows by Algorithm 1 of the paper, as the command line does.
     *
     * @param documents with the columns {@code id}, which no two share, {@code category} and {@code text}, all strings, and
     *     maybe {@code reason}, why a document cannot be used; other columns are dropped
     * @param spec gives the tokenizer and the setting {@code window}
     * @return one row a window, with {@code id}, {@code category}, {@code document}, {@code token_start}, {@code byte_start},
     *     {@code byte_end} and {@code token_ids}; and one row with a {@code reason} for each document that cannot be used. A
     *     document shorter than a window gives none.
     */
    public static Dataset<Row> windows(Dataset<Row> documents, ScorerSpec spec) {
        return documents
                .select(col("id"), col("category"), col("text").cast("binary"), optional(documents, "reason"))
                .flatMap(new CutDocument(spec), Encoders.row(Columns.WINDOWS));
    }

    /**
     * Scores windows. Scoring is far more work than all else, so spread the windows over the cluster first, by
     * {@code repartition(partitions, col("id"))}.
     *
     * @param windows as {@link #windows} gives them
     * @param spec gives the model and its settings
     * @return one row a window, with the columns of the command line's scores; {@code reason} is null where there is a score.
     *     An error that would befall every other window too, such as a missing ONNX Runtime, fails the task.
     */
    public static Dataset<Row> scores(Dataset<Row> windows, ScorerSpec spec) {
        return windows
                .select(Columns.of(Columns.WINDOWS))
                .mapPartitions(new ScoreWindows(spec), Encoders.row(Columns.SCORES));
    }

    /**
     * Ranks the windows of each category and cuts, by the library's own selector. The scores are read twice: write them first,
     * or persist them. All windows of a category are ranked by one task, which takes about 60 bytes of native memory for each,
     * and its id.
     *
     * @param scores with the columns {@code id}, {@code category}, {@code token_count}, {@code dependency_strength} and
     *     {@code distribution_uniformity}, and {@code min_distance} and {@code sink_tokens} where they are known; rows with a
     *     {@code reason} are left out
     * @param settings {@code alpha}, {@code standardize}, {@code mixed_lengths}, and one of {@code ratio}, {@code count},
     *     {@code token_budget} and {@code threshold}, where they are not to have their defaults
     * @return the same rows with {@code lds}, {@code rank} within the category, 0 for the best, and {@code selected}
     * @throws LongAttnException with {@link Status#INVALID_SETTING} for a wrong setting or more than one cut; where two windows
     *     of a category have the same id or were measured differently, or a score is NaN or infinite, the cause of Spark's
     *     exception is one
     */
    public static Dataset<Row> select(Dataset<Row> scores, Map<String, String> settings) {
        Dataset<Row> scored = scores.where(optional(scores, "reason").isNull());
        return new Selection(settings).rank(scored);
    }

    /**
     * Adds the text of windows.
     *
     * @param windows with the columns {@code document}, {@code byte_start} and {@code byte_end}
     * @param documents those that the windows were cut from, with {@code id} and {@code text}
     * @return the windows with {@code content}
     */
    public static Dataset<Row> texts(Dataset<Row> windows, Dataset<Row> documents) {
        Dataset<Row> texts = documents.select(col("id").as("document"), col("text").cast("binary").as("content"));
        Column start = col("byte_start").plus(1);
        Column length = col("byte_end").minus(col("byte_start"));
        return windows.join(texts, "document")
                .withColumn("content", col("content").substr(start, length).cast("string"));
    }

    private static Column optional(Dataset<Row> rows, String column) {
        return List.of(rows.columns()).contains(column) ? col(column) : lit(null).cast("string").as(column);
    }
}
