package longattn.spark;

import static org.apache.spark.sql.functions.broadcast;
import static org.apache.spark.sql.functions.col;
import static org.apache.spark.sql.functions.lit;
import static org.apache.spark.sql.functions.row_number;
import static org.apache.spark.sql.functions.sum;
import static org.apache.spark.sql.functions.when;

import java.math.BigInteger;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import longattn.Selector;
import longattn.Setting;
import org.apache.spark.sql.Column;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.RowFactory;
import org.apache.spark.sql.expressions.Window;
import org.apache.spark.sql.expressions.WindowSpec;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;

/**
 * Ranks windows within their categories and cuts, by the same operations in the same order as the native selector, and so
 * with the same bits.
 *
 * <p>Sums of floating-point numbers depend on their order, so each category is summed by one task, in the order of the ids. That
 * task holds one row at a time, and takes about a microsecond for each, where scoring took the better part of a second. All
 * else is done row by row.
 */
final class Selection {
    private static final StructType SCALES = new StructType()
            .add("category", DataTypes.StringType)
            .add("windows", DataTypes.LongType)
            .add("strength_offset", DataTypes.DoubleType)
            .add("strength_scale", DataTypes.DoubleType)
            .add("uniformity_offset", DataTypes.DoubleType)
            .add("uniformity_scale", DataTypes.DoubleType);

    private final Map<String, String> settings;
    private final boolean isMinMax;

    Selection(Map<String, String> settings) {
        try (Selector empty = new Selector()) {
            empty.finish(settings); // refuses what the native selector refuses
        }
        this.settings = Setting.values(settings);
        isMinMax = this.settings.get("standardize").equals("min-max");
    }

    Dataset<Row> rank(Dataset<Row> scores) {
        Column strength = standardized("dependency_strength", "strength");
        Column uniformity = standardized("distribution_uniformity", "uniformity");
        Column score = strength.plus(lit(Double.parseDouble(settings.get("alpha"))).multiply(uniformity));
        WindowSpec best = Window.partitionBy("category").orderBy(col("lds").desc(), col("id").asc());
        return scores.join(broadcast(scales(scores)), "category")
                .withColumn("lds", score)
                .withColumn("rank", row_number().over(best).cast("long").minus(1))
                .withColumn("selected", cut(best))
                .drop("windows", "strength_offset", "strength_scale", "uniformity_offset", "uniformity_scale");
    }

    private Column standardized(String value, String axis) {
        Column scale = col(axis + "_scale");
        return when(scale.isNull(), lit(isMinMax ? 0.5 : 0.0))
                .otherwise(col(value).minus(col(axis + "_offset")).divide(scale));
    }

    private Column cut(WindowSpec best) {
        if (isSet("count")) {
            return col("rank").lt(wholeNumber("count"));
        }
        if (isSet("token_budget")) {
            WindowSpec down = best.rowsBetween(Window.unboundedPreceding(), Window.currentRow());
            return sum("token_count").over(down).leq(wholeNumber("token_budget"));
        }
        if (isSet("threshold")) {
            return col("lds").geq(Double.parseDouble(settings.get("threshold")));
        }
        double ratio = isSet("ratio") ? Double.parseDouble(settings.get("ratio")) : 0.25;
        // 0.29 of 100 is 29, though its product in floating point is a little less.
        return col("rank").lt(col("windows").cast("double").multiply(ratio).multiply(1.0 + 1e-12).cast("long"));
    }

    private boolean isSet(String key) {
        return !settings.get(key).equals("auto");
    }

    /** Some are larger than a {@code long} can be, and than any corpus. */
    private long wholeNumber(String key) {
        return new BigInteger(settings.get(key)).min(BigInteger.valueOf(Long.MAX_VALUE)).longValue();
    }

    /** For each category what its standardised values are counted from, and their unit: null where all values are equal. */
    private Dataset<Row> scales(Dataset<Row> scores) {
        Dataset<Row> values = scores.select(
                col("category"), col("id"), col("dependency_strength").as("strength"),
                col("distribution_uniformity").as("uniformity"));
        List<Row> sums = OrderedSums.of(values);
        return table(scores, isMinMax ? extremes(sums) : deviations(values, sums));
    }

    private static List<Row> extremes(List<Row> sums) {
        List<Row> scales = new ArrayList<>();
        for (Row sum : sums) {
            scales.add(scale(sum, min(sum, "strength"), max(sum, "strength") - min(sum, "strength"),
                    min(sum, "uniformity"), max(sum, "uniformity") - min(sum, "uniformity")));
        }
        return scales;
    }

    private static List<Row> deviations(Dataset<Row> values, List<Row> sums) {
        List<Row> means = new ArrayList<>();
        for (Row sum : sums) {
            means.add(scale(sum, mean(sum, "strength"), 1, mean(sum, "uniformity"), 1));
        }
        Dataset<Row> squares = values.join(broadcast(table(values, means)), "category")
                .select(col("category"), col("id"), square("strength"), square("uniformity"));
        Map<String, Row> variances = new HashMap<>();
        OrderedSums.of(squares).forEach(sum -> variances.put(sum.getAs("category"), sum));
        List<Row> scales = new ArrayList<>();
        for (Row sum : sums) {
            Row variance = variances.get(sum.<String>getAs("category"));
            scales.add(scale(sum, mean(sum, "strength"), Math.sqrt(mean(variance, "strength")),
                    mean(sum, "uniformity"), Math.sqrt(mean(variance, "uniformity"))));
        }
        return scales;
    }

    private static Column square(String axis) {
        Column difference = col(axis).minus(col(axis + "_offset"));
        return difference.multiply(difference).as(axis);
    }

    private static Row scale(
            Row sum, double strengthOffset, double strengthScale, double uniformityOffset, double uniformityScale) {
        return RowFactory.create(sum.getAs("category"), sum.getAs("windows"),
                strengthOffset, unit(sum, "strength", strengthScale),
                uniformityOffset, unit(sum, "uniformity", uniformityScale));
    }

    /** The mean of equal values can differ from them by rounding; they are still equal. */
    private static Double unit(Row sum, String axis, double scale) {
        return scale == 0 || min(sum, axis) == max(sum, axis) ? null : (Double) scale;
    }

    private static double mean(Row sum, String axis) {
        return sum.<Double>getAs(axis + "_sum") / sum.<Long>getAs("windows");
    }

    private static double min(Row sum, String axis) {
        return sum.<Double>getAs(axis + "_min");
    }

    private static double max(Row sum, String axis) {
        return sum.<Double>getAs(axis + "_max");
    }

    private static Dataset<Row> table(Dataset<Row> of, List<Row> scales) {
        return of.sparkSession().createDataFrame(scales, SCALES);
    }
}
