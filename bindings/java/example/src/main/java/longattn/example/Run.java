package longattn.example;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CountDownLatch;
import longattn.Cancel;
import longattn.Job;
import longattn.JobCategory;
import longattn.JobListener;
import longattn.JobProgress;
import longattn.LongAttnException;
import longattn.Reject;
import longattn.Scorer;
import longattn.Summary;

/**
 * Does what {@code longattn run} does, with the same bytes as result. Ctrl-C ends the work, which goes on from there with
 * {@code --earlier-results resume}.
 */
public final class Run {
    private static final String USAGE = "usage: Run PACKAGE DIRECTORY [--SETTING VALUE]... INPUT...";

    private final List<String> names = new ArrayList<>();
    private final Map<String, String> settings = new TreeMap<>();

    private Run(String[] arguments) {
        for (int index = 0; index < arguments.length; index++) {
            if (!arguments[index].startsWith("--")) {
                names.add(arguments[index]);
            } else if (index + 1 < arguments.length) {
                settings.put(arguments[index].substring(2).replace('-', '_'), arguments[index + 1]);
                index++;
            } else {
                throw new IllegalArgumentException(USAGE);
            }
        }
        if (names.size() < 3) {
            throw new IllegalArgumentException(USAGE);
        }
    }

    /**
     * Runs the program.
     *
     * @param arguments a scorer package, a directory for the results, inputs, and settings such as {@code --window 8192}
     * @throws InterruptedException never, since nobody interrupts the first thread
     */
    public static void main(String[] arguments) throws InterruptedException {
        Cancel cancel = new Cancel();
        CountDownLatch ended = new CountDownLatch(1);
        // Ctrl-C asks the work to stop, and waits for it.
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            cancel.request();
            await(ended);
        }));
        boolean succeeded = false;
        try {
            new Run(arguments).run(cancel);
            succeeded = true;
        } catch (LongAttnException | IllegalArgumentException failure) {
            System.err.println(failure.getMessage());
        } finally {
            ended.countDown();
        }
        if (!succeeded) {
            System.exit(1);
        }
    }

    private static void await(CountDownLatch latch) {
        try {
            latch.await();
        } catch (InterruptedException interrupt) {
            Thread.currentThread().interrupt();
        }
    }

    private void run(Cancel cancel) throws InterruptedException {
        List<Path> inputs = new ArrayList<>();
        names.subList(2, names.size()).forEach(name -> inputs.add(Path.of(name)));
        try (Scorer scorer = Scorer.open(Path.of(names.get(0)), settings);
                Job job = Job.open(scorer, inputs, Path.of(names.get(1)))) {
            Summary summary = job.run(new OnStandardError(), cancel);
            System.err.println();
            for (JobCategory category : job.categories()) {
                System.out.printf("%s: %d of %d windows%n", category.name(), category.selected(), category.windows());
            }
            System.out.printf("%d documents in windows, %d too short, %d rejected; %d tokens selected%n",
                    summary.documentsWindowed(), summary.documentsTooShort(), summary.recordsRejected(),
                    summary.tokensSelected());
        }
    }

    private static final class OnStandardError implements JobListener {
        @Override
        public void progress(JobProgress progress) {
            long percent = 100 * progress.done() / Math.max(1, progress.total().orElse(0));
            System.err.printf("\r%d %%, %d windows ", percent, progress.windows());
        }

        @Override
        public void reject(Reject reject) {
            System.err.printf("%nrejected: %s:%d: %s%n", reject.file(), reject.line(), reject.reason());
        }

        @Override
        public void notice(String notice) {
            System.err.printf("%n%s%n", notice);
        }
    }
}
