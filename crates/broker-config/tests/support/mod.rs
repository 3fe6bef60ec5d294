//! Comparison with committed files.

use std::path::Path;

/// Asserts that `actual` is the text of `tests/golden/NAME`; with `UPDATE_GOLDEN=1` it becomes that
/// text, to be reviewed as a change.
#[expect(
    clippy::disallowed_methods,
    reason = "a test that renews its own files on request"
)]
pub(crate) fn assert_golden(name: &str, actual: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1") {
        let folder = path.parent().expect("a file in a folder");
        std::fs::create_dir_all(folder).expect("the folder can be made");
        std::fs::write(&path, actual).expect("the file can be written");
        return;
    }
    let expected = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; run with UPDATE_GOLDEN=1", path.display()));
    assert_eq!(
        actual, expected,
        "{name} differs; if that is right, run with UPDATE_GOLDEN=1"
    );
}
