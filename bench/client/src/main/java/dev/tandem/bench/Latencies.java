package dev.tandem.bench;

import java.util.concurrent.atomic.AtomicLongArray;

/**
 * Durations in buckets that are at most 1/64 wide, so that any number of them takes the same memory and recording one costs
 * the same at any moment.
 */
final class Latencies {

    private static final int STEPS_BITS = 6;
    private static final int STEPS = 1 << STEPS_BITS;

    private final AtomicLongArray buckets = new AtomicLongArray(Long.SIZE * STEPS);

    void record(long nanos) {
        buckets.incrementAndGet(bucket(Math.max(nanos, 1)));
    }

    /** The value below which the given share of all durations lies, in microseconds. */
    double percentileMicros(double share) {
        long all = count();
        long wanted = (long) Math.ceil(all * share);
        long seen = 0;
        for (int i = 0; i < buckets.length(); i++) {
            seen += buckets.get(i);
            if (seen >= wanted && seen > 0) {
                return upperEnd(i) / 1000.0;
            }
        }
        return 0;
    }

    long count() {
        long all = 0;
        for (int i = 0; i < buckets.length(); i++) {
            all += buckets.get(i);
        }
        return all;
    }

    private static int bucket(long nanos) {
        int magnitude = Long.SIZE - 1 - Long.numberOfLeadingZeros(nanos);
        if (magnitude < STEPS_BITS) {
            return (int) nanos;
        }
        int step = (int) (nanos >>> (magnitude - STEPS_BITS)) & (STEPS - 1);
        return (magnitude - STEPS_BITS + 1) * STEPS + step;
    }

    private static double upperEnd(int bucket) {
        int magnitude = bucket / STEPS;
        int step = bucket % STEPS;
        if (magnitude == 0) {
            return step;
        }
        return (STEPS + step + 1.0) * Math.pow(2, magnitude - 1);
    }
}
