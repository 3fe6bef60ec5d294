package dev.tandem.bench;

import jakarta.jms.Connection;
import jakarta.jms.IllegalStateException;
import jakarta.jms.JMSException;
import jakarta.jms.MessageProducer;
import jakarta.jms.Session;

/**
 * Sends the numbers 1, 2, 3, ... as durable messages, with {@code pause} milliseconds between them. A send that ends with an exception
 * may or may not have arrived: the same number is sent again, and may come twice.
 */
final class Sending {

    private static final long RETRY_PAUSE_MS = 50;

    private final Arguments arguments;
    private final Lines lines = new Lines();
    private int number = 1;

    Sending(Arguments arguments) {
        this.arguments = arguments;
    }

    void run() {
        while (!lines.isStopped()) {
            try (Connection connection = arguments.connect()) {
                send(connection);
            } catch (JMSException e) {
                lines.write("connection", Lines.oneLine(e));
                Lines.pause(RETRY_PAUSE_MS);
            }
        }
        lines.end();
    }

    private void send(Connection connection) throws JMSException {
        Session session = connection.createSession(false, Session.AUTO_ACKNOWLEDGE);
        MessageProducer producer = session.createProducer(session.createQueue(arguments.text("queue")));
        while (!lines.isStopped()) {
            try {
                producer.send(session.createTextMessage(Integer.toString(number)));
                lines.write("acknowledged", Integer.toString(number));
                number++;
                Lines.pause(arguments.number("pause"));
            } catch (IllegalStateException e) {
                // The session is closed for good.
                throw e;
            } catch (JMSException e) {
                lines.write("unknown", number + " " + Lines.oneLine(e));
                Lines.pause(RETRY_PAUSE_MS);
            }
        }
    }
}
