package dev.tandem.worksheet;

import java.nio.file.Path;

/** What may be said on the command line: -Dcount=500 -Dinterval=20 -Dseconds=120 -Dlog=/tmp/sender.log. */
record Settings(int count, long intervalMs, long deadlineNanos, Path logFile) {

    private static final int DEFAULT_COUNT = 600;
    private static final int DEFAULT_INTERVAL_MS = 100;
    private static final int DEFAULT_SECONDS = 600;

    static Settings read(String defaultLog) {
        int count = positive("count", DEFAULT_COUNT);
        int intervalMs = positive("interval", DEFAULT_INTERVAL_MS);
        int seconds = positive("seconds", DEFAULT_SECONDS);
        long deadline = System.nanoTime() + seconds * 1_000_000_000L;
        return new Settings(count, intervalMs, deadline, Path.of(System.getProperty("log", defaultLog)));
    }

    boolean timeIsUp() {
        return System.nanoTime() - deadlineNanos > 0;
    }

    private static int positive(String name, int ifAbsent) {
        String text = System.getProperty(name);
        if (text == null) {
            return ifAbsent;
        }
        try {
            int value = Integer.parseInt(text);
            if (value > 0) {
                return value;
            }
        } catch (NumberFormatException e) {
            // said below, with the value
        }
        throw new IllegalArgumentException("-D" + name + "=" + text + ": expected a whole number above 0");
    }
}
