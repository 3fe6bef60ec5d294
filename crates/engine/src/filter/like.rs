//! The patterns of LIKE: `%` stands for any characters, `_` for one.

/// A pattern, ready to be applied.
#[derive(Debug, Clone)]
pub(super) struct LikePattern {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Character(char),
    One,
    Any,
}

impl LikePattern {
    /// A pattern in which `escape` takes the special meaning of the character after it.
    pub(super) fn new(pattern: &str, escape: Option<char>) -> Self {
        let mut parts = Vec::new();
        let mut characters = pattern.chars();
        while let Some(character) = characters.next() {
            let part = match character {
                _ if Some(character) == escape => match characters.next() {
                    Some(escaped) => Part::Character(escaped),
                    None => Part::Character(character),
                },
                '%' => Part::Any,
                '_' => Part::One,
                _ => Part::Character(character),
            };
            parts.push(part);
        }
        Self { parts }
    }

    /// Whether the whole text fits. On a mismatch the last `%` takes one character more, so the
    /// work is at most the product of the two lengths.
    pub(super) fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        let (mut part, mut at) = (0, 0);
        let mut retry: Option<(usize, usize)> = None;
        while at < text.len() {
            match self.parts.get(part) {
                Some(Part::Any) => {
                    retry = Some((part, at));
                    part += 1;
                }
                Some(Part::One) => {
                    part += 1;
                    at += 1;
                }
                Some(Part::Character(character)) if *character == text[at] => {
                    part += 1;
                    at += 1;
                }
                Some(Part::Character(_)) | None => {
                    let Some((any, taken)) = retry else {
                        return false;
                    };
                    retry = Some((any, taken + 1));
                    part = any + 1;
                    at = taken + 1;
                }
            }
        }
        self.parts[part..].iter().all(|part| *part == Part::Any)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_and_underscore_stand_for_characters() {
        let like = |pattern: &str, text: &str| LikePattern::new(pattern, None).matches(text);
        assert!(like("12%3", "123"));
        assert!(like("12%3", "12993"));
        assert!(!like("12%3", "1234"));
        assert!(like("l_se", "lose"));
        assert!(!like("l_se", "loose"));
        assert!(like("%", ""));
        assert!(!like("_", ""));
        assert!(like("%a%b%", "xxaxxbxx"));
        assert!(like("ä_%", "äöü"));
    }

    #[test]
    fn the_escape_takes_the_special_meaning() {
        let pattern = LikePattern::new("\\_%", Some('\\'));
        assert!(pattern.matches("_foo"));
        assert!(!pattern.matches("bar"));
        assert!(LikePattern::new("a!", Some('!')).matches("a!"));
    }
}
