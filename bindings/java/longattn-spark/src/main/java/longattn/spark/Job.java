package longattn.spark;

import static org.apache.spark.sql.functions.broadcast;
import static org.apache.spark.sql.functions.coalesce;
import static org.apache.spark.sql.functions.col;
import static org.apache.spark.sql.functions.concat;
import static org.apache.spark.sql.functions.count;
import static org.apache.spark.sql.functions.expr;
import static org.apache.spark.sql.functions.input_file_name;
import static org.apache.spark.sql.functions.lit;
import static org.apache.spark.sql.functions.min;
import static org.apache.spark.sql.functions.monotonically_increasing_id;
import static org.apache.spark.sql.functions.struct;
import static org.apache.spark.sql.functions.when;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Stream;
import longattn.LongAttn;
import longattn.LongAttnException;
import longattn.Status;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.Path;
import org.apache.spark.sql.Column;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;

/**
 * The whole job of {@code longattn run} for {@code spark-submit}: cuts documents into windows, scores them, and selects the
 * best of each category.
 */
public final class Job {
    private static final String USAGE = String.join("\n",
            "spark-submit --class longattn.spark.Job longattn-spark.jar --model PACKAGE --output FOLDER [OPTION VALUE]... INPUT...",
            "",
            "Writes the folders scores, where rows of what could not be used have a reason, and selected.",
            "",
            "  --model PACKAGE         scorer package: an absolute path on every executor, or a name given to --archives",
            "  --output FOLDER         where the result goes; it must not exist",
            "  --input-format FORMAT   json (lines) or parquet; json unless set",
            "  --output-format FORMAT  json (lines) or parquet; json unless set",
            "  --partitions COUNT      parts that windows are scored in; 8 for each core unless set",
            "  --text-field NAME       field with the text; text unless set, or content where there is none",
            "  --id-field NAME         field with the id; id unless set",
            "  --category-field NAME   field with the category; category unless set, or else the input's name",
            "",
            "Every setting is an option too, such as --window 8192 or --ratio 0.25.");

    /** The column where Spark puts a line that is no JSON object. */
    private static final String MALFORMED = "_malformed";

    private static final Set<String> OPTIONS = Set.of("model", "output", "input-format", "output-format", "partitions",
            "text-field", "id-field", "category-field");

    private final Map<String, String> options = new TreeMap<>();
    private final Map<String, String> settings = new TreeMap<>();
    private final List<String> inputs = new ArrayList<>();

    private Job(String[] arguments) {
        for (int index = 0; index < arguments.length; index++) {
            if (!arguments[index].startsWith("--")) {
                inputs.add(arguments[index]);
                continue;
            }
            String option = arguments[index].substring(2);
            index++;
            if (index == arguments.length) {
                throw new LongAttnException(Status.INVALID_ARGUMENT, "--" + option + " has no value\n\n" + USAGE);
            }
            if (OPTIONS.contains(option)) {
                options.put(option, arguments[index]);
            } else {
                settings.put(option.replace('-', '_'), arguments[index]);
            }
        }
        if (inputs.isEmpty() || !options.keySet().containsAll(Set.of("model", "output"))) {
            throw new LongAttnException(Status.INVALID_ARGUMENT, "--model, --output and an input are needed\n\n" + USAGE);
        }
        new Selection(settings); // A wrong setting is told before anything is scored.
    }

    /**
     * Runs the job.
     *
     * @param arguments as the usage says
     */
    public static void main(String[] arguments) {
        Job job = new Job(arguments);
        try (SparkSession spark = SparkSession.builder().appName("LongAttn").getOrCreate()) {
            job.run(spark);
        }
    }

    private void run(SparkSession spark) {
        // The tasks of an executor share one scorer, which needs no more threads than the executor has cores.
        if (spark.sparkContext().getConf().contains("spark.executor.cores")) {
            settings.putIfAbsent("threads", spark.sparkContext().getConf().get("spark.executor.cores"));
        }
        ScorerSpec spec = new ScorerSpec(options.get("model"), settings);
        Dataset<Row> documents = documents(spark);
        Dataset<Row> windows = LongAttnSpark.windows(documents, spec).repartition(partitions(spark), col("id"));
        Dataset<Row> scores = written("scores", LongAttnSpark.scores(windows, spec));
        Dataset<Row> best = LongAttnSpark.select(scores, settings).where("selected").drop("selected", "reason");
        Dataset<Row> selected = written("selected", LongAttnSpark.texts(best, documents));

        long windowCount = scores.where("reason is null").count();
        long selectedCount = selected.count();
        System.out.printf("%d windows = %d selected + %d not selected; %d rejects, which have a reason in scores%n", windowCount,
                selectedCount, windowCount - selectedCount, scores.where("reason is not null").count());
    }

