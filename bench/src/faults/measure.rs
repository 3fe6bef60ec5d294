//! From acknowledgements and answers to gaps. Pure.

use super::clock::as_ms;
use super::load::Window;

/// The gaps around one fault, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Gaps {
    pub(crate) service: f64,
    pub(crate) silence: f64,
    pub(crate) client_max: f64,
    pub(crate) client_median: f64,
}

/// Measures the gaps of a window; `answered` are the moments, in order, at which a broker answered the sampler.
pub(crate) fn gaps(window: &Window, answered: &[u64]) -> Gaps {
    let silence = window.all.iter().map(|(begin, end)| end - begin).max();
    let service = window
        .all
        .iter()
        .map(|(begin, end)| longest_between(*begin, *end, answered))
        .max();
    let mut each = window.each_us.clone();
    each.sort_unstable();
    Gaps {
        service: as_ms(service.unwrap_or(0)),
        silence: as_ms(silence.unwrap_or(0)),
        client_max: as_ms(each.last().copied().unwrap_or(0)),
        client_median: as_ms(each.get(each.len() / 2).copied().unwrap_or(0)),
    }
}

/// The longest part of a silence of all producers that no answer divides: while clients still wait for a broker that is gone, the
/// new one serves already.
fn longest_between(begin: u64, end: u64, answered: &[u64]) -> u64 {
    let mut longest = 0;
    let mut last = begin;
    for at in answered.iter().filter(|at| (begin..=end).contains(*at)) {
        longest = longest.max(at - last);
        last = *at;
    }
    longest.max(end - last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_active_ends_the_service_gap_before_its_clients_are_back() {
        let window = Window {
            each_us: vec![5_000_000, 4_000_000, 5_500_000],
            all: vec![(1_000_000, 5_000_000), (5_100_000, 5_150_000)],
        };
        let answered = [
            990_000, 3_500_000, 3_520_000, 3_540_000, 4_000_000, 5_120_000,
        ];
        let gaps = gaps(&window, &answered);
        assert!((gaps.service - 2_500.0).abs() < 1e-9, "{gaps:?}");
        assert!((gaps.silence - 4_000.0).abs() < 1e-9, "{gaps:?}");
        assert!((gaps.client_max - 5_500.0).abs() < 1e-9, "{gaps:?}");
        assert!((gaps.client_median - 5_000.0).abs() < 1e-9, "{gaps:?}");
    }

    #[test]
    fn without_any_answer_the_gap_is_the_clients() {
        let window = Window {
            each_us: vec![700_000],
            all: vec![(0, 700_000)],
        };
        let gaps = gaps(&window, &[]);
        assert!((gaps.service - 700.0).abs() < 1e-9, "{gaps:?}");
    }
}
