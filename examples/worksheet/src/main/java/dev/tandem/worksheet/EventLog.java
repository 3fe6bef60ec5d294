package dev.tandem.worksheet;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalTime;
import java.time.format.DateTimeFormatter;

/**
 * One line per event: milliseconds since 1970, event, details, with single spaces between them. Each line is on disk before the
 * next event; the terminal shows the same with a readable time.
 */
final class EventLog implements AutoCloseable {

    private static final DateTimeFormatter TIME = DateTimeFormatter.ofPattern("HH:mm:ss.SSS");

    private final PrintWriter file;

    EventLog(Path path) throws IOException {
        if (path.toAbsolutePath().getParent() != null) {
            Files.createDirectories(path.toAbsolutePath().getParent());
        }
        file = new PrintWriter(Files.newBufferedWriter(path));
    }

    synchronized void write(String event, String details) {
        file.println(System.currentTimeMillis() + " " + event + " " + details);
        file.flush();
        System.out.println(LocalTime.now().format(TIME) + "  " + event + " " + details);
    }

    static String oneLine(Exception e) {
        return (e.getClass().getSimpleName() + ": " + e.getMessage()).replaceAll("\\s+", " ");
    }

    @Override
    public synchronized void close() {
        file.close();
    }
}
