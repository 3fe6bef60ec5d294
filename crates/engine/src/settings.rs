//! Which settings count for an address: patterns of words, and the order in which they apply.
//!
//! Words are separated by dots. `*` stands for exactly one word, `#` for any number of them, also
//! none. Every pattern that matches applies; for each property the most specific one wins.

use std::cmp::Ordering;

use crate::config::{AddressSettings, AddressSettingsMatch, AddressSettingsOverrides};

const DELIMITER: char = '.';
const ANY_WORDS: &str = "#";
const SINGLE_WORD: &str = "*";

/// Whether `pattern` contains a wildcard word.
pub(crate) fn is_pattern(pattern: &str) -> bool {
    pattern
        .split(DELIMITER)
        .any(|word| word == ANY_WORDS || word == SINGLE_WORD)
}

/// Whether `pattern` matches `address`.
///
/// The usual two-pointer match: on a mismatch the last `#` takes one word more, so the work is at
/// most the product of the two lengths.
pub(crate) fn matches(pattern: &str, address: &str) -> bool {
    let pattern: Vec<&str> = pattern.split(DELIMITER).collect();
    let address: Vec<&str> = address.split(DELIMITER).collect();
    let (mut at, mut word) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while word < address.len() {
        match pattern.get(at) {
            Some(&ANY_WORDS) => {
                retry = Some((at, word));
                at += 1;
            }
            Some(expected) if *expected == SINGLE_WORD || *expected == address[word] => {
                at += 1;
                word += 1;
            }
            Some(_) | None => {
                let Some((any, taken)) = retry else {
                    return false;
                };
                retry = Some((any, taken + 1));
                at = any + 1;
                word = taken + 1;
            }
        }
    }
    pattern[at..].iter().all(|rest| *rest == ANY_WORDS)
}

/// Orders patterns from the most specific to the least: at the first word that differs, a name
/// comes before `*`, and `*` before `#`; of two equal beginnings the longer comes first.
pub(crate) fn by_specificity(left: &str, right: &str) -> Ordering {
    let rank = |word: &str| match word {
        ANY_WORDS => 2,
        SINGLE_WORD => 1,
        _ => 0,
    };
    let mut left_words = left.split(DELIMITER);
    let mut right_words = right.split(DELIMITER);
    loop {
        match (left_words.next(), right_words.next()) {
            (Some(one), Some(other)) => match rank(one).cmp(&rank(other)) {
                Ordering::Equal => {}
                decided @ (Ordering::Less | Ordering::Greater) => return decided,
            },
            (Some(_), None) => return Ordering::Less,
            (None, Some(_)) => return Ordering::Greater,
            (None, None) => return left.cmp(right),
        }
    }
}

/// The address settings of the configuration.
#[derive(Debug, Default)]
pub(crate) struct SettingsRepository {
    /// From the least specific to the most.
    matches: Vec<AddressSettingsMatch>,
}

impl SettingsRepository {
    pub(crate) fn new(mut matches: Vec<AddressSettingsMatch>) -> Self {
        matches.sort_by(|left, right| by_specificity(&right.pattern, &left.pattern));
        Self { matches }
    }

    /// The settings of one address.
    pub(crate) fn resolve(&self, address: &str) -> AddressSettings {
        let mut settings = AddressSettings::default();
        for candidate in &self.matches {
            if matches(&candidate.pattern, address) {
                apply(&mut settings, &candidate.overrides);
            }
        }
        settings
    }
}

/// Names every field once, so that a new one cannot be forgotten: `plain` ones replace a value,
/// `optional` ones a value that may be absent.
macro_rules! merge {
    (
        $settings:ident, $overrides:ident;
        plain { $($plain:ident)+ }
        optional { $($optional:ident)+ }
    ) => {
        let AddressSettingsOverrides { $($plain,)+ $($optional,)+ } = $overrides;
        $(if let Some(value) = $plain {
            $settings.$plain.clone_from(value);
        })+
        $(if $optional.is_some() {
            $settings.$optional.clone_from($optional);
        })+
    };
}

