//! What `run` and `demo` show: one line per event, and on a terminal, below them, how the pair
//! stands, redrawn in place.
//!
//! Without a terminal there are only lines; without colours (`NO_COLOR`) the same without colours.

use std::io::{IsTerminal, Write};

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};

use super::event::{Event, What};
use super::snapshot::{SideSnapshot, Snapshot};
use super::time::{clock, span, whole_span};
use crate::api::status::ConditionType;
use crate::policy::{Role, Timestamp};

/// Clears from the cursor to the end of the screen.
const CLEAR_BELOW: &str = "\u{1b}[J";
/// Lets the terminal cut long lines, so that each drawn line is one line on the screen.
const NO_WRAP: &str = "\u{1b}[?7l";
/// Undoes that.
const WRAP: &str = "\u{1b}[?7h";

/// The colours of what is shown.
#[derive(Clone, Copy)]
pub(crate) enum Tone {
    /// A healthy active.
    Good,
    /// A healthy standby.
    Calm,
    /// On its way.
    Busy,
    /// Something failed.
    Bad,
    /// Less important.
    Faint,
    /// More important.
    Strong,
}

impl Tone {
    fn style(self) -> Style {
        match self {
            Self::Good => Style::new().fg_color(Some(AnsiColor::Green.into())).bold(),
            Self::Calm => Style::new().fg_color(Some(AnsiColor::Cyan.into())),
            Self::Busy => Style::new().fg_color(Some(AnsiColor::Yellow.into())),
            Self::Bad => Style::new().fg_color(Some(AnsiColor::Red.into())).bold(),
            Self::Faint => Style::new().dimmed(),
            Self::Strong => Style::new().bold(),
        }
    }
}

/// Standard output, as a screen or as lines.
pub(crate) struct View {
    /// Whether lines can be redrawn.
    live: bool,
    colours: bool,
    drawn_lines: usize,
    footer: Vec<String>,
}

impl View {
    /// A view that looks at what standard output is.
    pub(crate) fn new() -> Self {
        let stdout = std::io::stdout();
        let is_terminal = stdout.is_terminal();
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let colours = match AutoStream::choice(&stdout) {
            ColorChoice::Never => false,
            ColorChoice::Auto | ColorChoice::AlwaysAnsi | ColorChoice::Always => is_terminal,
        };
        Self {
            live: is_terminal && !is_dumb,
            colours,
            drawn_lines: 0,
            footer: Vec::new(),
        }
    }

    /// Whether lines can be redrawn.
    pub(crate) fn is_live(&self) -> bool {
        self.live
    }

    /// A text in a tone.
    pub(crate) fn paint(&self, tone: Tone, text: &str) -> String {
        if !self.colours {
            return text.to_owned();
        }
        let style = tone.style();
        format!("{style}{text}{style:#}")
    }

    /// Prints a line that stays.
    pub(crate) fn line(&mut self, text: &str) {
        self.write(&[text.to_owned()]);
    }

    /// Replaces what is drawn below the lines.
    pub(crate) fn draw(&mut self, footer: Vec<String>) {
        if self.live && footer != self.footer {
            self.footer = footer;
            self.write(&[]);
        }
    }

    /// Takes away what is drawn below the lines.
    pub(crate) fn undraw(&mut self) {
        self.draw(Vec::new());
    }

    fn write(&mut self, lines: &[String]) {
        let mut text = String::new();
        if self.drawn_lines > 0 {
            // To the first drawn line, then everything from there is drawn anew.
            let drawn_lines = self.drawn_lines;
            text = format!("\u{1b}[{drawn_lines}A\r{CLEAR_BELOW}");
        }
        for line in lines {
            text.push_str(line);
            text.push('\n');
        }
        if self.live && !self.footer.is_empty() {
            text.push_str(NO_WRAP);
            for line in &self.footer {
                text.push_str(line);
                text.push('\n');
            }
            text.push_str(WRAP);
        }
        self.drawn_lines = if self.live { self.footer.len() } else { 0 };
        let mut stdout = std::io::stdout().lock();
        // Whoever read it may be gone; the pair goes on.
        let _ = stdout.write_all(text.as_bytes());
        let _ = stdout.flush();
    }

