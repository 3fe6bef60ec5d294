//! Golden scripts: a list of events, and the story that follows, kept beside each other.
//!
//! `tests/scripts/NAME.txt` is read, `tests/scripts/NAME.out` is what it must lead to; with
//! `UPDATE_GOLDEN=1` it is written anew, to be read before it is committed.
#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]

use std::path::{Path, PathBuf};
use std::{env, fs};

use simulator::transcript;

fn scripts() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts");
    let mut paths: Vec<PathBuf> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    paths.sort();
    paths
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "golden files are read and written by tests"
)]
fn every_script_tells_the_story_it_told_when_it_was_read() {
    let paths = scripts();
    assert!(paths.len() > 10, "the scripts are not where they should be");
    let mut changed = Vec::new();
    for path in paths {
        let told = transcript(&fs::read_to_string(&path).unwrap());
        let golden = path.with_extension("out");
        if env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&golden, &told).unwrap();
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        if told != expected {
            let line = told
                .lines()
                .zip(expected.lines())
                .position(|(one, other)| one != other);
            let line =
                line.map_or_else(|| "the end".to_owned(), |line| format!("line {}", line + 1));
            changed.push(format!("{} differs at {line}:\n{told}", golden.display()));
        }
    }
    assert!(changed.is_empty(), "{}", changed.join("\n"));
}
