package longattn.spark;

import static org.apache.spark.sql.functions.coalesce;
import static org.apache.spark.sql.functions.col;
import static org.apache.spark.sql.functions.lit;

import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import longattn.Selector;
import org.apache.spark.sql.Column;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Encoders;
import org.apache.spark.sql.Row;

/** Ranks windows within their categories and cuts, by the library's selector: all windows of a category by one task. */
final class Selection {
    private final TreeMap<String, String> settings;

    Selection(Map<String, String> settings) {
        try (Selector empty = new Selector()) {
            empty.finish(settings); // refuses what the selector refuses
        }
        this.settings = new TreeMap<>(settings);
    }

    Dataset<Row> rank(Dataset<Row> scores) {
        Dataset<Row> standings = scores
                .select(col("category"), col("id"), col("token_count"), number(scores, "min_distance"),
                        number(scores, "sink_tokens"), col("dependency_strength"), col("distribution_uniformity"))
                .repartition(col("category"))
                .mapPartitions(new RankCategories(settings), Encoders.row(RankCategories.STANDINGS));
        return scores.join(standings, scala.collection.JavaConverters.asScalaBuffer(List.of("category", "id")).toSeq());
    }

    /** A column of whole numbers that was not always written. */
    private static Column number(Dataset<Row> scores, String name) {
        boolean there = List.of(scores.columns()).contains(name);
        return there ? coalesce(col(name).cast("long"), lit(0L)) : lit(0L);
    }
}
