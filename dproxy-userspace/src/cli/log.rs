//! Logs to standard error, for a terminal or for the journal.

use std::env;
use std::fmt;
use std::io::{IsTerminal, stderr};

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Begins to log what `directives` let through; the command line has checked them.
pub(super) fn start(directives: &str) {
    let subscriber =
        tracing_subscriber::fmt().with_env_filter(EnvFilter::new(directives)).with_writer(stderr);
    if is_journal() {
        subscriber.event_format(Journal).init();
    } else {
        subscriber.with_target(false).with_ansi(stderr().is_terminal()).init();
    }
}

/// Does the journal read standard error? (systemd.exec(5), `$JOURNAL_STREAM`)
fn is_journal() -> bool {
    env::var_os("JOURNAL_STREAM").is_some() && !stderr().is_terminal()
}

/// A line for the journal: the priority in front (sd-daemon(3)); the time it knows itself.
struct Journal;

impl<S, N> FormatEvent<S, N> for Journal
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
        let priority = match *event.metadata().level() {
            Level::ERROR => 3,
            Level::WARN => 4,
            Level::INFO => 6,
            Level::DEBUG | Level::TRACE => 7,
        };
        write!(writer, "<{priority}>")?;
        context.format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}
