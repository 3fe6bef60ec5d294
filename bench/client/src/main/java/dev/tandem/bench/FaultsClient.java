package dev.tandem.bench;

import jakarta.jms.BytesMessage;
import jakarta.jms.Connection;
import jakarta.jms.JMSException;
import jakarta.jms.Message;
import jakarta.jms.Session;
import java.time.LocalTime;
import java.time.temporal.ChronoUnit;
import java.util.Random;

/**
 * A producer or consumer that outlives whatever happens to the brokers: when its session is of no use any more it makes a new
 * connection, again and again, until it is told to stop. What happened to it is on standard error.
 */
abstract class FaultsClient implements Runnable {

    private static final long RECONNECT_PAUSE_MS = 100;
    private static final int SMALLEST_BODY = 100;
    private static final int LARGEST_BODY = 4096;

    private final String name;
    private final Arguments arguments;
    private volatile boolean stopped;

    FaultsClient(String name, Arguments arguments) {
        this.name = name;
        this.arguments = arguments;
    }

    /** Works on a new connection until it is told to stop, or until the connection is of no use. */
    abstract void work(Connection connection) throws Exception;

    final String queue() {
        return arguments.text("queue");
    }

    final void stop() {
        stopped = true;
    }

    final boolean isStopped() {
        return stopped;
    }

    final Thread start() {
        Thread thread = new Thread(this, name);
        thread.setDaemon(true);
        thread.start();
        return thread;
    }

    @Override
    public final void run() {
        while (!stopped) {
            Connection connection = null;
            try {
                connection = arguments.connect();
                connection.start();
                work(connection);
            } catch (Exception e) {
                log("needs a new connection", e);
                pause(RECONNECT_PAUSE_MS);
            }
            close(connection);
        }
    }

    /** Whether the session that threw this can no longer be used. */
    static boolean isClosed(Exception e) {
        return !(e instanceof JMSException) || e instanceof jakarta.jms.IllegalStateException;
    }

    final void log(String what, Exception e) {
        System.err.printf("%s %s: %s: %s%n", LocalTime.now().truncatedTo(ChronoUnit.MILLIS), name, what, e);
    }

    static void pause(long milliseconds) {
        try {
            Thread.sleep(milliseconds);
        } catch (InterruptedException e) {
            throw new IllegalStateException("nobody interrupts", e);
        }
    }

    /** Closing may wait for a broker that does not answer; that must not delay the client. */
    private void close(Connection connection) {
        if (connection == null) {
            return;
        }
        Thread thread = new Thread(() -> {
            try {
                connection.close();
            } catch (JMSException e) {
                log("close", e);
            }
        }, name + " closing");
        thread.setDaemon(true);
        thread.start();
        try {
            thread.join(RECONNECT_PAUSE_MS);
        } catch (InterruptedException e) {
            throw new IllegalStateException("nobody interrupts", e);
        }
    }

    /** A message whose body follows from its number, so that its receiver can check every byte. */
    static BytesMessage message(Session session, long number) throws JMSException {
        BytesMessage message = session.createBytesMessage();
        message.writeLong(number);
        message.writeBytes(filling(number));
        return message;
    }

    /** The number of a message, or -1 if its body is not the one that was sent. */
    static long number(Message message) throws JMSException {
        BytesMessage bytes = (BytesMessage) message;
        long number = bytes.readLong();
        byte[] expected = filling(number);
        byte[] found = new byte[expected.length + 1];
        boolean same = bytes.readBytes(found) == expected.length;
        for (int i = 0; same && i < expected.length; i++) {
            same = found[i] == expected[i];
        }
        return same ? number : -1;
    }

    private static byte[] filling(long number) {
        Random random = new Random(number);
        byte[] filling = new byte[SMALLEST_BODY - Long.BYTES + random.nextInt(LARGEST_BODY - SMALLEST_BODY + 1)];
        random.nextBytes(filling);
        return filling;
    }
}
