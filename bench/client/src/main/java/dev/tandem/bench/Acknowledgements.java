package dev.tandem.bench;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;

/** When each producer was told that something is stored, and the gaps between these moments. */
final class Acknowledgements {

    /** The longest gaps over all producers that are told of a window: whoever asks looks for signs of service in them. */
    private static final int LONGEST = 8;

    private final long[][] times;
    private final int[] counts;

    Acknowledgements(int producers) {
        times = new long[producers][1024];
        counts = new int[producers];
    }

    synchronized void note(int producer, long nowMicros) {
        if (counts[producer] == times[producer].length) {
            times[producer] = Arrays.copyOf(times[producer], 2 * counts[producer]);
        }
        times[producer][counts[producer]++] = nowMicros;
    }

    /** Producers that were told nothing since. */
    synchronized int behind(long sinceMicros) {
        int behind = 0;
        for (int i = 0; i < counts.length; i++) {
            behind += counts[i] == 0 || times[i][counts[i] - 1] < sinceMicros ? 1 : 0;
        }
        return behind;
    }

    synchronized long count() {
        return Arrays.stream(counts).asLongStream().sum();
    }

    /**
     * The gaps that reach into a window, as a JSON object: of each producer the length of its longest one, and begin and end of
     * the longest in which no producer was told anything.
     */
    synchronized String window(long fromMicros, long toMicros) {
        StringBuilder each = new StringBuilder();
        long[] all = new long[0];
        for (int i = 0; i < counts.length; i++) {
            long[] in = reaching(i, fromMicros, toMicros);
            long longest = 0;
            for (int j = 1; j < in.length; j++) {
                longest = Math.max(longest, in[j] - in[j - 1]);
            }
            each.append(i == 0 ? "" : ",").append(longest);
            int before = all.length;
            all = Arrays.copyOf(all, before + in.length);
            System.arraycopy(in, 0, all, before, in.length);
        }
        Arrays.sort(all);
        List<long[]> gaps = new ArrayList<>();
        for (int j = 1; j < all.length; j++) {
            if (all[j] >= fromMicros && all[j - 1] <= toMicros) {
                gaps.add(new long[] {all[j - 1], all[j]});
            }
        }
        gaps.sort(Comparator.comparingLong(gap -> gap[0] - gap[1]));
        StringBuilder longest = new StringBuilder();
        for (long[] gap : gaps.subList(0, Math.min(LONGEST, gaps.size()))) {
            longest.append(longest.isEmpty() ? "" : ",");
            longest.append(String.format(Locale.ROOT, "[%d,%d]", gap[0], gap[1]));
        }
        return "{\"each_us\":[" + each + "],\"all\":[" + longest + "]}";
    }

    /** The times of one producer in the window, with the last one before it and the first one after it. */
    private long[] reaching(int producer, long fromMicros, long toMicros) {
        int from = position(producer, fromMicros);
        int to = position(producer, toMicros);
        return Arrays.copyOfRange(times[producer], Math.max(from - 1, 0), Math.min(to + 1, counts[producer]));
    }

    private int position(int producer, long micros) {
        int found = Arrays.binarySearch(times[producer], 0, counts[producer], micros);
        return found >= 0 ? found : -found - 1;
    }
}
