package dev.tandem.bench;

import java.util.concurrent.atomic.AtomicReference;

/** Warm-up, then the measured time, then the end: shared by the threads of one measurement. */
final class Phase {

    private enum Now { WARM_UP, MEASURED, OVER }

    private final AtomicReference<Throwable> failure = new AtomicReference<>();
    private volatile Now now = Now.WARM_UP;
    private double measuredSeconds;

    boolean isOver() {
        return now == Now.OVER;
    }

    boolean isMeasured() {
        return now == Now.MEASURED;
    }

    /** A thread that fails ends the measurement for all. */
    void fail(Throwable reason) {
        failure.compareAndSet(null, reason);
        now = Now.OVER;
    }

    /** Lets the threads work for the given times; returns when the measured time is over. */
    void runFor(int warmUpMs, int measuredMs) throws InterruptedException {
        sleep(warmUpMs);
        if (isOver()) {
            return;
        }
        long begin = System.nanoTime();
        now = Now.MEASURED;
        sleep(measuredMs);
        now = Now.OVER;
        measuredSeconds = (System.nanoTime() - begin) / 1e9;
    }

    double measuredSeconds() throws Exception {
        if (failure.get() != null) {
            throw new IllegalStateException("a client failed: " + failure.get(), failure.get());
        }
        return measuredSeconds;
    }

    private void sleep(int millis) throws InterruptedException {
        long end = System.nanoTime() + millis * 1_000_000L;
        while (!isOver() && System.nanoTime() < end) {
            Thread.sleep(Math.max(1, Math.min(20, (end - System.nanoTime()) / 1_000_000)));
        }
    }
}
