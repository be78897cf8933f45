package longattn.spark;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;
import longattn.Case;
import longattn.LongAttnException;
import longattn.Scorer;
import longattn.Status;
import longattn.Window;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.RowFactory;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;
import org.junit.jupiter.api.Test;

class ScoresTest {
    private static final StructType DOCUMENTS = new StructType()
            .add("id", DataTypes.StringType)
            .add("category", DataTypes.StringType)
            .add("text", DataTypes.BinaryType);
    private static final Map<String, String> SETTINGS = Map.of("window", "60", "threads", "1");
    private static final String TEXT = Case.SENTENCE + " Übergrößenträger: 日本語, ½ x² 🚀";

    private final SparkSession spark = Sparks.local();
    private final ScorerSpec spec = new ScorerSpec(Case.TINY.toString(), SETTINGS);

    private Dataset<Row> documents(Row... rows) {
        return spark.createDataFrame(List.of(rows), DOCUMENTS);
    }

    private Dataset<Row> scores(Dataset<Row> documents, ScorerSpec by) {
        return LongAttnSpark.scores(LongAttnSpark.windows(documents, by).repartition(2), by);
    }

    @Test
    void windowsHaveTheScoresAndTextsOfTheLibrary() {
        byte[] bytes = TEXT.getBytes(UTF_8);
        Dataset<Row> documents = documents(RowFactory.create("a", "books", bytes));
        Dataset<Row> scores = scores(documents, spec);
        List<Row> found = LongAttnSpark.texts(scores, documents).orderBy("id").collectAsList();
        try (Scorer scorer = Scorer.open(Case.TINY, SETTINGS)) {
            List<Window> windows = scorer.cut(bytes);
            assertEquals(windows.size(), found.size());
            assertTrue(windows.size() > 1);
            for (int number = 0; number < windows.size(); number++) {
                Window window = windows.get(number);
                Row row = found.get(number);
                assertEquals("a#" + number, row.getAs("id"));
                assertEquals("books", row.getAs("category"));
                assertEquals(window.tokenStart(), row.<Integer>getAs("token_start"));
                assertEquals(60L, row.<Long>getAs("rows"));
                assertEquals(scorer.score(window.input()).dependencyStrength(), row.<Double>getAs("dependency_strength"));
                assertEquals(window.text(bytes), row.getAs("content"));
            }
        }
    }

    @Test
    void profilesAreThoseOfTheLibrary() {
        byte[] bytes = TEXT.getBytes(UTF_8);
        Map<String, String> settings = Map.of("window", "60", "threads", "1", "profile", "true");
        ScorerSpec profiled = new ScorerSpec(Case.TINY.toString(), settings);
        List<Row> found = scores(documents(RowFactory.create("a", "books", bytes)), profiled).orderBy("id").collectAsList();
        try (Scorer scorer = Scorer.open(Case.TINY, settings)) {
            List<Window> windows = scorer.cut(bytes);
            assertEquals(windows.size(), found.size());
            for (int number = 0; number < windows.size(); number++) {
                double[] expected = scorer.scoreProfile(windows.get(number).input()).distanceProfile();
                List<Double> profile = found.get(number).getList(found.get(number).fieldIndex("distance_profile"));
                assertArrayEquals(expected, profile.stream().mapToDouble(Double::doubleValue).toArray());
            }
        }
    }

    @Test
    void whatCannotBeUsedHasAReason() {
        List<Row> found = scores(documents(
                RowFactory.create("a", "books", null),
                RowFactory.create("b", null, new byte[0]),
                RowFactory.create(null, "books", new byte[0]),
                RowFactory.create("d", "books", new byte[] {'a', -1}),
                RowFactory.create("short", "books", new byte[] {'a'})), spec).orderBy("document").collectAsList();
        assertEquals(4, found.size());
        List<String> words = List.of("no id", "no text", "no category", "not valid UTF-8 at byte 1");
        for (int place = 0; place < 4; place++) {
            String reason = found.get(place).getAs("reason");
            assertTrue(reason.contains(words.get(place)), reason);
        }
        // A window of one token.
        ScorerSpec one = new ScorerSpec(Case.TINY.toString(), Map.of("window", "1"));
        Row row = scores(documents(RowFactory.create("a", "books", new byte[] {'a'})), one).first();
        assertTrue(row.<String>getAs("reason").contains("1 tokens"), row.toString());
        assertEquals("a#0", row.getAs("id"));
    }

    @Test
    void whatBefallsAllWindowsFailsTheTask() {
        Dataset<Row> documents = documents(RowFactory.create("a", "books", TEXT.getBytes(UTF_8)));
        for (ScorerSpec bad : List.of(new ScorerSpec("/no/such/package", Map.of()),
                new ScorerSpec(Case.TINY.toString(), Map.of("onnxruntime", "/no/such/libonnxruntime.so")))) {
            LongAttnException failure =
                    Sparks.causeOf(assertThrows(Exception.class, () -> scores(documents, bad).collectAsList()));
            assertTrue(failure.getMessage().contains("/no/such/"), failure.getMessage());
            assertTrue(List.of(Status.INVALID_MODEL, Status.RUNTIME).contains(failure.status()));
        }
    }
}