fn apply(settings: &mut AddressSettings, overrides: &AddressSettingsOverrides) {
    merge! {
        settings, overrides;
        plain {
            auto_create_dead_letter_resources
            dead_letter_queue_prefix
            dead_letter_queue_suffix
            auto_create_expiry_resources
            expiry_queue_prefix
            expiry_queue_suffix
            no_expiry
            expiry_delay_ms
            min_expiry_delay_ms
            max_expiry_delay_ms
            redelivery_delay_ms
            redelivery_delay_multiplier
            max_delivery_attempts
            send_to_dla_on_no_route
            auto_create_queues
            auto_create_addresses
            auto_delete_queues
            auto_delete_created_queues
            auto_delete_queues_delay_ms
            auto_delete_queues_message_count
            auto_delete_addresses
            auto_delete_addresses_delay_ms
            default_max_consumers
            default_purge_on_no_consumers
            default_exclusive
            default_queue_routing_type
            default_address_routing_type
            default_consumer_window_size
        }
        optional {
            dead_letter_address
            expiry_address
            max_redelivery_delay_ms
            id_cache_size
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_words() {
        let yes = [
            ("#", "a"),
            ("#", "a.b.c"),
            ("a", "a"),
            ("a.#", "a"),
            ("a.#", "a.b.c"),
            ("a.*", "a.b"),
            ("*.b", "a.b"),
            ("a.#.z", "a.z"),
            ("a.#.z", "a.b.z.c.z"),
            ("#.b.#", "a.b.c"),
        ];
        for (pattern, address) in yes {
            assert!(
                matches(pattern, address),
                "{pattern} should match {address}"
            );
        }
        let no = [
            ("a", "ab"),
            ("a", "a.b"),
            ("a.*", "a"),
            ("a.*", "a.b.c"),
            ("*", "a.b"),
            ("a.#.z", "a.b"),
            ("a.#", "ab.c"),
            ("a*", "ab"),
        ];
        for (pattern, address) in no {
            assert!(
                !matches(pattern, address),
                "{pattern} should not match {address}"
            );
        }
    }

    #[test]
    fn a_pattern_full_of_wildcards_is_matched_in_bounded_time() {
        let pattern = vec!["#.a"; 200].join(".");
        let address = vec!["a"; 2_000].join(".") + ".b";
        assert!(!matches(&pattern, &address));
    }

    #[test]
    fn the_most_specific_pattern_wins_for_each_property() {
        let setting =
            |pattern: &str, dla: Option<&str>, attempts: Option<i32>| AddressSettingsMatch {
                pattern: pattern.to_owned(),
                overrides: AddressSettingsOverrides {
                    dead_letter_address: dla.map(str::to_owned),
                    max_delivery_attempts: attempts,
                    ..AddressSettingsOverrides::default()
                },
            };
        let repository = SettingsRepository::new(vec![
            setting("orders.new", None, Some(1)),
            setting("#", Some("DLQ"), Some(5)),
            setting("orders.*", Some("OrdersDLQ"), Some(2)),
            setting("orders.#", None, Some(3)),
        ]);
        let resolved = repository.resolve("orders.new");
        assert_eq!(resolved.dead_letter_address.as_deref(), Some("OrdersDLQ"));
        assert_eq!(resolved.max_delivery_attempts, 1);
        assert_eq!(repository.resolve("orders.old").max_delivery_attempts, 2);
        assert_eq!(repository.resolve("orders.old.er").max_delivery_attempts, 3);
        let other = repository.resolve("other");
        assert_eq!(other.dead_letter_address.as_deref(), Some("DLQ"));
        assert_eq!(other.max_delivery_attempts, 5);
        assert!(other.auto_create_queues);
    }

    #[test]
    fn patterns_are_known_by_their_words() {
        assert!(is_pattern("a.#"));
        assert!(is_pattern("*"));
        assert!(!is_pattern("a.b#"));
    }
}
