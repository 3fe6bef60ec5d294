package dev.tandem.bench;

import jakarta.jms.Connection;
import jakarta.jms.JMSException;
import jakarta.jms.Message;
import jakarta.jms.MessageConsumer;
import jakarta.jms.Session;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * The load under which brokers are killed, frozen and cut off: half of the producers send one by one, half in transactions, and
 * four consumers acknowledge in three ways. Every message is a number, and the account at the end says what became of each.
 *
 * <p>Orders come on standard input, one per line, each answered by one line: {@code now} tells the clock, {@code look} how many
 * were acknowledged and received, {@code behind T} how many producers were told nothing since, {@code window FROM TO} the gaps
 * between acknowledgements, {@code finish} stops the producers, takes what is left, and tells the account. Times are
 * microseconds of the monotonic clock.
 */
final class Faults {

    private static final FaultsConsumer.Mode[] CONSUMERS = {
        FaultsConsumer.Mode.AUTOMATIC, FaultsConsumer.Mode.CLIENT,
        FaultsConsumer.Mode.TRANSACTED, FaultsConsumer.Mode.TRANSACTED,
    };
    private static final String DEAD_LETTERS = "DLQ";
    /** A call may wait for its broker and then for a new connection. */
    private static final long JOIN_LIMIT_MS = 60_000;
    private static final long DRAIN_LIMIT_MS = 30_000;
    /** A queue that gives nothing for so long is empty. */
    private static final int EMPTY_AFTER_MS = 2_000;
    private static final int DRAIN_ATTEMPTS = 5;
    private static final int DRAIN_GROUP = 100;

    private final Arguments arguments;
    private final Account account;
    private final Acknowledgements acknowledgements;
    private final List<FaultsClient> producers = new ArrayList<>();
    private final List<FaultsClient> consumers = new ArrayList<>();

    Faults(Arguments arguments) {
        this.arguments = arguments;
        int count = arguments.number("producers");
        account = new Account(count);
        acknowledgements = new Acknowledgements(count);
        for (int i = 0; i < count; i++) {
            producers.add(new FaultsProducer(i, i % 2 == 1, arguments, account, acknowledgements));
        }
        for (int i = 0; i < CONSUMERS.length; i++) {
            consumers.add(new FaultsConsumer(i, CONSUMERS[i], arguments, account));
        }
    }

    void run() throws Exception {
        List<Thread> sending = producers.stream().map(FaultsClient::start).toList();
        List<Thread> receiving = consumers.stream().map(FaultsClient::start).toList();
        BufferedReader orders = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String order = orders.readLine(); order != null; order = orders.readLine()) {
            String[] words = order.split(" ");
            switch (words[0]) {
                case "now" -> say(String.format(Locale.ROOT, "{\"now_us\":%d}", Clock.nowMicros()));
                case "look" -> say(String.format(Locale.ROOT, "{\"acknowledged\":%d,\"received\":%d}",
                        acknowledgements.count(), account.received()));
                case "behind" -> say(String.format(Locale.ROOT, "{\"behind\":%d}",
                        acknowledgements.behind(Long.parseLong(words[1]))));
                case "window" -> say(acknowledgements.window(Long.parseLong(words[1]), Long.parseLong(words[2])));
                case "finish" -> {
                    finish(sending, receiving);
                    return;
                }
                default -> throw new IllegalArgumentException("no order " + order);
            }
        }
    }

    private static void say(String line) {
        System.out.println(line);
        System.out.flush();
    }

    private void finish(List<Thread> sending, List<Thread> receiving) throws Exception {
        producers.forEach(FaultsClient::stop);
        join(sending, JOIN_LIMIT_MS);
        long limit = Clock.nowMicros() + DRAIN_LIMIT_MS * 1_000;
        while (Clock.nowMicros() < limit && (account.missing() > 0
                || Clock.nowMicros() - account.lastReceivedMicros() < EMPTY_AFTER_MS * 1_000)) {
            Thread.sleep(20);
        }
        consumers.forEach(FaultsClient::stop);
        join(receiving, JOIN_LIMIT_MS);
        // What a consumer that has ended had taken and not acknowledged is in the queue again.
        boolean drained = drain(arguments.text("queue"), Account.Receipt.COMMITTED)
                & drain(DEAD_LETTERS, Account.Receipt.DEAD_LETTER);
        say(String.format(Locale.ROOT, "{\"drained\":%b,\"account\":%s}", drained, account.json()));
    }

    private static void join(List<Thread> threads, long limitMs) throws InterruptedException {
        long end = Clock.nowMicros() + limitMs * 1_000;
        for (Thread thread : threads) {
            thread.join(Math.max(1, (end - Clock.nowMicros()) / 1_000));
            if (thread.isAlive()) {
                System.err.println(thread.getName() + " has not ended");
            }
        }
    }

    /** Empties a queue; whether it was seen empty. */
    private boolean drain(String queue, Account.Receipt receipt) throws InterruptedException {
        for (int attempt = 0; attempt < DRAIN_ATTEMPTS; attempt++) {
            try (Connection connection = arguments.connect()) {
                drain(connection, queue, receipt);
                return true;
            } catch (JMSException e) {
                System.err.println("emptying " + queue + ": " + e);
                Thread.sleep(1_000);
            }
        }
        return false;
    }

    private void drain(Connection connection, String queue, Account.Receipt receipt) throws JMSException {
        Session session = connection.createSession(true, Session.SESSION_TRANSACTED);
        MessageConsumer consumer = session.createConsumer(session.createQueue(queue));
        connection.start();
        List<Long> numbers = new ArrayList<>();
        Message message;
        do {
            message = consumer.receive(EMPTY_AFTER_MS);
            if (message != null) {
                numbers.add(FaultsClient.number(message));
            }
            if (message == null || numbers.size() == DRAIN_GROUP) {
                session.commit();
                for (long number : numbers) {
                    if (number < 0) {
                        account.damaged();
                    } else {
                        account.receive(number, receipt);
                    }
                }
                numbers.clear();
            }
        } while (message != null);
    }
}
