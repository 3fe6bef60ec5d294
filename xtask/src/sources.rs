//! Rules about our own source files that no compiler checks: their size and their opening paragraph.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::run::{command, output, root};

/// A file above this is split: nobody reads it whole any more.
const MAX_LINES: usize = 600;

/// Every file of the repository with one of these endings, committed or about to be.
pub(crate) fn files(endings: &[&str]) -> Result<Vec<PathBuf>> {
    let listing =
        output(command("git").args(["ls-files", "--cached", "--others", "--exclude-standard"]))
            .context("cannot list the files of the repository")?;
    Ok(listing
        .lines()
        .filter(|path| endings.iter().any(|ending| path.ends_with(ending)))
        .map(PathBuf::from)
        .filter(|path| root().join(path).is_file())
        .collect())
}

/// Refuses files that are too long or do not say what they are for.
pub(crate) fn check() -> Result<()> {
    let mut complaints = Vec::new();
    let rust = files(&[".rs"])?;
    for path in &rust {
        let text = fs::read_to_string(root().join(path))
            .with_context(|| format!("cannot read {}", path.display()))?;
        // The tests of a module in a file of their own are about that module, and it has a head.
        let has_head = path.file_name().is_none_or(|name| name != "tests.rs");
        complaints
            .extend(complaint(&text, has_head).map(|what| format!("{}: {what}", path.display())));
    }
    if complaints.is_empty() {
        println!("{} Rust files looked at", rust.len());
        return Ok(());
    }
    bail!("{}", complaints.join("\n"));
}

fn complaint(text: &str, has_head: bool) -> Option<String> {
    let lines = text.lines().count();
    if lines > MAX_LINES {
        return Some(format!("{lines} lines; split it, {MAX_LINES} are the most"));
    }
    if has_head && !text.trim_start().starts_with("//!") {
        return Some("does not begin with a //! paragraph that says what it is for".to_owned());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_file_is_refused() {
        let text = "//! x\n".repeat(MAX_LINES + 1);
        assert!(
            complaint(&text, true)
                .expect("refused")
                .starts_with("601 lines")
        );
        assert_eq!(complaint(&"//! x\n".repeat(MAX_LINES), true), None);
    }

    #[test]
    fn a_file_without_a_head_is_refused() {
        assert!(complaint("use std::fs;\n", true).is_some());
        assert_eq!(complaint("use super::*;\n", false), None);
    }
}
