//! What the program takes for a packet, without any network: `BPF_PROG_TEST_RUN` runs it some hundred thousand times
//! on packets that a program of ours makes anew for each run, and what that takes by itself is subtracted.

mod cases;
mod device;
mod repeater;
mod tables;

use anyhow::{Context, Result, ensure};
use dproxy_lab::{Interrupt, Namespace};
use dproxy_userspace::datapath::LoadedProgram;
use serde::Serialize;

pub use cases::{ANSWER, Case, QUERY, RANDOM, REPLY, WORST};

use cases::CASES;

use device::Device;
use repeater::{Measured, Repeater};

/// Packets of one sample: about 50 ms.
const RUNS: u32 = 400_000;
/// They are run in so many parts, of which the fastest counts.
const PARTS: u32 = 20;
/// Packets of a sample where each asks for another of many names, all in one part: all names have to be asked for.
const RUNS_OF_MANY: u32 = 1 << 21;

/// What was measured of one case.
#[derive(Debug, Serialize)]
pub struct Cost {
    /// What it is.
    #[serde(flatten)]
    pub case: Case,
    /// Nanoseconds a packet, above the floor of the same round.
    pub samples_ns: Vec<f64>,
    /// What was subtracted from each.
    pub floor_ns: Vec<f64>,
}

/// All that came out.
#[derive(Debug, Default, Serialize)]
pub struct Costs {
    /// Case by case.
    pub cases: Vec<Cost>,
    /// Program by program.
    pub programs: Vec<LoadedProgram>,
    /// Routes of which each was looked up, and found to lead where it should.
    pub routes_verified: u32,
}

/// Measures all cases that have `text` in their name, `rounds` samples each.
pub fn measure(namespace: &Namespace, text: &str, rounds: u32, interrupt: &Interrupt) -> Result<Costs> {
    namespace.enter(|| measure_here(text, rounds, interrupt))?
}

fn measure_here(text: &str, rounds: u32, interrupt: &Interrupt) -> Result<Costs> {
    let mut costs = Costs::default();
    let mut device: Option<Device> = None;
    for case in CASES.into_iter().filter(|case| case.name.contains(text)) {
        // Cases with the same tables are next to each other.
        if device.as_ref().is_none_or(|device| device.tables() != case.tables) {
            drop(device.take());
            let loaded = Device::load(case.tables).with_context(|| case.tables.to_string())?;
            if case.tables.routes == tables::MOST_ROUTES {
                costs.routes_verified = loaded.verify_routes()?;
            }
            costs.programs = loaded.programs();
            device = Some(loaded);
        }
        let device = device.as_ref().context("no program")?;
        costs.cases.push(cost(device, case, rounds).with_context(|| case.name)?);
        eprintln!("  {:<48} {:>6.1} ns", case.name, median(&costs));
        ensure!(!interrupt.came()?, "interrupted");
    }
    Ok(costs)
}

fn median(costs: &Costs) -> f64 {
    let samples = costs.cases.last().into_iter().flat_map(|cost| cost.samples_ns.iter().copied());
    crate::measure::Spread::of(samples).map_or(f64::NAN, |spread| spread.median)
}

fn cost(device: &Device, case: Case, rounds: u32) -> Result<Cost> {
    let mut repeater = Repeater::load(device, &case)?;
    let runs = if case.packet.is_random() { RUNS_OF_MANY } else { RUNS };
    prove(device, &mut repeater, &case, runs)?;
    let mut cost = Cost { case, samples_ns: Vec::new(), floor_ns: Vec::new() };
    for _ in 0..rounds {
        let (floor, above_floor) = least(&mut repeater, &case, case.packet.is_reply())?;
        cost.floor_ns.push(floor);
        cost.samples_ns.push(if case.packet.is_reply() {
            // Of the packets, half were queries.
            2.0 * above_floor - least(&mut repeater, &case, false)?.1
        } else {
            above_floor
        });
    }
    Ok(cost)
}

/// What the floor takes, and what the program takes above it: the least of several runs of each, in turn. Whatever else
/// the machine does, or other machines on the same processors, only adds to that.
fn least(repeater: &mut Repeater, case: &Case, turns: bool) -> Result<(f64, f64)> {
    repeater.turn_around(turns);
    let (parts, runs) = if case.packet.is_random() { (1, RUNS_OF_MANY) } else { (PARTS, RUNS / PARTS) };
    let (mut floor, mut program) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..parts {
        floor = floor.min(repeater.run(Measured::Nothing, runs)?);
        program = program.min(repeater.run(Measured::Program, runs)?);
    }
    Ok((floor, program - floor))
}

/// Makes sure that all packets end as they should: others might be faster.
fn prove(device: &Device, repeater: &mut Repeater, case: &Case, runs: u32) -> Result<()> {
    repeater.turn_around(case.packet.is_reply());
    let before = device.ended(case.reason)?;
    repeater.run(Measured::Program, runs)?;
    let (ended, expected) = (device.ended(case.reason)? - before, u64::from(runs));
    let expected = if case.packet.is_reply() { expected / 2 } else { expected };
    ensure!(ended == expected, "{ended} of {expected} packets ended with {}", case.reason.label());
    Ok(())
}
