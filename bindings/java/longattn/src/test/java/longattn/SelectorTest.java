package longattn;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class SelectorTest {
    @Test
    void partsAreMergedHereAndAsJson() {
        try (Selector whole = new Selector(); Selector part = new Selector(); Selector total = new Selector()) {
            for (int index = 0; index < 10; index++) {
                Selector half = index % 2 == 0 ? total : part;
                whole.add("id " + index, "bücher", 10, 0.1 * index * index, -0.01 * index);
                half.add("id " + index, "bücher", 10, 0.1 * index * index, -0.01 * index);
            }
            total.merge(Selector.fromJson(part.toJson()));
            assertEquals(5, part.size());
            assertEquals(whole.toJson().length(), total.toJson().length());
            List<Ranked> expected = whole.finish(Map.of());
            List<Ranked> found = total.finish(Map.of());
            assertEquals(10, found.size());
            for (int rank = 0; rank < 10; rank++) {
                assertEquals(expected.get(rank).id(), found.get(rank).id());
                assertEquals("bücher", found.get(rank).category());
                assertEquals(
                        expected.get(rank).longDistanceDependencyScore(), found.get(rank).longDistanceDependencyScore());
            }
            total.merge(part);
            assertEquals(0, part.size());
            assertEquals(15, total.size());
        }
    }

    @Test
    void aSelectorIsNotMergedIntoItself() {
        try (Selector selector = new Selector()) {
            LongAttnException failure = assertThrows(LongAttnException.class, () -> selector.merge(selector));
            assertEquals(Status.INVALID_ARGUMENT, failure.status());
        }
    }

    @Test
    void aScoreIsAdded() {
        try (Scorer scorer = Scorer.open(Case.TINY); Selector selector = new Selector()) {
            Score score = scorer.score(Case.SENTENCE);
            selector.add("a", "books", score);
            Ranked ranked = selector.finish(Map.of("count", "1")).get(0);
            assertEquals(score.tokenCount(), ranked.tokenCount());
            assertEquals(score.dependencyStrength(), ranked.dependencyStrength());
            assertEquals(score.distributionUniformity(), ranked.distributionUniformity());
            assertEquals(true, ranked.selected());
        }
    }

    @Test
    void halfASurrogatePairIsNoId() {
        try (Selector selector = new Selector()) {
            assertThrows(LongAttnException.class, () -> selector.add("\ud83d", "books", 1, 0, 0));
            assertEquals(0, selector.size());
        }
    }
}
