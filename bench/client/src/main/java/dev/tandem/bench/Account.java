package dev.tandem.bench;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/**
 * What became of every message, by the number that it carries: what its producer was told, and how often which kind of consumer
 * had it. Numbers of one producer are consecutive.
 *
 * <p>A receipt is <em>sure</em> if an automatically acknowledging session handed the message over, or if the call that commits
 * or acknowledges it returned; it is <em>perhaps</em> one if that call failed, because then nobody can tell whether the broker
 * has taken the message from the queue. A message whose session was given up before that call counts as not received: it must
 * come again.
 */
final class Account {

    /** What a producer knows of a message. */
    enum Outcome {
        /** The call has not returned. */
        IN_FLIGHT,
        /** The send, or the commit of its batch, returned. */
        ACKNOWLEDGED,
        /** The call failed: it is there or not. */
        UNKNOWN,
        /** The commit failed, and the client says that the transaction was rolled back. */
        ROLLED_BACK,
        /** Nobody ever asked for the commit of its batch. */
        ABANDONED
    }

    /** How a message was received. */
    enum Receipt { AUTOMATIC, COMMITTED, PERHAPS, DEAD_LETTER }

    /** More messages than any batch of faults has time for. */
    private static final int MOST_PER_PRODUCER = 4_000_000;
    /** Lost messages that are named one by one. */
    private static final int NAMED = 50;

    private final Column[] columns;
    private final long[] received = new long[Receipt.values().length];
    private long damaged;
    private long lastReceivedMicros;

    Account(int producers) {
        columns = new Column[producers];
        Arrays.setAll(columns, i -> new Column());
    }

    /** All about the messages of one producer. */
    private static final class Column {
        private int count;
        private Outcome[] outcomes = new Outcome[1024];
        private int[] batches = new int[1024];
        private long[] settledMicros = new long[1024];
        /** One byte for each kind of receipt. */
        private byte[][] receipts = new byte[1024][];

        private void grow() {
            if (count == MOST_PER_PRODUCER) {
                throw new IllegalStateException("more than " + MOST_PER_PRODUCER + " messages of one producer");
            }
            if (count == outcomes.length) {
                int length = 2 * count;
                outcomes = Arrays.copyOf(outcomes, length);
                batches = Arrays.copyOf(batches, length);
                settledMicros = Arrays.copyOf(settledMicros, length);
                receipts = Arrays.copyOf(receipts, length);
            }
        }

        private int times(int index, Receipt kind) {
            return receipts[index] == null ? 0 : receipts[index][kind.ordinal()];
        }

        private boolean arrived(int index) {
            return receipts[index] != null;
        }
    }

    /** A new message of a producer. Messages of one transaction have the same batch. */
    synchronized long begin(int producer, int batch) {
        Column column = columns[producer];
        column.grow();
        column.outcomes[column.count] = Outcome.IN_FLIGHT;
        column.batches[column.count] = batch;
        return ((long) producer << 32) | column.count++;
    }

    synchronized void settle(long number, Outcome outcome, long nowMicros) {
        Column column = columns[(int) (number >>> 32)];
        column.outcomes[(int) number] = outcome;
        column.settledMicros[(int) number] = nowMicros;
    }

    synchronized void receive(long number, Receipt kind) {
        Column column = columns[(int) (number >>> 32)];
        int index = (int) number;
        if (column.receipts[index] == null) {
            column.receipts[index] = new byte[Receipt.values().length];
        }
        if (column.receipts[index][kind.ordinal()] < Byte.MAX_VALUE) {
            column.receipts[index][kind.ordinal()]++;
        }
        received[kind.ordinal()]++;
        lastReceivedMicros = Clock.nowMicros();
    }

    synchronized void damaged() {
        damaged++;
    }

    synchronized long lastReceivedMicros() {
        return lastReceivedMicros;
    }

    synchronized long received() {
        return Arrays.stream(received).sum();
    }

    /** Messages that were acknowledged and that nobody has had yet. */
    synchronized long missing() {
        long missing = 0;
        for (Column column : columns) {
            for (int i = 0; i < column.count; i++) {
                if (column.outcomes[i] == Outcome.ACKNOWLEDGED && !column.arrived(i)) {
                    missing++;
                }
            }
        }
        return missing;
    }

    /** The account as a JSON object. Call it when no message is under way any more. */
    synchronized String json() {
        long[] sent = new long[Outcome.values().length];
        long[] arrived = new long[Outcome.values().length];
        long twice = 0;
        long twiceCommitted = 0;
        long onlyPerhaps = 0;
        long deadLetters = 0;
        long torn = 0;
        List<String> lost = new ArrayList<>();
        for (int producer = 0; producer < columns.length; producer++) {
            Column column = columns[producer];
            for (int i = 0; i < column.count; i++) {
                Outcome outcome = column.outcomes[i];
                sent[outcome.ordinal()]++;
                int committed = column.times(i, Receipt.COMMITTED);
                int sure = committed + column.times(i, Receipt.AUTOMATIC);
                int dead = column.times(i, Receipt.DEAD_LETTER);
                if (column.arrived(i)) {
                    arrived[outcome.ordinal()]++;
                } else if (outcome == Outcome.ACKNOWLEDGED && lost.size() < NAMED) {
                    lost.add(String.format(Locale.ROOT, "{\"producer\":%d,\"index\":%d,\"acknowledged_us\":%d}",
                            producer, i, column.settledMicros[i]));
                }
                twice += sure > 1 ? 1 : 0;
                twiceCommitted += committed > 1 ? 1 : 0;
                onlyPerhaps += column.arrived(i) && sure + dead == 0 ? 1 : 0;
                deadLetters += dead > 0 ? 1 : 0;
            }
            torn += torn(column);
        }
        return String.format(Locale.ROOT,
                "{\"acknowledged\":%d,\"lost\":%d,\"twice\":%d,\"twice_committed\":%d,\"only_perhaps\":%d,"
                        + "\"dead_letters\":%d,\"torn\":%d,\"damaged\":%d,"
                        + "\"unknown\":%d,\"unknown_arrived\":%d,\"rolled_back\":%d,\"rolled_back_arrived\":%d,"
                        + "\"abandoned\":%d,\"abandoned_arrived\":%d,\"in_flight\":%d,\"named_lost\":[%s]}",
                sent[Outcome.ACKNOWLEDGED.ordinal()],
                sent[Outcome.ACKNOWLEDGED.ordinal()] - arrived[Outcome.ACKNOWLEDGED.ordinal()],
                twice, twiceCommitted, onlyPerhaps, deadLetters, torn, damaged,
                sent[Outcome.UNKNOWN.ordinal()], arrived[Outcome.UNKNOWN.ordinal()],
                sent[Outcome.ROLLED_BACK.ordinal()], arrived[Outcome.ROLLED_BACK.ordinal()],
                sent[Outcome.ABANDONED.ordinal()], arrived[Outcome.ABANDONED.ordinal()],
                sent[Outcome.IN_FLIGHT.ordinal()], String.join(",", lost));
    }

    /** Transactions of which a part arrived, and a part did not. */
    private static long torn(Column column) {
        long torn = 0;
        int begin = 0;
        for (int i = 1; i <= column.count; i++) {
            if (i < column.count && column.batches[i] == column.batches[begin]) {
                continue;
            }
            int arrived = 0;
            for (int j = begin; j < i; j++) {
                arrived += column.arrived(j) ? 1 : 0;
            }
            torn += arrived > 0 && arrived < i - begin ? 1 : 0;
            begin = i;
        }
        return torn;
    }
}
