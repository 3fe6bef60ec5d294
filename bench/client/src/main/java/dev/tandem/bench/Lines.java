package dev.tandem.bench;

import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/**
 * What a client in a pod tells: one line per event, milliseconds since 1970, event, details. It works until its process is told to
 * end (SIGTERM), and its last line is {@code end}: nobody else can reach it when its node is cut off.
 */
final class Lines {

    /** A call may wait for its broker; then the pod is killed. */
    private static final long END_LIMIT_S = 60;

    private final CountDownLatch ended = new CountDownLatch(1);
    private volatile boolean stopped;

    Lines() {
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            stopped = true;
            try {
                ended.await(END_LIMIT_S, TimeUnit.SECONDS);
            } catch (InterruptedException e) {
                throw new IllegalStateException("nobody interrupts", e);
            }
        }));
    }

    boolean isStopped() {
        return stopped;
    }

    void write(String event, String details) {
        System.out.println(System.currentTimeMillis() + " " + event + " " + details);
        System.out.flush();
    }

    void end() {
        write("end", "");
        ended.countDown();
    }

    static String oneLine(Exception e) {
        return (e.getClass().getSimpleName() + ": " + e.getMessage()).replaceAll("\\s+", " ");
    }

    static void pause(long milliseconds) {
        try {
            Thread.sleep(milliseconds);
        } catch (InterruptedException e) {
            throw new IllegalStateException("nobody interrupts", e);
        }
    }
}
