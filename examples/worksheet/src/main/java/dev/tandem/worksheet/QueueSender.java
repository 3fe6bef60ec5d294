package dev.tandem.worksheet;

import jakarta.jms.Connection;
import jakarta.jms.ConnectionFactory;
import jakarta.jms.JMSException;
import jakarta.jms.MessageProducer;
import jakarta.jms.Queue;
import jakarta.jms.Session;
import javax.naming.InitialContext;

/**
 * Sends the numbers 1, 2, 3, ... as durable text messages to exampleQueue.
 *
 * <p>A send that ends with an exception may or may not have reached the broker: nobody can tell. The same number is sent
 * again, so that no number is missing; the receiver may then see it twice.
 */
public final class QueueSender {

    /** Pause before a number is sent again, so that a broker that refuses every send is not flooded. */
    private static final long RESEND_PAUSE_MS = 200;

    private QueueSender() {
    }

    public static void main(String[] args) throws Exception {
        Settings settings = Settings.read("target/sender.log");
        InitialContext names = new InitialContext();
        ConnectionFactory factory = (ConnectionFactory) names.lookup("ConnectionFactory");
        Queue queue = (Queue) names.lookup("queue/exampleQueue");

        try (EventLog log = new EventLog(settings.logFile()); Connection connection = factory.createConnection()) {
            connection.setExceptionListener(e -> log.write("connection", EventLog.oneLine(e)));
            Session session = connection.createSession(false, Session.AUTO_ACKNOWLEDGE);
            MessageProducer producer = session.createProducer(queue);
            log.write("start", "count=" + settings.count());

            int number = 0;
            while (number < settings.count() && !settings.timeIsUp()) {
                number++;
                if (!sendUntilAcknowledged(session, producer, number, settings, log)) {
                    log.write("gave-up", Integer.toString(number));
                    throw new IllegalStateException("no acknowledgement for number " + number + " within the given time");
                }
                Thread.sleep(settings.intervalMs());
            }
            log.write("end", "acknowledged=" + number);
        }
    }

    private static boolean sendUntilAcknowledged(
            Session session, MessageProducer producer, int number, Settings settings, EventLog log)
            throws InterruptedException {
        while (!settings.timeIsUp()) {
            try {
                // A durable send returns only when the broker has answered: this is the acknowledgement.
                producer.send(session.createTextMessage(Integer.toString(number)));
                log.write("acknowledged", Integer.toString(number));
                return true;
            } catch (JMSException e) {
                log.write("unknown", number + " " + EventLog.oneLine(e));
                Thread.sleep(RESEND_PAUSE_MS);
                log.write("resend", Integer.toString(number));
            }
        }
        return false;
    }
}
