package longattn.spark;

import java.util.Arrays;
import org.apache.spark.sql.Column;
import org.apache.spark.sql.functions;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;

/** The columns of datasets; those that the command line writes too have its names. */
final class Columns {
    private static final StructType PLACE = new StructType()
            .add("id", DataTypes.StringType)
            .add("category", DataTypes.StringType)
            .add("document", DataTypes.StringType)
            .add("token_start", DataTypes.IntegerType)
            .add("byte_start", DataTypes.IntegerType)
            .add("byte_end", DataTypes.IntegerType);

    /** How many columns windows and scores share. */
    static final int PLACE_COUNT = PLACE.size();

    static final StructType WINDOWS = PLACE
            .add("token_ids", DataTypes.createArrayType(DataTypes.IntegerType, false))
            .add("reason", DataTypes.StringType);

    static final StructType SCORES = PLACE
            .add("token_count", DataTypes.LongType)
            .add("min_distance", DataTypes.LongType)
            .add("sink_tokens", DataTypes.LongType)
            .add("dependency_strength", DataTypes.DoubleType)
            .add("distribution_uniformity", DataTypes.DoubleType)
            .add("rows", DataTypes.LongType)
            .add("dependency_strength_error", DataTypes.DoubleType)
            .add("distribution_uniformity_error", DataTypes.DoubleType)
            .add("distance_profile", DataTypes.createArrayType(DataTypes.DoubleType, false))
            .add("reason", DataTypes.StringType);

    private Columns() {}

    static Column[] of(StructType type) {
        return Arrays.stream(type.fieldNames()).map(functions::col).toArray(Column[]::new);
    }
}
