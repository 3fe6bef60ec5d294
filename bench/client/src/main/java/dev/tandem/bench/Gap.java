package dev.tandem.bench;

import jakarta.jms.Connection;
import jakarta.jms.JMSException;
import jakarta.jms.Message;
import jakarta.jms.MessageConsumer;
import jakarta.jms.MessageProducer;
import jakarta.jms.Queue;
import jakarta.jms.Session;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.BitSet;
import java.util.Locale;

/**
 * A sender and a receiver that live through failovers. The sender sends numbers with a short pause; the client gap is the
 * longest time between two acknowledgements.
 *
 * <p>Orders come on standard input, one per line, each answered by one line: {@code begin} starts a window, {@code look} tells
 * how many sends were acknowledged since, {@code end} tells the longest gap in it (the time since the last acknowledgement
 * before it included), {@code finish} stops the sender, waits for the last message, and tells lost and duplicated.
 */
final class Gap {

    private static final int MAX_MESSAGES = 10_000_000;
    private static final long DRAIN_LIMIT_MS = 30_000;

    private final Arguments arguments;
    private final BitSet acknowledged = new BitSet();
    private final BitSet received = new BitSet();
    private long duplicates;
    private long unknown;
    private long lastNanos;
    private long longestNanos;
    private long inWindow;
    private volatile boolean stopSending;
    private volatile boolean stopReceiving;

    Gap(Arguments arguments) {
        this.arguments = arguments;
    }

    void run() throws Exception {
        // Two connections, as two programs would have.
        Connection sending = arguments.connect();
        Connection receiving = arguments.connect();
        receiving.start();
        Thread sender = new Thread(() -> guarded(() -> send(sending)));
        Thread receiver = new Thread(() -> guarded(() -> receive(receiving)));
        sender.start();
        receiver.start();
        BufferedReader orders = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String order = orders.readLine(); order != null; order = orders.readLine()) {
            switch (order) {
                case "begin" -> begin();
                case "look" -> say("{\"acknowledged\":%d}", window());
                case "end" -> say("{\"gap_ms\":%.2f}", longestMs());
                case "finish" -> {
                    stopSending = true;
                    sender.join(DRAIN_LIMIT_MS);
                    finish();
                    stopReceiving = true;
                    return;
                }
                default -> throw new IllegalArgumentException("no order " + order);
            }
        }
    }

    private static void say(String format, Object... values) {
        System.out.println(String.format(Locale.ROOT, format, values));
        System.out.flush();
    }

    private interface Work {
        void run() throws Exception;
    }

    private static void guarded(Work work) {
        try {
            work.run();
        } catch (Throwable e) {
            e.printStackTrace();
            System.exit(1);
        }
    }

    private synchronized void begin() {
        longestNanos = 0;
        inWindow = 0;
        say("{}");
    }

    private synchronized long window() {
        return inWindow;
    }

    private synchronized double longestMs() {
        return longestNanos / 1e6;
    }

    private void send(Connection connection) throws Exception {
        Session session = connection.createSession(false, Session.AUTO_ACKNOWLEDGE);
        Queue queue = session.createQueue(arguments.text("queue"));
        MessageProducer producer = session.createProducer(queue);
        int pause = arguments.number("pause");
        for (int number = 0; number < MAX_MESSAGES && !stopSending; number++) {
            while (!stopSending) {
                try {
                    producer.send(session.createTextMessage(Integer.toString(number)));
                    acknowledge(number);
                    break;
                } catch (JMSException e) {
                    // Nobody can tell whether it arrived: the same number is sent again, and may come twice.
                    unknown();
                }
                Thread.sleep(1);
            }
            Thread.sleep(pause);
        }
    }

    private synchronized void acknowledge(int number) {
        long now = System.nanoTime();
        if (lastNanos != 0) {
            longestNanos = Math.max(longestNanos, now - lastNanos);
        }
        lastNanos = now;
        inWindow++;
        acknowledged.set(number);
    }

    private synchronized void unknown() {
        unknown++;
    }

    private void receive(Connection connection) throws Exception {
        Session session = connection.createSession(false, Session.AUTO_ACKNOWLEDGE);
        MessageConsumer consumer = session.createConsumer(session.createQueue(arguments.text("queue")));
        while (!stopReceiving) {
            try {
                Message message = consumer.receive(100);
                if (message != null) {
                    note(Integer.parseInt(message.getBody(String.class)));
                }
            } catch (JMSException e) {
                // The connection was lost during the call; the message comes again.
                Thread.sleep(10);
            }
        }
    }

    private synchronized void note(int number) {
        if (received.get(number)) {
            duplicates++;
        }
        received.set(number);
    }

    private void finish() throws InterruptedException {
        long limit = System.nanoTime() + DRAIN_LIMIT_MS * 1_000_000L;
        while (lost() > 0 && System.nanoTime() < limit) {
            Thread.sleep(20);
        }
        // Late duplicates count too.
        Thread.sleep(300);
        synchronized (this) {
            say("{\"acknowledged\":%d,\"lost\":%d,\"duplicates\":%d,\"unknown\":%d}",
                    acknowledged.cardinality(), lost(), duplicates, unknown);
        }
    }

    private synchronized long lost() {
        BitSet missing = (BitSet) acknowledged.clone();
        missing.andNot(received);
        return missing.cardinality();
    }
}