    /// Prints an event.
    pub(crate) fn event(&mut self, event: &Event) {
        let line = self.event_line(event);
        self.line(&line);
        if let What::Ended {
            last_lines: Some(last_lines),
            ..
        } = &event.what
        {
            for line in last_lines.lines() {
                let line = self.paint(Tone::Faint, &format!("                       │ {line}"));
                self.line(&line);
            }
        }
    }

    fn event_line(&self, event: &Event) -> String {
        let time = self.paint(Tone::Faint, &clock(event.at));
        let who = event.what.side().map_or("pair", pair::Side::as_str);
        let text = self.paint(tone(&event.what), &event.what.to_string());
        format!(
            "{time}  {}  {text}",
            self.paint(Tone::Strong, &format!("{who:7}"))
        )
    }

    /// How the pair stands, one line per side.
    pub(crate) fn sides(&self, snapshot: &Snapshot, now: Timestamp) -> Vec<String> {
        snapshot
            .sides
            .iter()
            .map(|side| self.side(side, now))
            .collect()
    }

    /// What is between the two sides: who may take over on silence, the link, the last change of the active.
    pub(crate) fn between(&self, snapshot: &Snapshot, now: Timestamp) -> Vec<String> {
        let in_sync = if snapshot.in_sync.is_empty() {
            "nobody".to_owned()
        } else {
            snapshot.in_sync.join(", ")
        };
        let ago = |since_ms: u64| whole_span(now.ms_since(Timestamp(since_ms)));
        let link = match &snapshot.link {
            Some(link) if link.connected => {
                let since = link.since_ms.map(|ms| format!(" for {}", ago(ms)));
                format!("up{}", since.unwrap_or_default())
            }
            Some(link) => {
                let why = link.trouble.as_ref().map(|why| format!("; {why}"));
                self.paint(Tone::Busy, &format!("down{}", why.unwrap_or_default()))
            }
            None => "not known: no broker answers".to_owned(),
        };
        let mut lines = vec![
            format!("  in sync          {in_sync}"),
            format!("  link             {link}"),
        ];
        if let Some(last) = &snapshot.last_transition {
            let by = last.by.as_ref().map(|by| format!(" by {by}"));
            let gap = last.gap_ms.map(|ms| format!(", service gap {}", span(ms)));
            lines.push(format!(
                "  last change      {} ago, {}{}{}",
                ago(last.at_ms),
                last.cause,
                by.unwrap_or_default(),
                gap.unwrap_or_default()
            ));
        }
        lines
    }

    /// What the failback waits for, while the backup is active.
    pub(crate) fn failback(&self, snapshot: &Snapshot, now: Timestamp) -> Option<String> {
        let message = &snapshot.holds(ConditionType::FailbackPending)?.message;
        let left = snapshot.failback_at_ms.map_or_else(String::new, |at_ms| {
            let left_ms = Timestamp(at_ms).ms_since(now);
            format!(" (in {})", whole_span(left_ms.next_multiple_of(1_000)))
        });
        Some(format!(
            "  {}",
            self.paint(Tone::Busy, &format!("{message}{left}"))
        ))
    }

    fn side(&self, side: &SideSnapshot, now: Timestamp) -> String {
        let tone = match (side.role.as_str(), side.settled) {
            ("active", true) => Tone::Good,
            ("standby", true) => Tone::Calm,
            ("down", _) => Tone::Bad,
            _ => Tone::Busy,
        };
        let epoch = side
            .epoch
            .map_or_else(String::new, |epoch| format!("epoch {epoch}"));
        let pid = side
            .pid
            .map_or_else(String::new, |pid| format!("process {pid}"));
        let since = side.since_ms.map(|since| now.ms_since(Timestamp(since)));
        let since = since.map_or_else(String::new, |ms| format!("for {}", whole_span(ms)));
        format!(
            "  {}  {}  {epoch:9}  port {:<5}  {pid:15}  {since:10}  {}",
            self.paint(Tone::Strong, &format!("{:7}", side.side)),
            self.paint(tone, &format!("{:12}", side.role)),
            side.port,
            self.paint(Tone::Faint, &side.why),
        )
    }
}

