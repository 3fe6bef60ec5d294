package dev.tandem.bench;

import jakarta.jms.Connection;
import jakarta.jms.IllegalStateException;
import jakarta.jms.JMSException;
import jakarta.jms.Message;
import jakarta.jms.MessageConsumer;
import jakarta.jms.Session;

/** Receives with automatic acknowledgement and tells each number. */
final class Receiving {

    private static final long WAIT_MS = 200;
    private static final long RETRY_PAUSE_MS = 50;

    private final Arguments arguments;
    private final Lines lines = new Lines();

    Receiving(Arguments arguments) {
        this.arguments = arguments;
    }

    void run() {
        while (!lines.isStopped()) {
            try (Connection connection = arguments.connect()) {
                connection.start();
                receive(connection);
            } catch (JMSException e) {
                lines.write("connection", Lines.oneLine(e));
                Lines.pause(RETRY_PAUSE_MS);
            }
        }
        lines.end();
    }

    private void receive(Connection connection) throws JMSException {
        Session session = connection.createSession(false, Session.AUTO_ACKNOWLEDGE);
        MessageConsumer consumer = session.createConsumer(session.createQueue(arguments.text("queue")));
        while (!lines.isStopped()) {
            try {
                Message message = consumer.receive(WAIT_MS);
                if (message != null) {
                    String number = message.getBody(String.class);
                    lines.write("received", number + " redelivered=" + message.getJMSRedelivered());
                }
            } catch (IllegalStateException e) {
                // The session is closed for good.
                throw e;
            } catch (JMSException e) {
                // The connection was lost during the call; the message comes again.
                lines.write("interrupted", Lines.oneLine(e));
                Lines.pause(RETRY_PAUSE_MS);
            }
        }
    }
}
