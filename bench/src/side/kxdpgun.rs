//! kxdpgun (Knot DNS) as a generator that is not ours.

use std::fs;

use anyhow::{Context, Result, bail, ensure};
use dproxy_lab::Interrupt;
use serde::Serialize;

use super::frame::NAMES;
use super::rig::{Rig, Trial};
use crate::chain::{HOST_INTERFACE, LISTENER};
use crate::contestant::{Contestant, ZONE};

/// kxdpgun counts seconds.
const SECONDS: u32 = 1;
/// It asks at that share of the rate that we have found, since it takes more of the processors than our generator, and at
/// no more than it can send.
const SHARE: f64 = 0.5;
const MOST: f64 = 150_000.0;
/// As many clients as ours have, about: addresses in turn, and a port for each query.
const CLIENTS: &str = "198.18.0.0/24";

/// What kxdpgun has seen.
#[derive(Debug, Serialize)]
pub struct Witnessed {
    /// Who was asked.
    pub contestant: Contestant,
    /// How many queries a second it was told to send.
    pub asked: f64,
    /// What it says.
    #[serde(flatten)]
    pub seen: Seen,
}

/// From its statistics.
#[derive(Debug, PartialEq, Serialize)]
pub struct Seen {
    /// Queries sent.
    pub sent: u64,
    /// Answers received.
    pub answered: u64,
    /// Answers a second.
    pub queries_per_second: f64,
}

/// Lets kxdpgun ask a contestant.
pub fn look(
    rig: &mut Rig<'_>,
    contestant: Contestant,
    highest: &Trial,
    interrupt: &Interrupt,
) -> Result<Witnessed> {
    rig.leave_client()?;
    let file = rig.chain.instance().folder().join("kxdpgun.names");
    let names: String = (0..NAMES).map(|number| format!("www{number:03}.{ZONE} A E\n")).collect();
    fs::write(&file, names).with_context(|| format!("write {}", file.display()))?;
    let asked = (highest.answered * SHARE).min(MOST);
    let mut command = rig.chain.client.command("kxdpgun");
    command.args([
        "-t",
        &SECONDS.to_string(),
        "-Q",
        &format!("{asked:.0}"),
        "-I",
        HOST_INTERFACE,
        "-l",
        CLIENTS,
        "-i",
    ]);
    command.arg(&file).args(["-p", &LISTENER.port().to_string(), &LISTENER.ip().to_string()]);
    let output = crate::cores::on_both(|| {
        command.output().context("start kxdpgun: `cargo xtask setup bench` installs it")
    })?;
    ensure!(!interrupt.came()?, "interrupted");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let Some(seen) = parse(&said) else { bail!("kxdpgun's output is not as we know it: {said}") };
    Ok(Witnessed { contestant, asked, seen })
}

fn parse(output: &str) -> Option<Seen> {
    let value = |name: &str| {
        let line =
            output.lines().find_map(|line| line.trim().strip_prefix(name)?.trim_start().strip_prefix(':'));
        line?.split_whitespace().next()
    };
    let sent = value("total queries")?.parse().ok()?;
    let answered = value("total replies")?.parse().ok()?;
    let seconds: f64 = value("duration")?.parse().ok()?;
    Some(Seen { sent, answered, queries_per_second: answered as f64 / seconds })
}
