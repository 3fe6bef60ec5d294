package dev.tandem.bench;

/** Microseconds of the machine's monotonic clock: on Linux the same clock that the Rust programs read, so times can be compared. */
final class Clock {

    private Clock() {
    }

    static long nowMicros() {
        return System.nanoTime() / 1_000;
    }
}
