package longattn.spark;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import longattn.Case;
import org.apache.spark.launcher.JavaModuleOptions;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The jar, as spark-submit runs it on a master and two executors of their own processes, against the command line. */
class JobIT {
    private static final Path COMMAND = Case.ROOT.resolve("target/release/longattn");

    /** What both write of a window. */
    private static final String[] COLUMNS = {
        "id", "category", "document", "token_start", "byte_start", "byte_end", "token_count", "min_distance", "sink_tokens",
        "dependency_strength", "distribution_uniformity"
    };

    private final SparkSession spark = Sparks.local();

    @TempDir
    private Path directory;

    private Process process;

    @AfterEach
    void endWhatWasStarted() {
        process.descendants().forEach(ProcessHandle::destroyForcibly);
        process.destroyForcibly();
    }

    @Test
    void aJobWhoseExecutorIsKilledGivesWhatTheCommandLineGives() throws Exception {
        Path code = corpus("code.jsonl", "src", ".rs");
        Path texts = corpus("texts.jsonl", "docs", ".md");
        Path model = Case.ROOT.resolve("target/check-c/model");
        List<String> settings = List.of("--window", "512", "--ratio", "0.3");
        List<String> inputs = List.of(code.toString(), texts.toString());
        run(Stream.of(
                List.of(COMMAND.toString(), "run", "--model", model.toString(), "-o", path("expected")), settings, inputs));

        submit(List.of(), Stream.of(
                List.of("--model", model.toString(), "--output", path("found")), settings, inputs));
        killOneExecutor();
        String log = finish();
        assertTrue(log.contains("Lost executor"), log);
        assertSame(spark.read().json(path("found/scores")), spark.read().json(path("found/selected")));
        assertEquals(6, spark.read().json(path("found/scores")).where("reason is not null").count());
    }

    @Test
    void parquetAndAShippedPackageGiveWhatTheCommandLineGives() throws Exception {
        Path corpus = corpus("code.jsonl", "src/corpus", ".rs");
        spark.read().json(corpus.toString()).where("id is not null").write().parquet(path("code"));
        List<String> settings = List.of("--window", "2000", "--min-distance", "100", "--count", "5");
        run(Stream.of(List.of(COMMAND.toString(), "run", "--model", Case.TINY.toString(), "-o", path("expected")), settings,
                List.of(corpus.toString())));

        submit(List.of("--archives", zip(Case.TINY) + "#tiny"), Stream.of(
                List.of("--model", "tiny", "--output", path("found"), "--input-format", "parquet", "--output-format", "parquet"),
                settings, List.of(path("code"))));
        finish();
        assertSame(spark.read().parquet(path("found/scores")), spark.read().parquet(path("found/selected")));
    }

    private String path(String name) {
        return directory.resolve(name).toString();
    }

    private void assertSame(Dataset<Row> scores, Dataset<Row> selected) {
        Dataset<Row> expected = spark.read().json(path("expected/scores.jsonl"));
        assertEquals(rows(expected, COLUMNS), rows(scores.where("reason is null"), COLUMNS));
        String[] columns = Stream.concat(Stream.of(COLUMNS), Stream.of("lds", "content")).toArray(String[]::new);
        Map<Object, List<Object>> best = rows(spark.read().json(path("expected/selected.jsonl")), columns);
        assertTrue(best.size() >= 5);
        assertEquals(best, rows(selected, columns));
    }

    /** Whole numbers are of other types in Parquet than JSON has. */
    private static Map<Object, List<Object>> rows(Dataset<Row> rows, String... columns) {
        Map<Object, List<Object>> byId = new TreeMap<>();
        for (Row row : rows.collectAsList()) {
            byId.put(row.getAs("id"), Arrays.stream(columns)
                    .map(row::<Object>getAs)
                    .map(value -> value instanceof Integer ? Long.valueOf((Integer) value) : value)
                    .collect(Collectors.toList()));
        }
        return byId;
    }

