package dev.tandem.bench;

/**
 * The bench's JMS client: one measurement per run.
 *
 * <p>{@code Main MODE name=value ...} with the modes {@code load}, {@code topic}, {@code gap}, {@code fill} and
 * {@code faults}. Results are JSON objects on standard output, one per line; everything else goes to standard error. The modes
 * {@code send} and {@code receive} are for pods: they tell what becomes of each message, and end when they are told to.
 */
public final class Main {

    private Main() {
    }

    public static void main(String[] args) throws Exception {
        if (args.length == 0) {
            throw new IllegalArgumentException("name a mode: load, topic, gap, fill, faults, send or receive");
        }
        Arguments arguments = new Arguments(args);
        switch (args[0]) {
            case "load" -> new Load(arguments).run();
            case "topic" -> new Topic(arguments).run();
            case "gap" -> new Gap(arguments).run();
            case "fill" -> new Fill(arguments).run();
            case "faults" -> new Faults(arguments).run();
            case "send" -> new Sending(arguments).run();
            case "receive" -> new Receiving(arguments).run();
            default -> throw new IllegalArgumentException("no mode " + args[0] + ": load, topic, gap, fill, faults, send or receive");
        }
        // The JMS client keeps threads for reconnection; the measurement is over, whatever they still wait for.
        System.out.flush();
        System.exit(0);
    }
}
