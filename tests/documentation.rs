//! Holds the pages that are made from tables in the code to those tables. With `UPDATE_GOLDEN=1` they are written anew.

#![expect(
    clippy::expect_used,
    reason = "a test that cannot go on says why and fails"
)]

use std::fmt::Write;
use std::fs;
use std::path::Path;

use broker_config::elements::{Row, Scope, Treatment, bootstrap_scopes, scopes};

const HEAD: &str = "\
# Every element of `broker.xml` and `bootstrap.xml`

Made from the tables in `crates/broker-config/src/elements`, which the parser reads too; a test compares them. An attribute is written
with an `@`. What is not listed here is unknown, and refused with file and line.

- **Used**: has the effect that it has in Artemis.
- **Harmless**: has no effect here, and leaving it out changes nothing that a user relies on.
- **Not yet**: its effect is still missing; the broker says so at its start, except for the values named.
- **Only**: these values, no others.
- **Refused**: the broker does not start.
- **Older name**: means the same as the newer one.
";

#[test]
fn the_page_of_elements_says_what_the_parser_does() {
    let mut page = HEAD.to_owned();
    page.push_str("\n## `broker.xml`\n");
    scopes().for_each(|scope| describe(&mut page, scope));
    page.push_str("\n## `bootstrap.xml`\n");
    bootstrap_scopes().for_each(|scope| describe(&mut page, scope));

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/broker-xml.md");
    if std::env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1") {
        fs::write(&path, &page).expect("the page can be written");
    }
    let committed = fs::read_to_string(&path).expect("the page is there");
    assert!(
        committed == page,
        "docs/broker-xml.md is not what the tables say: run with UPDATE_GOLDEN=1 and read the difference"
    );
}

fn describe(page: &mut String, scope: &Scope) {
    if scope.rows.is_empty() {
        return;
    }
    write!(page, "\n### In `{}`\n\n", scope.name).expect("a string takes everything");
    let used: Vec<String> = scope
        .rows
        .iter()
        .filter(|row| row.treatment == Treatment::Used)
        .map(name)
        .collect();
    if !used.is_empty() {
        writeln!(page, "Used: {}.", used.join(", ")).expect("a string takes everything");
    }
    if used.len() == scope.rows.len() {
        return;
    }
    if !used.is_empty() {
        page.push('\n');
    }
    page.push_str("| name | | |\n|---|---|---|\n");
    for row in scope.rows {
        let (kind, why) = match row.treatment {
            Treatment::Used => continue,
            Treatment::Harmless(why) => ("harmless", why.to_owned()),
            Treatment::NotServedYet { silent: [], why } => ("not yet", why.to_owned()),
            Treatment::NotServedYet { silent, why } => {
                ("not yet", format!("{why} (silent: {})", code(silent)))
            }
            Treatment::Only { values, why } => ("only", only(values, why)),
            Treatment::Refused(why) => ("refused", why.to_owned()),
            Treatment::OldName(new) => ("older name", format!("of `{new}`")),
        };
        // A bar would end the cell.
        writeln!(
            page,
            "| {} | {kind} | {} |",
            name(row),
            why.replace('|', "\\|")
        )
        .expect("a string takes everything");
    }
}

fn name(row: &Row) -> String {
    format!("`{}{}`", if row.attribute { "@" } else { "" }, row.name)
}

/// The values, and the reason if the table has one.
fn only(values: &[&str], why: &str) -> String {
    if why.is_empty() {
        code(values)
    } else {
        format!("{}: {why}", code(values))
    }
}

fn code(values: &[&str]) -> String {
    values
        .iter()
        .map(|value| format!("`{value}`"))
        .collect::<Vec<_>>()
        .join(", ")
}
