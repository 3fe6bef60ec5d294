package dev.tandem.bench;

import jakarta.jms.Connection;
import jakarta.jms.JMSException;
import jakarta.jms.Message;
import jakarta.jms.MessageConsumer;
import jakarta.jms.Session;
import jakarta.jms.TransactionRolledBackException;
import java.util.ArrayList;
import java.util.List;

/** Takes messages in one of three ways of acknowledging, and tells the account. */
final class FaultsConsumer extends FaultsClient {

    /** How a consumer acknowledges. */
    enum Mode { AUTOMATIC, CLIENT, TRANSACTED }

    private static final int WAIT_MS = 100;
    /** Messages that one acknowledgement or commit covers, at most. */
    private static final int GROUP = 10;

    private final Mode mode;
    private final Account account;

    FaultsConsumer(int index, Mode mode, Arguments arguments, Account account) {
        super("consumer " + index + " (" + mode + ")", arguments);
        this.mode = mode;
        this.account = account;
    }

    @Override
    void work(Connection connection) throws Exception {
        Session session = switch (mode) {
            case AUTOMATIC -> connection.createSession(false, Session.AUTO_ACKNOWLEDGE);
            case CLIENT -> connection.createSession(false, Session.CLIENT_ACKNOWLEDGE);
            case TRANSACTED -> connection.createSession(true, Session.SESSION_TRANSACTED);
        };
        MessageConsumer consumer = session.createConsumer(session.createQueue(queue()));
        while (!isStopped()) {
            if (mode == Mode.AUTOMATIC) {
                receiveOne(consumer);
            } else {
                receiveGroup(session, consumer);
            }
        }
    }

    private void receiveOne(MessageConsumer consumer) throws Exception {
        try {
            Message message = consumer.receive(WAIT_MS);
            if (message != null) {
                note(number(message), Account.Receipt.AUTOMATIC);
            }
        } catch (JMSException e) {
            log("receive", e);
            if (isClosed(e)) {
                throw e;
            }
        }
    }

    /** What was received before a failure of {@code receive} was never acknowledged, so it comes again. */
    private void receiveGroup(Session session, MessageConsumer consumer) throws Exception {
        List<Long> numbers = new ArrayList<>();
        Message last = null;
        while (numbers.size() < GROUP) {
            Message message = consumer.receive(WAIT_MS);
            if (message == null) {
                break;
            }
            last = message;
            numbers.add(number(message));
        }
        if (last == null) {
            return;
        }
        Account.Receipt receipt = Account.Receipt.PERHAPS;
        try {
            if (mode == Mode.CLIENT) {
                last.acknowledge();
            } else {
                session.commit();
            }
            receipt = Account.Receipt.COMMITTED;
        } catch (TransactionRolledBackException e) {
            log("commit", e);
        } finally {
            for (long number : numbers) {
                note(number, receipt);
            }
        }
    }

    private void note(long number, Account.Receipt receipt) {
        if (number < 0) {
            account.damaged();
        } else {
            account.receive(number, receipt);
        }
    }
}
