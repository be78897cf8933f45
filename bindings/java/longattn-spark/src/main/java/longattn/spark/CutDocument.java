package longattn.spark;

import java.util.Iterator;
import java.util.List;
import longattn.LongAttn;
import longattn.LongAttnException;
import longattn.Scorer;
import longattn.Window;
import org.apache.spark.api.java.function.FlatMapFunction;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.RowFactory;

/** A document to the rows of its windows. */
final class CutDocument implements FlatMapFunction<Row, Row> {
    private static final long serialVersionUID = 1;

    private final ScorerSpec spec;

    CutDocument(ScorerSpec spec) {
        this.spec = spec;
    }

    @Override
    public Iterator<Row> call(Row document) {
        String reason = reason(document);
        if (reason != null) {
            return rejected(document, reason);
        }
        Scorer scorer = spec.scorer();
        try {
            return rows(document, scorer.cut(document.<byte[]>getAs(2)));
        } catch (LongAttnException failure) {
            if (failure.status().isFatal()) {
                throw failure;
            }
            return rejected(document, failure.getMessage());
        }
    }

    private static String reason(Row document) {
        if (!document.isNullAt(3)) {
            return document.getString(3);
        }
        for (int column = 0; column < 3; column++) {
            if (document.isNullAt(column)) {
                return "no " + List.of("id", "category", "text").get(column);
            }
        }
        return null;
    }

    private static Iterator<Row> rejected(Row document, String reason) {
        String id = document.getString(0);
        return List.of(RowFactory.create(id, document.getString(1), id, null, null, null, null, reason)).iterator();
    }

    private static Iterator<Row> rows(Row document, List<Window> windows) {
        String id = document.getString(0);
        String category = document.getString(1);
        return new Iterator<>() {
            private int number = 0;

            @Override
            public boolean hasNext() {
                return number < windows.size();
            }

            @Override
            public Row next() {
                Window window = windows.get(number);
                Row row = RowFactory.create(LongAttn.windowId(id, number), category, id, window.tokenStart(), window.byteStart(),
                        window.byteEnd(), window.tokenIds(), null);
                number++;
                return row;
            }
        };
    }
}