    private int partitions(SparkSession spark) {
        String set = options.get("partitions");
        return set == null ? 8 * spark.sparkContext().defaultParallelism() : Integer.parseInt(set);
    }

    /** Writes rows, and gives them as they were written, not to be computed again. */
    private Dataset<Row> written(String name, Dataset<Row> rows) {
        String folder = options.get("output") + '/' + name;
        String format = options.getOrDefault("output-format", "json");
        rows.write().format(format).save(folder);
        return rows.sparkSession().read().schema(rows.schema()).format(format).load(folder);
    }

    /** Rejects all documents of one id but the first in the order of the corpus. */
    private static Dataset<Row> rejectTwins(Dataset<Row> documents) {
        Dataset<Row> firsts = documents.where("id is not null and reason is null").groupBy(col("id").as("twin"))
                .agg(count("*").as("twins"), min("place").as("first"))
                .where("twins > 1");
        Column isTwin = col("first").isNotNull().and(col("place").notEqual(col("first")));
        Column reason = when(isTwin, concat(lit("duplicate id `"), col("id"), lit("`, which a document before has")));
        return documents.join(broadcast(firsts), col("id").equalTo(col("twin")), "left")
                .select(col("id"), col("category"), col("text"), coalesce(col("reason"), reason).as("reason"));
    }

    private Dataset<Row> documents(SparkSession spark) {
        List<FileStatus> files = new ArrayList<>();
        inputs.forEach(input -> files(spark, input).forEach(files::add));
        List<Dataset<Row>> documents = new ArrayList<>();
        for (FileStatus file : files) {
            documents.add(documents(spark, file, documents.size()));
        }
        return rejectTwins(documents.stream().reduce(Dataset::union).orElseThrow());
    }

    /** The files and folders that a path, which may hold wildcards, stands for. */
    private static Stream<FileStatus> files(SparkSession spark, String input) {
        Path path = new Path(input);
        try {
            FileStatus[] found = path.getFileSystem(spark.sparkContext().hadoopConfiguration()).globStatus(path);
            if (found == null || found.length == 0) {
                throw new LongAttnException(Status.IO, "there is no input " + input);
            }
            return Stream.of(found);
        } catch (IOException failure) {
            throw new UncheckedIOException(failure);
        }
    }

    private Dataset<Row> documents(SparkSession spark, FileStatus file, int number) {
        Dataset<Row> rows = read(spark, file.getPath().toString());
        String textField = options.get("text-field");
        Column text = textField != null ? field(rows, textField) : coalesce(field(rows, "text"), field(rows, "content"));
        Column category = coalesce(field(rows, options.getOrDefault("category-field", "category")), lit(name(file)));
        Column reason = concat(lit("not a JSON object: "), field(rows, MALFORMED).substr(1, 200));
        return rows.select(field(rows, options.getOrDefault("id-field", "id")).as("id"), category.as("category"),
                text.as("text"), reason.as("reason"), place(number));
    }

    /** Where a document stands in the corpus, in its order. */
    private static Column place(int input) {
        return struct(lit(input).as("input"), input_file_name().as("file"), expr("input_file_block_start()").as("block"),
                monotonically_increasing_id().as("row")).as("place");
    }

    private Dataset<Row> read(SparkSession spark, String file) {
        if (options.getOrDefault("input-format", "json").equals("parquet")) {
            return spark.read().parquet(file);
        }
        Set<String> fields = new TreeSet<>(Set.of("id", "category", "text", "content", MALFORMED));
        for (String option : List.of("text-field", "id-field", "category-field")) {
            fields.add(options.getOrDefault(option, "text"));
        }
        StructType schema = new StructType();
        for (String field : fields) {
            schema = schema.add(field, DataTypes.StringType);
        }
        return spark.read().schema(schema).option("columnNameOfCorruptRecord", MALFORMED).json(file);
    }

    private static Column field(Dataset<Row> rows, String name) {
        boolean there = List.of(rows.columns()).contains(name);
        return there ? rows.col('`' + name + '`').cast("string") : lit(null).cast("string");
    }

    /** The category of an input whose documents name none. */
    private static String name(FileStatus file) {
        return LongAttn.categoryOf(file.isDirectory() ? file.getPath() + "/" : file.getPath().toString());
    }
}