impl Drop for View {
    fn drop(&mut self) {
        self.undraw();
    }
}

fn tone(what: &What) -> Tone {
    match what {
        What::Became {
            to: Role::Serving, ..
        } => Tone::Good,
        What::Became { .. } => Tone::Calm,
        What::Ended { asked: false, .. } | What::NotStarted { .. } | What::Warning(_) => Tone::Bad,
        What::HandoverRefused { .. } => Tone::Busy,
        What::Started { .. }
        | What::Ended { .. }
        | What::FailbackAsked { .. }
        | What::Asked { .. } => Tone::Faint,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::status::{Condition, Truth};
    use crate::local::snapshot::{LastTransition, LinkSnapshot};

    fn plain() -> View {
        View {
            live: false,
            colours: false,
            drawn_lines: 0,
            footer: Vec::new(),
        }
    }

    #[test]
    fn a_side_is_one_line() {
        let side = SideSnapshot {
            side: "backup".into(),
            role: "standby".into(),
            settled: true,
            epoch: Some(3),
            since_ms: Some(1_000),
            why: "takes over when the active's process ends".into(),
            pid: Some(4711),
            port: 61716,
            ..SideSnapshot::default()
        };
        assert_eq!(
            plain().side(&side, Timestamp(3_500)),
            "  backup   standby       epoch 3    port 61716  process 4711     for 2 s     \
             takes over when the active's process ends"
        );
    }

    #[test]
    fn what_is_between_the_sides_is_a_line_each() {
        let mut pair = Snapshot::default();
        let lines = |pair: &Snapshot| plain().between(pair, Timestamp(9_000)).join("\n");
        assert_eq!(
            lines(&pair),
            "  in sync          nobody\n  link             not known: no broker answers"
        );
        pair.in_sync = vec!["primary".into(), "backup".into()];
        pair.link = Some(LinkSnapshot {
            connected: true,
            since_ms: Some(6_500),
            trouble: None,
        });
        pair.last_transition = Some(LastTransition {
            cause: "forced".into(),
            at_ms: 4_000,
            gap_ms: Some(41),
            by: Some("ops@desk".into()),
        });
        assert_eq!(
            lines(&pair),
            "  in sync          primary, backup\n  link             up for 2 s\n  last change      \
             5 s ago, forced by ops@desk, service gap 41 ms"
        );
        pair.link = Some(LinkSnapshot {
            trouble: Some("the backup says: refused".into()),
            ..LinkSnapshot::default()
        });
        let expected = "  link             down; the backup says: refused";
        assert!(lines(&pair).contains(expected), "{}", lines(&pair));
    }

    #[test]
    fn what_the_failback_waits_for_is_one_line() {
        let mut pair = Snapshot::default();
        let now = Timestamp(1_200);
        assert_eq!(plain().failback(&pair, now), None);
        pair.conditions.push(Condition {
            kind: ConditionType::FailbackPending,
            status: Truth::True,
            reason: "Waiting".into(),
            message: "the primary waits".into(),
        });
        let line = |pair: &Snapshot| plain().failback(pair, now).unwrap();
        assert_eq!(line(&pair), "  the primary waits");
        pair.failback_at_ms = Some(5_000);
        assert_eq!(line(&pair), "  the primary waits (in 4 s)");
        pair.conditions[0].status = Truth::False;
        assert_eq!(plain().failback(&pair, now), None);
    }

    #[test]
    fn colours_are_only_where_they_are_wanted() {
        let mut view = plain();
        assert_eq!(view.paint(Tone::Bad, "x"), "x");
        view.colours = true;
        assert_eq!(view.paint(Tone::Bad, "x"), "\u{1b}[1m\u{1b}[31mx\u{1b}[0m");
    }
}
