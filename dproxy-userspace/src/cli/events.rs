//! `dproxy events`.

use super::args::Events;
use super::style::{Paint, Style, printable};
use super::{Failure, print};
use crate::api::{self, Client, Event};

/// How long each request waits for an event, in seconds.
const WAIT: u64 = 25;

/// Shows events; if they are followed, until Ctrl-C.
pub(super) async fn events(client: &Client, arguments: &Events) -> Result<(), Failure> {
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted.map_err(Failure::Start),
        shown = show(client, arguments) => shown,
    }
}

async fn show(client: &Client, Events { follow, format }: &Events) -> Result<(), Failure> {
    let (mut after, mut wait) = (0, 0);
    loop {
        let events: api::Events = client.get(&format!("/v1/events?after={after}&wait={wait}")).await?;
        let lines = events.events.iter().map(|event| match format.json {
            // One a line, so that whoever reads them need not wait for the last.
            true => serde_json::to_string(event).unwrap_or_default(),
            false => line(event, Style::of_stdout()),
        });
        let lines: Vec<String> = lines.collect();
        if lines.is_empty() && !follow && !format.json {
            return print(&["Nothing has happened.".to_owned()]);
        }
        print(&lines)?;
        if !follow {
            return Ok(());
        }
        (after, wait) = (events.last, WAIT);
    }
}

fn line(event: &Event, style: Style) -> String {
    let paint = if BAD.contains(&event.kind.as_str()) { Paint::Bad } else { Paint::Good };
    let whom = match (&event.pool, event.backend) {
        (Some(pool), Some(backend)) => format!("pool {pool}, backend {backend}: "),
        (Some(pool), None) => format!("pool {pool}: "),
        (None, _) => String::new(),
    };
    let kind = style.paint(paint, &format!("{:<20}", event.kind));
    format!("{}  {kind}  {}", event.at, printable(&format!("{whom}{}", event.text)))
}

/// Kinds of bad news.
const BAD: [&str; 5] = ["backend-down", "pool-fail-open", "pool-down", "pool-tier", "data-plane-failed"];
