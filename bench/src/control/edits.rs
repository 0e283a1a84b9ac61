//! Live edits: how soon each is answered, and seen.

use std::path::Path;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use super::api::Api;
use super::asker::{Asker, Lead};
use super::routes::{ANSWER, POOL};
use crate::chain::Chain;

/// Between edits that are made alone, so that they meet the daemon at whatever it does now and then.
const PAUSE: Duration = Duration::from_millis(100);
/// Between two looks at whether an edit is in force. Whoever never sleeps keeps others on its processor from
/// being woken up.
const LOOK: Duration = Duration::from_micros(100);
/// An edit that is not seen by then never will be.
const PATIENCE: Duration = Duration::from_secs(10);

/// What edits took.
#[derive(Debug, Serialize)]
pub struct Edits {
    /// One now and then.
    pub alone: Times,
    /// Each as soon as the one before is answered. It waits until no packet can see the generation before that.
    pub in_a_row: Times,
}

/// What edits took, milliseconds.
#[derive(Debug, Default, Serialize)]
pub struct Times {
    /// From the request to its answer. The packet after it has seen each edit.
    pub answered_ms: Vec<f64>,
    /// From the request to the first packet that has seen it.
    pub seen_ms: Vec<f64>,
}

/// Makes them: so many routes are added, led elsewhere and removed again.
pub fn make(chain: &Chain, socket: &Path, routes: usize) -> Result<Edits> {
    let series = |pause| series(chain, socket, routes, pause);
    Ok(Edits { alone: series(PAUSE)?, in_a_row: series(Duration::ZERO)? })
}

fn series(chain: &Chain, socket: &Path, routes: usize, pause: Duration) -> Result<Times> {
    let mut api = Api::connect(socket)?;
    let mut askers = [Asker::new(chain)?, Asker::new(chain)?];
    let mut times = Times::default();
    for route in 0..routes {
        let name = format!("edit{route}.live.example");
        ensure!(askers[0].ask(&name)? == Lead::Nowhere, "there is a route for {name} already");
        let path = format!("/v1/routes/{name}");
        let added = format!("{{\"pattern\": \"{name}\", \"pool\": \"{POOL}\"}}");
        let changed = format!("{{\"answer\": \"{ANSWER}\"}}");
        for (request, lead) in [
            (["POST", "/v1/routes", &added], Lead::Backend),
            (["PUT", &path, &changed], Lead::Nxdomain),
            (["DELETE", &path, ""], Lead::Nowhere),
        ] {
            sleep(pause);
            let (answered, seen) = edit(&mut api, request, &mut askers, (&name, lead))?;
            times.answered_ms.push(milliseconds(answered));
            times.seen_ms.push(milliseconds(seen));
        }
    }
    Ok(times)
}

/// Makes an edit; returns when it was answered, and seen.
fn edit(
    api: &mut Api,
    [method, path, body]: [&str; 3],
    [next, watcher]: &mut [Asker; 2],
    (name, lead): (&str, Lead),
) -> Result<(Duration, Duration)> {
    thread::scope(|scope| {
        let watching = scope.spawn(|| watch(watcher, name, lead));
        let start = Instant::now();
        api.send(method, path, body)?;
        let answered = start.elapsed();
        let after = next.ask(name)?;
        ensure!(after == lead, "{method} {path} is answered, and the next packet sees {after:?}");
        let seen = watching.join().ok().context("the watcher has panicked")??;
        Ok((answered, seen.saturating_duration_since(start)))
    })
}

/// When the first query was sent that has seen it.
fn watch(asker: &mut Asker, name: &str, lead: Lead) -> Result<Instant> {
    let end = Instant::now() + PATIENCE;
    loop {
        let now = Instant::now();
        if asker.ask(name)? == lead {
            return Ok(now);
        }
        ensure!(now < end, "{name}: the edit is not seen");
        sleep(LOOK);
    }
}

pub(super) fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
