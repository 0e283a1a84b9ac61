//! `dproxy stats --watch`.

use std::io::{IsTerminal, stdout};
use std::time::Duration;

use terminal_size::{Height, terminal_size};
use tokio::time::{MissedTickBehavior, interval};

use super::show::StatsView;
use super::style::Style;
use super::{Failure, print_text};
use crate::api::{Client, Stats};

/// Shows the counters again and again, until Ctrl-C.
pub(super) async fn stats(client: &Client, every: Duration, all: bool) -> Result<(), Failure> {
    tokio::select! {
        // Ctrl-C is how one says that one has seen enough.
        interrupted = tokio::signal::ctrl_c() => interrupted.map_err(Failure::Start),
        failed = repeat(client, every, all) => failed,
    }
}

async fn repeat(client: &Client, every: Duration, all: bool) -> Result<(), Failure> {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut before: Option<Stats> = None;
    loop {
        ticks.tick().await;
        let now: Stats = client.get("/v1/stats").await?;
        let is_terminal = stdout().is_terminal();
        let height = terminal_size().filter(|_| is_terminal).map(|(_, Height(lines))| usize::from(lines) - 1);
        let view = StatsView { all, height, style: Style::of_stdout() };
        print_text(&screen(&view.lines(&now, before.as_ref()), is_terminal))?;
        before = Some(now);
    }
}

/// Lines that replace what a terminal shows, without flicker: each is overwritten, then its rest is
/// erased, and in the end the rest of the screen (ECMA-48: CUP, EL, ED). What is too long is cut off
/// meanwhile, not wrapped (DECAWM).
fn screen(lines: &[String], is_terminal: bool) -> String {
    if !is_terminal {
        return lines.iter().map(|line| format!("{line}\n")).chain(["\n".to_owned()]).collect();
    }
    let lines: String = lines.iter().map(|line| format!("{line}\u{1b}[K\n")).collect();
    format!("\u{1b}[?7l\u{1b}[H{lines}\u{1b}[J\u{1b}[?7h")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_overwritten_and_a_file_is_not() {
        let lines = ["a".to_owned(), "b".to_owned()];
        assert_eq!(screen(&lines, false), "a\nb\n\n");
        assert_eq!(screen(&lines, true), "\u{1b}[?7l\u{1b}[Ha\u{1b}[K\nb\u{1b}[K\n\u{1b}[J\u{1b}[?7h");
    }
}
