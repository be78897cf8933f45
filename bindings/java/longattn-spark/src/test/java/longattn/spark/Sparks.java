package longattn.spark;

import java.util.Objects;
import java.util.stream.Stream;
import longattn.LongAttnException;
import org.apache.spark.sql.SparkSession;

final class Sparks {
    private Sparks() {}

    static SparkSession local() {
        return SparkSession.builder()
                .master("local[2]")
                .config("spark.ui.enabled", "false")
                .config("spark.sql.shuffle.partitions", "2")
                .config("spark.sql.adaptive.enabled", "false")
                .getOrCreate();
    }

    /** What LongAttn threw, as Spark wraps it. */
    static LongAttnException causeOf(Throwable failure) {
        return Stream.iterate(failure, Objects::nonNull, Throwable::getCause)
                .filter(LongAttnException.class::isInstance)
                .map(LongAttnException.class::cast)
                .findFirst()
                .orElseThrow(() -> new AssertionError("no cause is a LongAttnException", failure));
    }
}
