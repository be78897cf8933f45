package longattn;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

class CasesTest {
    @Test
    void documentsAreCutAsInTheCases() {
        try (Scorer scorer = Scorer.open(Case.TINY)) {
            for (String[] row : Case.read("tests/data/cases/windows.tsv")) {
                // A token of the tiny package is a byte.
                byte[] document = "a".repeat(Integer.parseInt(row[1])).getBytes();
                List<Window> windows = scorer.cut(document, Long.parseLong(row[0]));
                String starts = windows.stream().map(window -> "" + window.tokenStart()).collect(Collectors.joining(" "));
                assertEquals(row[2], starts, row[1] + " tokens by " + row[0]);
            }
        }
    }

    @Test
    void scoresAreTheBitsOfThisMachine() {
        Map<String, Scorer> scorers = new LinkedHashMap<>();
        for (String[] row : Case.read("target/cases/scores.tsv")) {
            Scorer scorer = scorers.computeIfAbsent(
                    row[0] + row[1], key -> Scorer.open(Case.packageOf(row[0]), Case.settings(row[1])));
            Input input = row[2].equals("text") ? Input.text(row[3]) : Input.tokens(Case.ids(row[3]));
            Score score = scorer.score(input);
            if (!row[13].isEmpty()) {
                double[] profile = Arrays.stream(Case.words(row[13])).mapToDouble(Double::parseDouble).toArray();
                ProfiledScore profiled = scorer.scoreProfile(input);
                assertArrayEquals(profile, profiled.distanceProfile(), row[1] + ' ' + row[3]);
                assertEquals(score.dependencyStrength(), profiled.score().dependencyStrength());
            }
            Number[] found = {
                score.tokenCount(), score.minDistance(), score.sinkTokens(), (long) score.headCount(), score.rows(),
                score.dependencyStrength(), score.distributionUniformity(),
                score.dependencyStrengthError(), score.distributionUniformityError()
            };
            Number[] expected = new Number[found.length];
            for (int column = 0; column < found.length; column++) {
                String number = row[4 + column];
                expected[column] = found[column] instanceof Long ? (Number) Long.valueOf(number) : Double.valueOf(number);
            }
            assertEquals(Arrays.asList(expected), Arrays.asList(found), row[1] + ' ' + row[3]);
        }
        scorers.values().forEach(Scorer::close);
    }

    @Test
    void windowsAreSelectedAsInTheCases() {
        Map<String, List<String[]>> cases = Case.read("tests/data/cases/selection.tsv").stream()
                .collect(Collectors.groupingBy(row -> row[0], LinkedHashMap::new, Collectors.toList()));
        cases.forEach((name, rows) -> {
            try (Selector selector = new Selector()) {
                for (String[] row : rows) {
                    selector.add(row[3], row[2], Long.parseLong(row[4]), Double.parseDouble(row[5]), Double.parseDouble(row[6]));
                }
                List<List<Object>> found = new ArrayList<>();
                for (Ranked window : selector.finish(Case.settings(rows.get(0)[1]))) {
                    found.add(List.of(window.category(), window.id(), window.tokenCount(), window.dependencyStrength(),
                            window.distributionUniformity(), window.rank(), window.longDistanceDependencyScore(),
                            window.selected()));
                }
                List<List<Object>> expected = new ArrayList<>();
                for (String[] row : rows) {
                    expected.add(List.of(row[2], row[3], Long.parseLong(row[4]), Double.parseDouble(row[5]),
                            Double.parseDouble(row[6]), Long.parseLong(row[7]), Double.parseDouble(row[8]),
                            Boolean.parseBoolean(row[9])));
                }
                assertEquals(expected, found, name);
            }
        });
    }

    @Test
    void callsFailAsInTheCases() {
        for (String[] row : Case.read("tests/data/cases/errors.tsv")) {
            String name = String.join(" ", row);
            Status status = Status.of(Integer.parseInt(row[0]));
            LongAttnException failure =
                    assertThrows(LongAttnException.class, () -> call(row[1], row[2], Case.settings(row[3]), row[4]), name);
            assertEquals(status, failure.status(), name);
            assertTrue(failure.getMessage().contains(row[5]), name + ": " + failure.getMessage());
        }
    }

    private static void call(String call, String scorerPackage, Map<String, String> settings, String argument) {
        switch (call) {
            case "set":
                Setting.values(settings);
                break;
            case "open":
                Scorer.open(Case.packageOf(scorerPackage), settings).close();
                break;
            case "add":
                add(Case.words(argument));
                break;
            case "from_json":
                Selector.fromJson(argument);
                break;
            case "finish":
                finish(Case.words(argument), settings);
                break;
            default:
                score(call, scorerPackage, settings, argument);
        }
    }

    private static void score(String call, String scorerPackage, Map<String, String> settings, String argument) {
        try (Scorer scorer = Scorer.open(Case.packageOf(scorerPackage), settings)) {
            switch (call) {
                case "score_text":
                    scorer.score(argument);
                    break;
                case "score_bytes":
                    scorer.score(Input.utf8(bytes(argument)));
                    break;
                case "score_tokens":
                    scorer.score(Input.tokens(Case.ids(argument)));
                    break;
                case "score_cancelled":
                    Cancel cancel = new Cancel();
                    cancel.request();
                    scorer.score(Input.text(argument), cancel);
                    break;
                default:
                    throw new AssertionError("no such call: " + call);
            }
        }
    }

    private static byte[] bytes(String hexadecimal) {
        byte[] bytes = new byte[hexadecimal.length() / 2];
        for (int index = 0; index < bytes.length; index++) {
            bytes[index] = (byte) Integer.parseInt(hexadecimal.substring(2 * index, 2 * index + 2), 16);
        }
        return bytes;
    }

    private static void add(String[] scores) {
        try (Selector selector = new Selector()) {
            selector.add("a", "books", 100, Double.parseDouble(scores[0]), Double.parseDouble(scores[1]));
        }
    }

    private static void finish(String[] ids, Map<String, String> settings) {
        try (Selector selector = new Selector()) {
            for (String id : ids) {
                selector.add(id, "books", 100, 0.1, -0.1);
            }
            selector.finish(settings);
        }
    }
}
