package dev.tandem.bench;

import jakarta.jms.Connection;
import jakarta.jms.DeliveryMode;
import jakarta.jms.JMSException;
import jakarta.jms.MessageProducer;
import jakarta.jms.Session;
import jakarta.jms.TransactionRolledBackException;
import java.util.Random;

/**
 * Sends durable messages with a pause after each, one by one or in transactions of 1 to 20, more often of few. No message is
 * sent twice: after a failure the next one has a new number, and the account says what is known of the old one.
 */
final class FaultsProducer extends FaultsClient {

    private static final int LARGEST_BATCH = 20;
    /** What a transaction takes, spread over its sends, so that most faults find it open; no gap can be shorter. */
    private static final int BATCH_MS = 60;
    /** So many failures in a row, and a new connection is worth trying. */
    private static final int PATIENCE = 5;

    private final int index;
    private final boolean transacted;
    private final int pauseMs;
    private final Account account;
    private final Acknowledgements acknowledgements;
    private final Random random;
    private int batch;

    FaultsProducer(int index, boolean transacted, Arguments arguments, Account account, Acknowledgements acknowledgements) {
        super("producer " + index + (transacted ? " (transacted)" : ""), arguments);
        this.index = index;
        this.transacted = transacted;
        this.account = account;
        this.acknowledgements = acknowledgements;
        pauseMs = arguments.number("pause");
        random = new Random(index);
    }

    @Override
    void work(Connection connection) throws Exception {
        Session session = connection.createSession(transacted, Session.AUTO_ACKNOWLEDGE);
        MessageProducer producer = session.createProducer(session.createQueue(queue()));
        producer.setDeliveryMode(DeliveryMode.PERSISTENT);
        int failures = 0;
        while (!isStopped()) {
            batch++;
            boolean done = transacted ? sendBatch(session, producer) : sendOne(session, producer);
            failures = done ? 0 : failures + 1;
            if (failures == PATIENCE) {
                throw new JMSException(PATIENCE + " failures in a row");
            }
        }
    }

    private boolean sendOne(Session session, MessageProducer producer) throws Exception {
        long number = account.begin(index, batch);
        try {
            producer.send(message(session, number));
        } catch (JMSException | RuntimeException e) {
            account.settle(number, Account.Outcome.UNKNOWN, Clock.nowMicros());
            log("send", e);
            if (isClosed(e)) {
                throw e;
            }
            return false;
        }
        long now = Clock.nowMicros();
        account.settle(number, Account.Outcome.ACKNOWLEDGED, now);
        acknowledgements.note(index, now);
        pause(pauseMs);
        return true;
    }

    private boolean sendBatch(Session session, MessageProducer producer) throws Exception {
        double share = random.nextDouble();
        long[] numbers = new long[1 + (int) (LARGEST_BATCH * share * share)];
        int begun = 0;
        Account.Outcome outcome = Account.Outcome.ABANDONED;
        Exception failure = null;
        try {
            while (begun < numbers.length) {
                numbers[begun] = account.begin(index, batch);
                begun++;
                producer.send(message(session, numbers[begun - 1]));
                pause(BATCH_MS / numbers.length);
            }
            // From here on nobody knows, until the call returns.
            outcome = Account.Outcome.UNKNOWN;
            session.commit();
            outcome = Account.Outcome.ACKNOWLEDGED;
        } catch (TransactionRolledBackException e) {
            if (outcome == Account.Outcome.UNKNOWN) {
                outcome = Account.Outcome.ROLLED_BACK;
            }
            failure = e;
        } catch (JMSException | RuntimeException e) {
            failure = e;
        }
        long now = Clock.nowMicros();
        for (int i = 0; i < begun; i++) {
            account.settle(numbers[i], outcome, now);
        }
        if (failure == null) {
            acknowledgements.note(index, now);
            return true;
        }
        log("batch, " + outcome, failure);
        if (isClosed(failure)) {
            throw failure;
        }
        if (!(failure instanceof TransactionRolledBackException)) {
            session.rollback();
        }
        return false;
    }
}
