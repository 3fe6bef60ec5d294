package dev.tandem.bench;

import jakarta.jms.BytesMessage;
import jakarta.jms.Connection;
import jakarta.jms.DeliveryMode;
import jakarta.jms.Message;
import jakarta.jms.MessageConsumer;
import jakarta.jms.MessageProducer;
import jakarta.jms.Queue;
import jakarta.jms.Session;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Durable messages to one queue, as fast as the broker acknowledges them. Each producer and each consumer is a client of its
 * own: connection, session, thread.
 *
 * <p>{@code kind=send}: every send waits for the broker. {@code kind=receive}: the same with as many consumers, each message
 * acknowledged by itself (AUTO_ACKNOWLEDGE). {@code kind=transacted}: {@code batch} sends and a commit.
 *
 * <p>At the end everything is taken from the queue and counted, so that a broker that loses messages is not called fast.
 */
final class Load {

    /** How long the end waits for one more message before the queue counts as empty. */
    private static final long EMPTY_AFTER_MS = 1_000;
    private static final int DRAIN_BATCH = 200;
    private static final int DRAIN_LIMIT_MS = 60_000;

    private final Arguments arguments;
    private final int clients;
    private final int size;
    private final int batch;
    private final boolean transacted;
    private final boolean receiving;
    private final Phase phase = new Phase();
    private final Latencies sends = new Latencies();
    private final Latencies deliveries = new Latencies();
    private final AtomicLong measured = new AtomicLong();
    private final AtomicLong acknowledged = new AtomicLong();
    private final AtomicLong received = new AtomicLong();

    Load(Arguments arguments) {
        this.arguments = arguments;
        clients = arguments.number("clients");
        size = arguments.number("size");
        transacted = arguments.text("kind").equals("transacted");
        receiving = arguments.text("kind").equals("receive");
        batch = transacted ? arguments.number("batch") : 1;
    }

    void run() throws Exception {
        List<Connection> connections = new ArrayList<>();
        List<Thread> threads = new ArrayList<>();
        for (int i = 0; i < clients; i++) {
            if (receiving) {
                Connection connection = arguments.connect();
                connections.add(connection);
                threads.add(new Thread(() -> guarded(() -> receive(connection))));
                connection.start();
            }
            Connection connection = arguments.connect();
            connections.add(connection);
            threads.add(new Thread(() -> guarded(() -> send(connection))));
        }
        threads.forEach(Thread::start);
        phase.runFor(arguments.number("warm"), arguments.number("time"));
        for (Thread thread : threads) {
            thread.join(DRAIN_LIMIT_MS);
        }
        double seconds = phase.measuredSeconds();
        for (Connection connection : connections) {
            connection.close();
        }
        long drained = drain();
        System.out.printf(Locale.ROOT,
                "{\"per_second\":%.1f,\"send_p50_us\":%.1f,\"send_p99_us\":%.1f,\"delivery_p50_us\":%.1f,"
                        + "\"delivery_p99_us\":%.1f,\"acknowledged\":%d,\"received\":%d}%n",
                measured.get() / seconds, sends.percentileMicros(0.5), sends.percentileMicros(0.99),
                deliveries.percentileMicros(0.5), deliveries.percentileMicros(0.99), acknowledged.get(),
                received.get() + drained);
    }

    private interface Work {
        void run() throws Exception;
    }

    private void guarded(Work work) {
        try {
            work.run();
        } catch (Throwable e) {
            phase.fail(e);
        }
    }

    private void send(Connection connection) throws Exception {
        Session session = connection.createSession(transacted, Session.AUTO_ACKNOWLEDGE);
        MessageProducer producer = session.createProducer(session.createQueue(arguments.text("queue")));
        producer.setDeliveryMode(DeliveryMode.PERSISTENT);
        byte[] body = new byte[size];
        while (!phase.isOver()) {
            long begin = System.nanoTime();
            for (int i = 0; i < batch; i++) {
                BytesMessage message = session.createBytesMessage();
                message.writeBytes(body);
                if (receiving) {
                    message.setLongProperty("sent", System.nanoTime());
                }
                producer.send(message);
            }
            if (transacted) {
                session.commit();
            }
            acknowledged.addAndGet(batch);
            if (phase.isMeasured()) {
                sends.record(System.nanoTime() - begin);
                if (!receiving) {
                    measured.addAndGet(batch);
                }
            }
        }
    }

    private void receive(Connection connection) throws Exception {
        Session session = connection.createSession(false, Session.AUTO_ACKNOWLEDGE);
        MessageConsumer consumer = session.createConsumer(session.createQueue(arguments.text("queue")));
        while (!phase.isOver()) {
            Message message = consumer.receive(100);
            if (message == null) {
                continue;
            }
            received.incrementAndGet();
            if (phase.isMeasured()) {
                deliveries.record(System.nanoTime() - message.getLongProperty("sent"));
                measured.incrementAndGet();
            }
        }
    }

    private long drain() throws Exception {
        long count = 0;
        long limit = System.nanoTime() + DRAIN_LIMIT_MS * 1_000_000L;
        try (Connection connection = arguments.connect()) {
            Session session = connection.createSession(true, Session.SESSION_TRANSACTED);
            Queue queue = session.createQueue(arguments.text("queue"));
            MessageConsumer consumer = session.createConsumer(queue);
            connection.start();
            while (System.nanoTime() < limit && received.get() + count < acknowledged.get()
                    && consumer.receive(EMPTY_AFTER_MS) != null) {
                count++;
                if (count % DRAIN_BATCH == 0) {
                    session.commit();
                }
            }
            session.commit();
        }
        return count;
    }
}
