//! `pair show`: the pair record in words, and what the two brokers say of themselves.

use std::path::Path;

use pair::{Record, Side, Versioned};
use status_client::Page;

use super::Failure;
use super::pages::Pages;
use super::pair::say;
use super::register;
use crate::instance::{ArbiterAt, Instance};

/// Shows the record of an instance; answers with the exit status.
pub(super) fn show(instance: &Path, json: bool) -> Result<u8, Failure> {
    let instance = Instance::read(instance).map_err(Failure::usage)?;
    let place = &instance.ha.arbiter;
    let none = || {
        Failure::unavailable(format!(
            "no pair record in {place}: is the store mounted? A new pair is made by `create` of the primary, or by `tandem-broker pair init {dir}`; a lost record is made again by `tandem-broker pair force {dir}`",
            dir = instance.dir.display()
        ))
    };
    if let ArbiterAt::Folder(folder) = place
        && !folder.is_dir()
    {
        return Err(none());
    }
    let Versioned { version, record } = register::open(&instance)?
        .read()
        .map_err(Failure::unavailable)?
        .ok_or_else(none)?;
    if json {
        say(&record.to_json().map_err(Failure::unavailable)?);
        return Ok(0);
    }
    let pages = Pages::of(&instance)?;
    let (own, other) = (pages.own(), pages.other(&register::sides(&instance)));
    let (primary, backup) = match instance.ha.pair_side() {
        Side::Primary => (own, other),
        Side::Backup => (other, own),
    };
    let pages = [primary, backup].map(|page| page.filter(|page| page.node_id == record.pair));
    for line in lines(&record).into_iter().chain(live(&pages)) {
        say(&line);
    }
    say(&line("Record", &format!("{place} version {version}")));
    Ok(0)
}

fn line(name: &str, text: &str) -> String {
    format!("{name:12} {text}")
}

/// What the record says.
fn lines(record: &Record) -> Vec<String> {
    let holder = match (&record.holder, record.forced_side()) {
        (Some(holder), _) => format!("{} (incarnation {})", holder.side, holder.inc),
        (None, Some(side)) => {
            format!("nobody yet; the {side}, which was forced, takes over when it runs")
        }
        (None, None) => "nobody yet".to_owned(),
    };
    let mut lines = vec![
        line("Node ID", &record.pair),
        line("Mode", &record.mode.to_string()),
        line("Epoch", &record.epoch.to_string()),
        line("Holder", &holder),
        line("In sync", &in_sync(record)),
    ];
    if let Some(last) = &record.last {
        let by = last
            .by
            .as_ref()
            .map_or_else(String::new, |by| format!(" by {by}"));
        let gap = last
            .gap_ms
            .map_or_else(String::new, |gap| format!(", service gap {gap} ms"));
        let text = format!("{}, {}{by}{gap}", time(last.at), last.cause);
        lines.push(line("Last change", &text));
    }
    if let Some(wanted) = record.wanted_now() {
        let text = format!("{} (request {})", wanted.to, wanted.id);
        lines.push(line("Wanted", &text));
    }
    if let Some(refused) = &record.refused {
        let text = format!("request {}: {}", refused.id, refused.reason);
        lines.push(line("Refused", &text));
    }
    if let Some(stopped) = record.stopped {
        let text = format!("by the {stopped}, without a failover");
        lines.push(line("Stopped", &text));
    }
    lines
}

/// Who may take over when the holder falls silent, the holder among them.
fn in_sync(record: &Record) -> String {
    if record.forced_side().is_some() || record.in_sync.is_empty() {
        return "nobody".to_owned();
    }
    let members = record.in_sync.iter();
    let names: Vec<&str> = members.map(|member| member.side.as_str()).collect();
    names.join(", ")
}

/// What the brokers say: the primary's page and the backup's, as far as they answer.
fn live(pages: &[Option<Page>; 2]) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, page) in ["Primary", "Backup"].into_iter().zip(pages) {
        let text = match page {
            Some(page) => format!("{}: {}", page.role, page.why),
            None => "does not answer on its HTTP port".to_owned(),
        };
        lines.push(line(name, &text));
    }
    let views = pages.iter().flatten().map(|page| &page.link);
    // By the word of whichever knows more: a broker that has just started has not tried yet.
    let link = views.max_by_key(|link| (link.connected, link.trouble.is_some()));
    let text = match link {
        None => return lines,
        Some(link) if link.connected => {
            let since = link
                .since_ms
                .map_or_else(String::new, |ms| format!(" since {}", time(ms)));
            format!("up{since}")
        }
        Some(link) => {
            let why = link.trouble.as_ref();
            why.map_or_else(|| "down".to_owned(), |why| format!("down: {why}"))
        }
    };
    lines.push(line("Link", &text));
    lines
}

fn time(unix_ms: u64) -> String {
    i64::try_from(unix_ms)
        .ok()
        .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok())
        .map_or_else(|| format!("{unix_ms} ms"), |at| format!("{at:.3}"))
}

#[cfg(test)]
mod tests {
    use pair::{Incarnation, Mode, WriteId};
    use status_client::Link;

    use super::*;

    #[test]
    fn a_forced_record_says_by_whom_and_for_which_side() {
        let wid = WriteId {
            inc: Incarnation([1; 16]),
            n: 1,
        };
        let first = Record::first("node", Mode::SharedStore);
        let text = lines(&first.forced(Side::Backup, "ops@desk", 0, wid)).join("\n");
        for phrase in [
            "Holder       nobody yet; the backup, which was forced, takes over when it runs",
            "In sync      nobody",
            "Last change  1970-01-01T00:00:00.000Z, forced by ops@desk",
        ] {
            assert!(text.contains(phrase), "{phrase:?} is not in:\n{text}");
        }
    }

    #[test]
    fn the_brokers_are_a_line_each_and_their_link_is_one() {
        let page = |role: &str, link: Link| {
            Some(Page {
                role: role.to_owned(),
                why: "says why".to_owned(),
                link,
                ..Page::default()
            })
        };
        let trouble = Link {
            trouble: Some("refused".to_owned()),
            ..Link::default()
        };
        let pages = [page("holding", trouble), page("standby", Link::default())];
        assert_eq!(
            live(&pages),
            [
                "Primary      holding: says why",
                "Backup       standby: says why",
                "Link         down: refused",
            ]
        );
        let up = Link {
            connected: true,
            since_ms: Some(0),
            trouble: None,
        };
        assert_eq!(
            live(&[None, page("serving", up)])[2],
            "Link         up since 1970-01-01T00:00:00.000Z"
        );
        assert_eq!(live(&[None, None]).len(), 2);
    }
}
