package dev.tandem.bench;

import jakarta.jms.BytesMessage;
import jakarta.jms.Connection;
import jakarta.jms.DeliveryMode;
import jakarta.jms.MessageProducer;
import jakarta.jms.Session;
import java.util.Locale;

/** Puts a number of durable messages into a queue that nobody reads, in transactions, to have a backlog. */
final class Fill {

    private static final int BATCH = 1_000;

    private final Arguments arguments;

    Fill(Arguments arguments) {
        this.arguments = arguments;
    }

    void run() throws Exception {
        long begin = System.nanoTime();
        int count = arguments.number("count");
        try (Connection connection = arguments.connect()) {
            Session session = connection.createSession(true, Session.SESSION_TRANSACTED);
            MessageProducer producer = session.createProducer(session.createQueue(arguments.text("queue")));
            producer.setDeliveryMode(DeliveryMode.PERSISTENT);
            byte[] body = new byte[arguments.number("size")];
            for (int i = 1; i <= count; i++) {
                BytesMessage message = session.createBytesMessage();
                message.writeBytes(body);
                producer.send(message);
                if (i % BATCH == 0 || i == count) {
                    session.commit();
                }
            }
        }
        System.out.printf(Locale.ROOT, "{\"filled\":%d,\"seconds\":%.3f}%n", count, (System.nanoTime() - begin) / 1e9);
    }
}
