//! "Did you mean": the known name that a mistyped one looks like.

/// Names longer than this are not compared: none of ours is, and the work grows with the square.
const MAX_NAME_CHARS: usize = 80;

/// The candidate nearest to `name`, if it is near enough to be a slip of the pen.
pub(crate) fn nearest<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let length = name.chars().count();
    if length > MAX_NAME_CHARS {
        return None;
    }
    // One slip in a short name, up to three in a long one.
    let tolerated = (length / 4).clamp(1, 3);
    candidates
        .into_iter()
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= tolerated)
        .min()
        .map(|(_, candidate)| candidate)
}

/// The end of a message: `; did you mean 'x'?`, or nothing.
pub(crate) fn phrase(suggestion: Option<&str>) -> String {
    suggestion
        .map(|name| format!("; did you mean '{name}'?"))
        .unwrap_or_default()
}

/// Edits between two names: letters inserted, removed, replaced, or two neighbours swapped.
/// Case and the difference between hyphens and underscores cost nothing.
fn distance(one: &str, other: &str) -> usize {
    let fold = |text: &str| -> Vec<char> {
        text.chars()
            .map(|c| {
                if c == '_' {
                    '-'
                } else {
                    c.to_ascii_lowercase()
                }
            })
            .collect()
    };
    let (one, other) = (fold(one), fold(other));
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in other.iter().enumerate() {
            let mut cost = (last[j] + usize::from(a != b))
                .min(last[j + 1] + 1)
                .min(row[j] + 1);
            if i > 0 && j > 0 && *a == other[j - 1] && one[i - 1] == *b {
                cost = cost.min(before_last[j - 1] + 1);
            }
            row.push(cost);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_strangers_are_not() {
        let names = ["journal-directory", "journal-datasync", "name", "acceptors"];
        assert_eq!(
            nearest("jurnal-directory", names),
            Some("journal-directory")
        );
        assert_eq!(
            nearest("journal_directory", names),
            Some("journal-directory")
        );
        assert_eq!(nearest("acecptors", names), Some("acceptors"));
        assert_eq!(nearest("Name", names), Some("name"));
        assert_eq!(nearest("metrics", names), None);
        assert_eq!(nearest(&"x".repeat(10_000), names), None);
        assert_eq!(nearest("", names), None);
    }
}
