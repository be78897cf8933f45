package longattn;

import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;

/** Long work in the library that heeds interrupts. */
final class Work {
    private Work() {}

    /** Does work on a thread of its own. Where this one is interrupted, the work is asked to stop and ends first. */
    static <T> T untilInterrupted(Cancel cancel, Callable<T> work) throws InterruptedException {
        FutureTask<T> task = new FutureTask<>(work);
        Thread thread = new Thread(task, "longattn-work");
        thread.setDaemon(true);
        thread.start();
        try {
            return task.get();
        } catch (InterruptedException interrupt) {
            cancel.request();
            joinInAnyCase(thread);
            throw interrupt;
        } catch (ExecutionException failure) {
            if (failure.getCause() instanceof Error) {
                throw (Error) failure.getCause();
            }
            throw (RuntimeException) failure.getCause();
        }
    }

    private static void joinInAnyCase(Thread thread) {
        while (thread.isAlive()) {
            try {
                thread.join();
            } catch (InterruptedException again) {
                // The first one is thrown as soon as the thread has ended.
            }
        }
    }
}
