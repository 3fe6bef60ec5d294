//! Log lines as Artemis users know them, so that their searches and dashboards go on working.
//!
//! ```text
//! 2026-11-23 01:08:31,728 INFO  [tandem_broker::ha] AMQ221007: server is now active
//! ```
//! `TANDEM_LOG` filters (`tandem_broker=debug`), `TANDEM_LOG_FORMAT=json` gives one JSON object per line.
//! Nothing here runs per message.

use std::fmt;

use jiff::Zoned;
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Starts logging to standard output. Called once, by `run`.
pub(crate) fn start() {
    let filter = EnvFilter::try_from_env("TANDEM_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let json = std::env::var("TANDEM_LOG_FORMAT").is_ok_and(|format| format == "json");
    if json {
        tracing_subscriber::fmt()
            .json()
            .with_env_filter(filter)
            .init();
    } else {
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_ansi(false)
            .event_format(ArtemisLine)
            .init();
    }
}

/// The line format of an Artemis console: date with a comma before the milliseconds, level, logger, text.
struct ArtemisLine;

impl<S, N> FormatEvent<S, N> for ArtemisLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let now = Zoned::now();
        let meta = event.metadata();
        write!(
            writer,
            "{},{:03} {:<5} [{}] ",
            now.strftime("%Y-%m-%d %H:%M:%S"),
            now.millisecond(),
            meta.level().as_str(),
            meta.target()
        )?;
        context
            .field_format()
            .format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}
