package longattn.spark;

import java.util.Collections;
import java.util.Iterator;
import java.util.TreeMap;
import longattn.LongAttnException;
import longattn.Ranked;
import longattn.Ranking;
import longattn.Selector;
import longattn.Status;
import org.apache.spark.TaskContext;
import org.apache.spark.api.java.function.MapPartitionsFunction;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.RowFactory;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.util.TaskCompletionListener;

/** The scores of whole categories to the standings of their windows. */
final class RankCategories implements MapPartitionsFunction<Row, Row> {
    private static final long serialVersionUID = 1;

    static final StructType STANDINGS = new StructType()
            .add("category", DataTypes.StringType)
            .add("id", DataTypes.StringType)
            .add("lds", DataTypes.DoubleType)
            .add("rank", DataTypes.LongType)
            .add("selected", DataTypes.BooleanType);

    private final TreeMap<String, String> settings;

    RankCategories(TreeMap<String, String> settings) {
        this.settings = settings;
    }

    @Override
    public Iterator<Row> call(Iterator<Row> scores) {
        if (!scores.hasNext()) {
            return Collections.emptyIterator();
        }
        Ranking ranking = rank(scores);
        TaskCompletionListener close = task -> ranking.close();
        TaskContext.get().addTaskCompletionListener(close);
        Iterator<Ranked> windows = ranking.iterator();
        return new Iterator<>() {
            @Override
            public boolean hasNext() {
                return windows.hasNext();
            }

            @Override
            public Row next() {
                Ranked window = windows.next();
                return RowFactory.create(window.category(), window.id(), window.longDistanceDependencyScore(), window.rank(),
                        window.selected());
            }
        };
    }

    private Ranking rank(Iterator<Row> scores) {
        try (Selector selector = new Selector()) {
            while (scores.hasNext()) {
                Row score = scores.next();
                if (score.isNullAt(0) || score.isNullAt(1)) {
                    throw new LongAttnException(Status.INVALID_ARGUMENT, "there is a window without id or category");
                }
                selector.add(score.getString(1), score.getString(0), score.getLong(2), score.getLong(3), score.getLong(4),
                        score.getDouble(5), score.getDouble(6));
            }
            return selector.rank(settings);
        }
    }
}
