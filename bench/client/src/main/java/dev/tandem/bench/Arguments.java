package dev.tandem.bench;

import jakarta.jms.Connection;
import jakarta.jms.JMSException;
import java.util.HashMap;
import java.util.Map;
import org.apache.activemq.artemis.jms.client.ActiveMQConnectionFactory;

/** The words {@code name=value} of the command line. */
final class Arguments {

    private final Map<String, String> values = new HashMap<>();

    Arguments(String[] args) {
        for (int i = 1; i < args.length; i++) {
            int equals = args[i].indexOf('=');
            if (equals < 0) {
                throw new IllegalArgumentException("not name=value: " + args[i]);
            }
            values.put(args[i].substring(0, equals), args[i].substring(equals + 1));
        }
    }

    String text(String name) {
        String value = values.get(name);
        if (value == null) {
            throw new IllegalArgumentException("missing: " + name + "=...");
        }
        return value;
    }

    int number(String name) {
        return Integer.parseInt(text(name));
    }

    /** Connects with the URL and credentials that every mode is given. */
    Connection connect() throws JMSException {
        ActiveMQConnectionFactory factory = new ActiveMQConnectionFactory(text("url"));
        return factory.createConnection(text("user"), text("password"));
    }
}
