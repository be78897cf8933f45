package longattn.spark;

import static org.apache.spark.sql.functions.col;

import java.util.Iterator;
import java.util.List;
import longattn.LongAttnException;
import longattn.Status;
import org.apache.spark.api.java.function.FlatMapGroupsFunction;
import org.apache.spark.api.java.function.MapFunction;
import org.apache.spark.sql.Column;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Encoders;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.RowFactory;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;

/** Sums and extremes of a category's values, which come in the order of the bytes of their ids. */
final class OrderedSums implements FlatMapGroupsFunction<String, Row, Row> {
    private static final long serialVersionUID = 1;

    private static final StructType SUMS = new StructType()
            .add("category", DataTypes.StringType)
            .add("windows", DataTypes.LongType)
            .add("strength_sum", DataTypes.DoubleType)
            .add("strength_min", DataTypes.DoubleType)
            .add("strength_max", DataTypes.DoubleType)
            .add("uniformity_sum", DataTypes.DoubleType)
            .add("uniformity_min", DataTypes.DoubleType)
            .add("uniformity_max", DataTypes.DoubleType);

    /** The sums of rows of category, id, strength and uniformity. */
    static List<Row> of(Dataset<Row> values) {
        return values
                .groupByKey((MapFunction<Row, String>) row -> row.getString(0), Encoders.STRING())
                .flatMapSortedGroups(new Column[] {col("id")}, new OrderedSums(), Encoders.row(SUMS))
                .collectAsList();
    }

    @Override
    public Iterator<Row> call(String category, Iterator<Row> values) {
        Sum strength = new Sum();
        Sum uniformity = new Sum();
        long count = 0;
        String last = null;
        while (values.hasNext()) {
            Row row = values.next();
            String id = row.getString(1);
            check(category, id, last);
            last = id;
            strength.add(id, row.getDouble(2));
            uniformity.add(id, row.getDouble(3));
            count++;
        }
        Row sums = RowFactory.create(category, count, strength.sum, strength.min, strength.max,
                uniformity.sum, uniformity.min, uniformity.max);
        return List.of(sums).iterator();
    }

    private static void check(String category, String id, String last) {
        if (category == null || id == null) {
            throw new LongAttnException(Status.INVALID_ARGUMENT, "there is a window without id or category");
        }
        if (id.equals(last)) {
            throw new LongAttnException(
                    Status.INVALID_ARGUMENT, "window " + id + " of category " + category + " was given twice");
        }
    }

    private static final class Sum {
        double sum;
        double min = Double.POSITIVE_INFINITY;
        double max = Double.NEGATIVE_INFINITY;

        void add(String id, double value) {
            if (!Double.isFinite(value)) {
                throw new LongAttnException(Status.NON_FINITE, "window " + id + " has a score that is NaN or infinite");
            }
            sum += value;
            min = Math.min(min, value);
            max = Math.max(max, value);
        }
    }
}
