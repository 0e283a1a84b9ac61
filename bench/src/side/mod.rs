//! Balancers side by side, on the same two processors as everybody else.

mod flood;
#[path = "../../ebpf/src/frame.rs"]
mod frame;
mod paced;
mod programs;
mod query;
mod rig;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use dproxy_lab::Interrupt;

use crate::contestant::{Contestant, Running, ZONE};
use crate::control::{Asker, Lead};
use rig::{Load, Rig};

const START: Duration = Duration::from_secs(20);

/// TEMP
pub fn try_out(
    dproxy: &Path,
    interrupt: &Interrupt,
    contestants: &[Contestant],
    rates: &[f64],
) -> Result<()> {
    for contestant in contestants {
        let begin = Instant::now();
        let mut rig = Rig::build("side", (0x8400, 0), interrupt)?;
        let built = begin.elapsed();
        let running = match contestant {
            Contestant::Direct => {
                rig.reflect_at_once()?;
                None
            }
            Contestant::Redirect => {
                rig.reflect()?;
                rig.cross()?;
                None
            }
            _ => {
                rig.reflect()?;
                Some(contestant.start_on_both(&rig.chain, dproxy)?)
            }
        };
        if *contestant != Contestant::Direct {
            prove(&rig, *contestant, running.as_ref(), interrupt)?;
        }
        eprintln!("{:?} built {built:?} ready {:?}", contestant, begin.elapsed());
        let loads: Vec<Load> = if rates.is_empty() {
            vec![Load::Flood; 4]
        } else {
            rates.iter().map(|rate| Load::Rate(*rate)).collect()
        };
        for load in loads {
            let t = rig.run(load, 60_000, Duration::from_millis(500))?;
            eprintln!(
                "  {load:?}: offered {:.0} answered {:.0} lost {:.4}% chain {:.0} ns {:?} {:?}",
                t.offered,
                t.answered,
                t.lost() * 100.0,
                t.chain_ns,
                t.latency_ns,
                t.seen
            );
        }
        let end = Instant::now();
        drop(running);
        drop(rig);
        eprintln!("  gone in {:?}", end.elapsed());
    }
    Ok(())
}

fn prove(
    rig: &Rig<'_>,
    contestant: Contestant,
    running: Option<&Running>,
    interrupt: &Interrupt,
) -> Result<()> {
    let start = Instant::now();
    let mut asker = Asker::new(&rig.chain)?;
    loop {
        match asker.ask(&format!("www000.{ZONE}")) {
            Ok(Lead::Backend) => break,
            other if start.elapsed() > START => {
                bail!("{other:?}, log {}", running.map(Running::log_tail).unwrap_or_default())
            }
            _ => ensure!(!interrupt.came()?, "interrupted"),
        }
    }
    if contestant.routes_by_name() {
        let lead = asker.ask("www.elsewhere.example")?;
        ensure!(lead == Lead::Nowhere, "{lead:?}");
    }
    Ok(())
}
