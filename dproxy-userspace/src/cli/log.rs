//! Logs to standard error: for people, for the journal, or for programs.

use std::env;
use std::fmt;
use std::io::{IsTerminal, stderr};

use clap::ValueEnum;
use tracing::{Dispatch, Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

/// What a line of the log looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// As the journal wants it if that reads standard error, else text
    #[default]
    Auto,
    /// For people: time, level and message
    Text,
    /// For the journal: the priority in front (sd-daemon(3)), and no time
    Journal,
    /// A JSON object a line
    Json,
}

/// Begins to log what `directives` let through; the command line has checked them.
pub(super) fn start(directives: &str, format: LogFormat) {
    dispatch(directives, format, is_journal(), stderr().is_terminal(), stderr).init();
}

/// Does the journal read standard error? (systemd.exec(5), `$JOURNAL_STREAM`)
fn is_journal() -> bool {
    env::var_os("JOURNAL_STREAM").is_some() && !stderr().is_terminal()
}

fn dispatch<W>(
    directives: &str,
    format: LogFormat,
    is_journal: bool,
    is_terminal: bool,
    writer: W,
) -> Dispatch
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::new(directives);
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_ansi(false);
    match format {
        LogFormat::Auto if is_journal => log.event_format(Journal).into(),
        LogFormat::Journal => log.event_format(Journal).into(),
        LogFormat::Auto | LogFormat::Text => log.with_target(false).with_ansi(is_terminal).into(),
        LogFormat::Json => {
            log.json().flatten_event(true).with_current_span(false).with_span_list(false).into()
        }
    }
}

/// A line for the journal; the time it knows itself.
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
        let mut text = String::new();
        context.format_fields(Writer::new(&mut text), event)?;
        // To the journal, each line is a message.
        text.lines().try_for_each(|line| writeln!(writer, "<{priority}>{line}"))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, read_to_string};
    use std::sync::Arc;

    use serde_json::Value;
    use tracing::{debug, dispatcher, info, trace, warn};

    use super::*;

    /// What is logged when `say` speaks.
    fn logged(directives: &str, format: LogFormat, is_journal: bool, say: impl FnOnce()) -> String {
        let written = Arc::new(tempfile::tempfile().unwrap());
        let log = dispatch(directives, format, is_journal, false, Arc::clone(&written));
        dispatcher::with_default(&log, say);
        written.as_ref().rewind().unwrap();
        read_to_string(written.as_ref()).unwrap()
    }

    fn speak() {
        warn!(pool = "cryo", lost = 3, "a backend is\ngone");
    }

    #[test]
    fn text_has_time_level_and_message() {
        for (format, is_journal) in
            [(LogFormat::Auto, false), (LogFormat::Text, false), (LogFormat::Text, true)]
        {
            let line = logged("info", format, is_journal, || warn!(lost = 3, "a backend is gone"));
            let (time, rest) = line.split_once(' ').unwrap();
            assert!(time.ends_with('Z'), "UTC: {line}");
            assert_eq!(rest.trim_start(), "WARN a backend is gone lost=3\n");
        }
    }

    #[test]
    fn the_journal_gets_a_priority_and_no_time() {
        for (format, is_journal) in [(LogFormat::Auto, true), (LogFormat::Journal, false)] {
            let lines = logged("trace", format, is_journal, || {
                warn!(lost = 3, "gone");
                info!("back\nagain");
                debug!("how");
            });
            assert_eq!(lines, "<4>gone lost=3\n<6>back\n<6>again\n<7>how\n");
        }
    }

    #[test]
    fn json_is_an_object_a_line() {
        let lines = logged("info", LogFormat::Json, true, || {
            speak();
            info!(target: "elsewhere", "back");
        });
        let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let [gone, back] = lines.as_slice() else { panic!("two lines, not {lines:?}") };
        let time = gone["timestamp"].as_str().unwrap();
        assert!(time.ends_with('Z') && time.as_bytes()[10] == b'T', "RFC 3339, UTC: {time}");
        assert_eq!(gone["level"], "WARN");
        assert_eq!(gone["target"], module_path!());
        assert_eq!(gone["message"], "a backend is\ngone");
        assert_eq!(gone["pool"], "cryo");
        assert_eq!(gone["lost"], 3);
        assert_eq!(back["target"], "elsewhere");
    }

    #[test]
    fn packets_are_logged_only_when_asked_for() {
        let say = || {
            trace!(target: "packets", "query-forwarded");
            trace!("something else");
        };
        for (directives, expected) in [
            ("info", ""),
            ("debug", ""),
            ("info,packets=trace", "<7>query-forwarded\n"),
            ("trace", "<7>query-forwarded\n<7>something else\n"),
        ] {
            assert_eq!(logged(directives, LogFormat::Journal, false, say), expected, "{directives}");
        }
    }
}
