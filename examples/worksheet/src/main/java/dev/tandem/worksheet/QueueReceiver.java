package dev.tandem.worksheet;

import jakarta.jms.Connection;
import jakarta.jms.ConnectionFactory;
import jakarta.jms.JMSException;
import jakarta.jms.Message;
import jakarta.jms.MessageConsumer;
import jakarta.jms.Queue;
import jakarta.jms.Session;
import java.util.BitSet;
import javax.naming.InitialContext;

/** Receives from exampleQueue until it has seen every number, and notes each message in its log. */
public final class QueueReceiver {

    /** How long one call waits for a message, so that the end of the given time is noticed. */
    private static final long RECEIVE_TIMEOUT_MS = 500;

    /** How long to listen on after the last missing number, so that late duplicates are counted too. */
    private static final long LINGER_MS = 2_000;

    private QueueReceiver() {
    }

    public static void main(String[] args) throws Exception {
        Settings settings = Settings.read("target/receiver.log");
        InitialContext names = new InitialContext();
        ConnectionFactory factory = (ConnectionFactory) names.lookup("ConnectionFactory");
        Queue queue = (Queue) names.lookup("queue/exampleQueue");

        try (EventLog log = new EventLog(settings.logFile()); Connection connection = factory.createConnection()) {
            connection.setExceptionListener(e -> log.write("connection", EventLog.oneLine(e)));
            Session session = connection.createSession(false, Session.AUTO_ACKNOWLEDGE);
            MessageConsumer consumer = session.createConsumer(queue);
            connection.start();
            log.write("start", "count=" + settings.count());

            BitSet seen = new BitSet();
            int duplicates = 0;
            long lastMessage = System.nanoTime();
            while (!settings.timeIsUp()) {
                if (seen.cardinality() == settings.count() && elapsedMs(lastMessage) >= LINGER_MS) {
                    log.write("end", "received=" + seen.cardinality() + " duplicates=" + duplicates);
                    return;
                }
                Message message = receive(consumer, log);
                if (message == null) {
                    continue;
                }
                lastMessage = System.nanoTime();
                int number = Integer.parseInt(message.getBody(String.class));
                log.write("received", number + " redelivered=" + message.getJMSRedelivered());
                if (seen.get(number)) {
                    duplicates++;
                }
                seen.set(number);
            }
            log.write("gave-up", "received=" + seen.cardinality() + " duplicates=" + duplicates);
            throw new IllegalStateException(
                    "received " + seen.cardinality() + " of " + settings.count() + " numbers within the given time");
        }
    }

    private static Message receive(MessageConsumer consumer, EventLog log) throws InterruptedException {
        try {
            return consumer.receive(RECEIVE_TIMEOUT_MS);
        } catch (JMSException e) {
            // The connection was lost during the call. The client reconnects by itself; the message comes again.
            log.write("interrupted", EventLog.oneLine(e));
            Thread.sleep(RECEIVE_TIMEOUT_MS);
            return null;
        }
    }

    private static long elapsedMs(long sinceNanos) {
        return (System.nanoTime() - sinceNanos) / 1_000_000;
    }
}
