package longattn.spark;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Collectors;
import longattn.Case;
import longattn.LongAttnException;
import longattn.Ranked;
import longattn.Selector;
import longattn.Status;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.RowFactory;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;
import org.junit.jupiter.api.Test;

class SelectionTest {
    private static final StructType SCORES = new StructType()
            .add("category", DataTypes.StringType)
            .add("id", DataTypes.StringType)
            .add("token_count", DataTypes.LongType)
            .add("dependency_strength", DataTypes.DoubleType)
            .add("distribution_uniformity", DataTypes.DoubleType);

    private final SparkSession spark = Sparks.local();

    private List<List<Object>> ranked(List<Row> windows, Map<String, String> settings) {
        Dataset<Row> scores = spark.createDataFrame(windows, SCORES).repartition(3);
        return LongAttnSpark.select(scores, settings)
                .select("category", "id", "token_count", "dependency_strength", "distribution_uniformity", "rank", "lds", "selected")
                .orderBy("category", "rank")
                .collectAsList().stream()
                .map(row -> List.of(row.get(0), row.get(1), row.get(2), row.get(3), row.get(4), row.get(5), row.get(6), row.get(7)))
                .collect(Collectors.toList());
    }

    @Test
    void windowsAreSelectedAsInTheCases() {
        Map<String, List<String[]>> cases = Case.read("tests/data/cases/selection.tsv").stream()
                .collect(Collectors.groupingBy(row -> row[0], LinkedHashMap::new, Collectors.toList()));
        cases.forEach((name, rows) -> {
            List<Row> windows = new ArrayList<>();
            List<List<Object>> expected = new ArrayList<>();
            for (String[] row : rows) {
                long tokens = Long.parseLong(row[4]);
                double strength = Double.parseDouble(row[5]);
                double uniformity = Double.parseDouble(row[6]);
                windows.add(RowFactory.create(row[2], row[3], tokens, strength, uniformity));
                expected.add(List.of(row[2], row[3], tokens, strength, uniformity, Long.parseLong(row[7]),
                        Double.parseDouble(row[8]), Boolean.parseBoolean(row[9])));
            }
            assertEquals(expected, ranked(windows, Case.settings(rows.get(0)[1])), name);
        });
    }

    @Test
    void manyWindowsAreSelectedAsByTheNativeSelector() {
        Random random = new Random(1);
        List<Row> windows = new ArrayList<>();
        try (Selector selector = new Selector()) {
            for (int index = 0; index < 2000; index++) {
                String category = List.of("bücher", "code", "日本語").get(random.nextInt(3));
                String id = (char) ('Z' + random.nextInt(3000)) + "#" + index;
                long tokens = 1 + random.nextInt(5000);
                // Some are equal.
                double strength = random.nextInt(10) == 0 ? 0.1 : random.nextDouble();
                double uniformity = -1e-6 * random.nextDouble();
                windows.add(RowFactory.create(category, id, tokens, strength, uniformity));
                selector.add(id, category, tokens, strength, uniformity);
            }
            for (String settings : List.of("mixed_lengths=allow",
                    "mixed_lengths=allow standardize=min-max alpha=-0.7 token_budget=100000",
                    "mixed_lengths=allow token_budget=18446744073709551615")) {
                List<List<Object>> expected = new ArrayList<>();
                for (Ranked window : selector.finish(Case.settings(settings))) {
                    expected.add(List.of(window.category(), window.id(), window.tokenCount(), window.dependencyStrength(),
                            window.distributionUniformity(), window.rank(), window.longDistanceDependencyScore(),
                            window.selected()));
                }
                assertEquals(expected, ranked(windows, Case.settings(settings)), settings);
            }
        }
    }

    @Test
    void whatTheNativeSelectorRefusesIsRefused() {
        Row window = RowFactory.create("books", "a", 1L, 0.1, -0.1);
        Row bad = RowFactory.create("books", "b", 1L, Double.NaN, -0.1);
        Row nameless = RowFactory.create("books", null, 1L, 0.1, -0.1);
        assertFails(Status.INVALID_ARGUMENT, "window a of category books", List.of(window, window), "");
        assertFails(Status.INVALID_ARGUMENT, "without id", List.of(window, nameless), "");
        assertFails(Status.NON_FINITE, "window b", List.of(window, bad), "");
        assertFails(Status.INVALID_SETTING, "only one of", List.of(window), "ratio=0.5 count=3");
        assertFails(Status.INVALID_SETTING, "alpha", List.of(window), "alpha=red");
    }

    private void assertFails(Status status, String words, List<Row> windows, String settings) {
        LongAttnException failure =
                Sparks.causeOf(assertThrows(Exception.class, () -> ranked(windows, Case.settings(settings))));
        assertEquals(status, failure.status());
        assertTrue(failure.getMessage().contains(words), failure.getMessage());
    }
}