    /** The project's own texts, and records that cannot be used. */
    private Path corpus(String name, String folder, String suffix) throws IOException {
        List<Path> files;
        try (Stream<Path> all = Files.walk(Case.ROOT.resolve(folder))) {
            files = all.filter(file -> file.toString().endsWith(suffix)).sorted().collect(Collectors.toList());
        }
        List<String> lines = new ArrayList<>(List.of("{\"id\": " + json(name) + '}', "{\"id\": \"no object\""));
        for (Path file : files) {
            String id = Case.ROOT.relativize(file).toString();
            lines.add("{\"id\": " + json(id) + ", \"text\": " + json(Files.readString(file)) + '}');
        }
        lines.add(lines.get(2));
        return Files.write(directory.resolve(name), lines);
    }

    private static String json(String text) {
        StringBuilder json = new StringBuilder("\"");
        text.chars().forEach(unit -> json.append(
                unit < ' ' || unit == '"' || unit == '\\' ? String.format("\\u%04x", unit) : Character.toString(unit)));
        return json.append('"').toString();
    }

    private Path zip(Path folder) throws IOException {
        Path zip = directory.resolve("package.zip");
        try (ZipOutputStream output = new ZipOutputStream(Files.newOutputStream(zip));
                Stream<Path> files = Files.list(folder)) {
            for (Path file : files.collect(Collectors.toList())) {
                output.putNextEntry(new ZipEntry(file.getFileName().toString()));
                Files.copy(file, output);
            }
        }
        return zip;
    }

    /** Spark's own jars, which are all but ours and what our jar brings. */
    private static String sparkJars() {
        return Arrays.stream(System.getProperty("java.class.path").split(File.pathSeparator))
                .filter(jar -> !jar.contains("longattn") && !jar.contains("jna"))
                .collect(Collectors.joining(File.pathSeparator));
    }

    private void submit(List<String> options, Stream<List<String>> arguments) throws IOException {
        List<String> command = new ArrayList<>(List.of(Path.of(System.getProperty("java.home"), "bin/java").toString()));
        command.addAll(List.of(JavaModuleOptions.defaultModuleOptions().trim().split(" +")));
        command.addAll(List.of("-cp", sparkJars(), "org.apache.spark.deploy.SparkSubmit",
                "--master", "local-cluster[2,1,1024]",
                "--conf", "spark.executor.cores=1",
                "--conf", "spark.executor.extraClassPath=" + sparkJars(),
                "--conf", "spark.ui.enabled=false",
                "--conf", "spark.sql.shuffle.partitions=4"));
        command.addAll(options);
        command.addAll(List.of("--class", Job.class.getName(), System.getProperty("longattn.jar")));
        arguments.forEach(command::addAll);
        ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(new File(path("log")));
        Files.createDirectories(directory.resolve("spark/jars"));
        builder.environment().putAll(Map.of("SPARK_HOME", path("spark"), "SPARK_SCALA_VERSION", "2.12"));
        process = builder.start();
    }

    /** Waits until two tasks have handed in their scores, so that others are under way. */
    private void killOneExecutor() throws Exception {
        while (tasksDone() < 2) {
            assertTrue(process.isAlive(), () -> log());
            Thread.sleep(20);
        }
        ProcessHandle executor = process.descendants()
                .filter(child -> child.info().command().orElse("").endsWith("/java"))
                .findFirst()
                .orElseThrow();
        assertTrue(executor.destroyForcibly());
        assertTrue(Files.notExists(directory.resolve("found/scores/_SUCCESS")), "the scores were finished before");
    }

    private long tasksDone() throws IOException {
        Path pending = directory.resolve("found/scores/_temporary/0");
        if (Files.notExists(pending)) {
            return 0;
        }
        try (Stream<Path> files = Files.list(pending)) {
            return files.filter(file -> file.getFileName().toString().startsWith("task_")).count();
        }
    }

    private String finish() throws InterruptedException {
        boolean ended = process.waitFor(5, TimeUnit.MINUTES);
        assertTrue(ended && process.exitValue() == 0, () -> log());
        return log();
    }

    private String log() {
        try {
            return Files.readString(directory.resolve("log"), StandardCharsets.UTF_8);
        } catch (IOException failure) {
            return failure.toString();
        }
    }

    private void run(Stream<List<String>> arguments) throws Exception {
        List<String> command = arguments.flatMap(List::stream).collect(Collectors.toList());
        process = new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(new File(path("log"))).start();
        finish();
    }
}
