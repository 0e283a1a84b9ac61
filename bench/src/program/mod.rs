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

/// The floor of a quiet processor is at most so many times the least that was seen.
const QUIET: f64 = 1.1;
/// So many times as often as necessary it is tried to measure on a quiet processor, if there is more than one round.
const ATTEMPTS: u32 = 3;
/// What was disturbed nevertheless is measured again, so often in all.
const PASSES: u32 = 2;

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
    /// Was somebody else on the processor meanwhile, as far as can be told from the floor?
    pub disturbed: bool,
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
    let mut floors = Floors::default();
    // What was disturbed from beginning to end is known only when something else was not.
    for pass in 0..if rounds > 1 { PASSES } else { 1 } {
        let mut loaded: Option<(Device, Repeater)> = None;
        for case in CASES.into_iter().filter(|case| case.name.contains(text)) {
            let before = costs.cases.iter().position(|cost| cost.case.name == case.name);
            if before.is_some_and(|before| !costs.cases[before].is_disturbed(&floors)) {
                continue;
            }
            // Cases with the same tables are next to each other.
            if loaded.as_ref().is_none_or(|(device, _)| device.tables() != case.tables) {
                drop(loaded.take());
                let device = Device::load(case.tables).with_context(|| case.tables.to_string())?;
                if pass == 0 && case.tables.routes == tables::MOST_ROUTES {
                    costs.routes_verified = device.verify_routes()?;
                }
                costs.programs = device.programs();
                let repeater = Repeater::load(&device)?;
                loaded = Some((device, repeater));
            }
            let (device, repeater) = loaded.as_mut().context("no program")?;
            let cost = cost(device, repeater, case, rounds, &mut floors).with_context(|| case.name)?;
            eprintln!("  {:<48} {:>6.1} ns", case.name, median(&cost.samples_ns));
            match before {
                Some(before) => costs.cases[before] = cost,
                None => costs.cases.push(cost),
            }
            ensure!(!interrupt.came()?, "interrupted");
        }
    }
    costs.cases.iter_mut().for_each(|cost| cost.disturbed = cost.is_disturbed(&floors));
    Ok(costs)
}

impl Cost {
    /// Was the processor somebody else's, too, for more than half of the samples?
    fn is_disturbed(&self, floors: &Floors) -> bool {
        !floors.is_quiet(&self.case, self.case.packet.is_reply(), median(&self.floor_ns))
    }
}

/// The least that making packets takes, by what it is that is made. On a processor that is somebody else's, too, such as
/// another virtual machine's, it takes more.
#[derive(Debug, Default)]
struct Floors([[Option<f64>; 2]; 2]);

impl Floors {
    fn take(&mut self, case: &Case, turns: bool, floor: f64) {
        let least = &mut self.0[usize::from(case.packet.is_random())][usize::from(turns)];
        *least = Some(least.map_or(floor, |least| least.min(floor)));
    }

    fn is_quiet(&self, case: &Case, turns: bool, floor: f64) -> bool {
        let least = self.0[usize::from(case.packet.is_random())][usize::from(turns)];
        least.is_none_or(|least| floor <= QUIET * least)
    }
}

fn median(samples: &[f64]) -> f64 {
    crate::measure::Spread::of(samples.iter().copied()).map_or(f64::NAN, |spread| spread.median)
}

fn cost(
    device: &Device,
    repeater: &mut Repeater,
    case: Case,
    rounds: u32,
    floors: &mut Floors,
) -> Result<Cost> {
    repeater.show(device, &case)?;
    let runs = if case.packet.is_random() { RUNS_OF_MANY } else { RUNS };
    prove(device, repeater, &case, runs)?;
    let mut cost = Cost { case, samples_ns: Vec::new(), floor_ns: Vec::new(), disturbed: false };
    let attempts = if rounds > 1 { ATTEMPTS } else { 1 };
    let mut least = |turns| least(repeater, &case, turns, attempts, floors);
    for _ in 0..rounds {
        let (floor, above_floor) = least(case.packet.is_reply())?;
        cost.floor_ns.push(floor);
        cost.samples_ns.push(if case.packet.is_reply() {
            // Of the packets, half were queries.
            2.0 * above_floor - least(false)?.1
        } else {
            above_floor
        });
    }
    Ok(cost)
}

/// What the floor takes, and what the program takes above it: the least of several runs of each, in turn. Whatever else
/// the processor does only adds to that. A run counts if what it takes to make packets, just before and just after, is
/// what it takes on a quiet processor; after so many attempts, all do.
fn least(
    repeater: &mut Repeater,
    case: &Case,
    turns: bool,
    attempts: u32,
    floors: &mut Floors,
) -> Result<(f64, f64)> {
    repeater.turn_around(turns);
    let (parts, runs) = if case.packet.is_random() { (1, RUNS_OF_MANY) } else { (PARTS, RUNS / PARTS) };
    let (mut floor, mut program) = (f64::INFINITY, f64::INFINITY);
    let mut counted = 0;
    let mut before = repeater.run(Measured::Nothing, runs)?;
    for attempt in 0..attempts * parts {
        let with_program = repeater.run(Measured::Program, runs)?;
        let after = repeater.run(Measured::Nothing, runs)?;
        floors.take(case, turns, after);
        let is_quiet = floors.is_quiet(case, turns, before.max(after));
        if is_quiet || attempt + parts >= attempts * parts {
            floor = floor.min(before).min(after);
            program = program.min(with_program);
            counted += 1;
        }
        if counted == parts {
            break;
        }
        before = after;
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
