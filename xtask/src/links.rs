//! Follows the links between the pages of this repository. Links to other places are left alone: a check must not fail
//! because somebody else's server is away.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::run::root;
use crate::sources;

/// Refuses links to files or headings that are not there.
pub(crate) fn check() -> Result<()> {
    let mut broken = Vec::new();
    let mut followed = 0;
    for page in sources::files(&[".md"])? {
        let text = read(&root().join(&page))?;
        let folder = page.parent().unwrap_or_else(|| Path::new(""));
        for target in targets(&text) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            followed += 1;
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let path = if file.is_empty() {
                page.clone()
            } else {
                folder.join(file)
            };
            if !root().join(&path).exists() {
                broken.push(format!("{}: no such file: {target}", page.display()));
            } else if !heading.is_empty()
                && !headings(&read(&root().join(&path))?).any(|h| h == heading)
            {
                broken.push(format!("{}: no such heading: {target}", page.display()));
            }
        }
    }
    if !broken.is_empty() {
        bail!("{}", broken.join("\n"));
    }
    println!("{followed} links followed");
    Ok(())
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// What the page's links point to. Code blocks and code spans hold no links.
fn targets(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for line in prose(text) {
        for (at, piece) in line.split('`').enumerate() {
            if at % 2 == 0 {
                found.extend(
                    piece
                        .split("](")
                        .skip(1)
                        .filter_map(|rest| rest.split(')').next()),
                );
            }
        }
    }
    found
}

/// The anchors of a page's headings, formed as the usual hosts of Git repositories form them.
fn headings(text: &str) -> impl Iterator<Item = String> {
    prose(text)
        .filter(|line| line.starts_with('#'))
        .map(|line| {
            line.trim_start_matches('#')
                .trim()
                .to_lowercase()
                .chars()
                .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
                .map(|c| if c == ' ' { '-' } else { c })
                .collect()
        })
}

/// The lines outside code blocks.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut code = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        code ^= fence;
        !code && !fence
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_outside_code() {
        let page = "see [a](a.md) and [b](b.md#x)\n```\n[c](c.md)\n```\n`[d](d.md)` [e](e.md)";
        assert_eq!(targets(page), ["a.md", "b.md#x", "e.md"]);
    }

    #[test]
    fn headings_become_anchors() {
        let page = "# One & two\ntext\n```\n# no\n```\n## `broker.xml` first";
        assert_eq!(
            headings(page).collect::<Vec<_>>(),
            ["one--two", "brokerxml-first"]
        );
    }
}
