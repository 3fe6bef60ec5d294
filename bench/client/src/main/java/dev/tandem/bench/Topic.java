package dev.tandem.bench;

import jakarta.jms.BytesMessage;
import jakarta.jms.Connection;
import jakarta.jms.DeliveryMode;
import jakarta.jms.MessageProducer;
import jakarta.jms.Session;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.atomic.AtomicLong;

/**
 * One producer of durable messages to a topic, and many subscribers: how many deliveries per second, and how long each takes.
 * The subscribers share a few connections, each with a session of its own and a listener.
 */
final class Topic {

    private static final int SUBSCRIBERS_PER_CONNECTION = 10;

    private final Arguments arguments;
    private final Phase phase = new Phase();
    private final Latencies sends = new Latencies();
    private final Latencies deliveries = new Latencies();
    private final AtomicLong measured = new AtomicLong();

    Topic(Arguments arguments) {
        this.arguments = arguments;
    }

    void run() throws Exception {
        int subscribers = arguments.number("subscribers");
        List<Connection> connections = new ArrayList<>();
        for (int i = 0; i < subscribers; i++) {
            if (i % SUBSCRIBERS_PER_CONNECTION == 0) {
                connections.add(arguments.connect());
            }
            Session session = connections.get(connections.size() - 1).createSession(false, Session.AUTO_ACKNOWLEDGE);
            session.createConsumer(session.createTopic(arguments.text("topic"))).setMessageListener(message -> {
                try {
                    if (phase.isMeasured()) {
                        deliveries.record(System.nanoTime() - message.getLongProperty("sent"));
                        measured.incrementAndGet();
                    }
                } catch (Exception e) {
                    phase.fail(e);
                }
            });
        }
        for (Connection connection : connections) {
            connection.start();
        }
        Connection sending = arguments.connect();
        Thread sender = new Thread(() -> {
            try {
                send(sending);
            } catch (Throwable e) {
                phase.fail(e);
            }
        });
        sender.start();
        phase.runFor(arguments.number("warm"), arguments.number("time"));
        sender.join(60_000);
        double seconds = phase.measuredSeconds();
        System.out.printf(Locale.ROOT,
                "{\"per_second\":%.1f,\"send_p50_us\":%.1f,\"send_p99_us\":%.1f,\"delivery_p50_us\":%.1f,"
                        + "\"delivery_p99_us\":%.1f}%n",
                measured.get() / seconds, sends.percentileMicros(0.5), sends.percentileMicros(0.99),
                deliveries.percentileMicros(0.5), deliveries.percentileMicros(0.99));
        sending.close();
        for (Connection connection : connections) {
            connection.close();
        }
    }

    private void send(Connection connection) throws Exception {
        Session session = connection.createSession(false, Session.AUTO_ACKNOWLEDGE);
        MessageProducer producer = session.createProducer(session.createTopic(arguments.text("topic")));
        producer.setDeliveryMode(DeliveryMode.PERSISTENT);
        byte[] body = new byte[arguments.number("size")];
        while (!phase.isOver()) {
            BytesMessage message = session.createBytesMessage();
            message.writeBytes(body);
            long begin = System.nanoTime();
            message.setLongProperty("sent", begin);
            producer.send(message);
            if (phase.isMeasured()) {
                sends.record(System.nanoTime() - begin);
            }
        }
    }
}
