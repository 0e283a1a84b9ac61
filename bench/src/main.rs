//! `dproxy-bench`: measures dproxy side by side with others, on one machine, in network namespaces.
//!
//! docs/benchmark.md says what is measured, and what the traps are.

mod backend;
mod chain;
mod checks;
mod contestant;
mod control;
mod cores;
mod failures;
mod load;
mod measure;
mod program;
mod report;
mod runner;
mod sample;
mod scenario;
mod side;
mod stage;
mod witness;

use std::net::SocketAddr;
use std::path::{self, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::{Parser, ValueEnum};
use dproxy_lab::{Interrupt, XdpReflector, default_binary};

use crate::contestant::{ALONE, Contestant, Description, Processors};
use crate::cores::Precedence;
use crate::report::{MachineDescription, Report};
use crate::runner::Plan;
use crate::scenario::{Part, SCENARIOS};

/// Measures dproxy side by side with dnsdist: queries per second, and processor time per query, of the
/// same queries, with the same backend, on the same processor, one after the other.
#[derive(Parser)]
#[command(name = "dproxy-bench", version)]
struct Arguments {
    /// Two and a half minutes: one round of short samples.
    #[arg(long)]
    quick: bool,
    /// Only this part; may be given more than once.
    #[arg(long, value_enum)]
    only: Vec<Part>,
    /// Only this contestant; may be given more than once.
    #[arg(long, value_enum)]
    contestant: Vec<Contestant>,
    /// Of the program by itself, only cases whose name has this in it.
    #[arg(long, value_name = "TEXT", default_value = "")]
    case: String,
    /// The dproxy program to measure [default: the one built together with this program].
    #[arg(long, value_name = "FILE")]
    dproxy: Option<PathBuf>,
    /// Come before everything else on this machine, for when it is busy with other things.
    #[arg(long)]
    precedence: bool,
    /// Samples of each contestant in each scenario [default: 5, with --quick 1].
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,
    /// What one sample takes [default: 5, with --quick 1; side by side, half a second and a quarter].
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    seconds: Option<u32>,
    /// The beginning of the namespaces' names.
    #[arg(long, default_value = "dproxy-bench")]
    name: String,
    /// Where to write samples, machine and bars as JSON; files of the control plane go beside it.
    #[arg(long, value_name = "FILE", default_value = "target/bench/latest.json")]
    output: PathBuf,
    /// Side by side, let the backend answer wrongly: to see that this is noticed.
    #[arg(long, value_enum, hide = true)]
    spoil: Option<Spoiled>,
    /// Be a backend that fails as it is told to.
    #[arg(long, hide = true, value_name = "ADDRESS")]
    serve: Option<SocketAddr>,
}

/// What a backend can do wrong.
#[derive(Clone, Copy, ValueEnum)]
enum Spoiled {
    /// It has not the mark
    Mark,
    /// It answers with another ID
    Id,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.serve {
        Some(address) => failures::serve(address).map(|()| true),
        None => run(&arguments),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("dproxy-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all bars are held.
fn run(arguments: &Arguments) -> Result<bool> {
    ensure!(dproxy_lab::is_root(), "needs root, to create network namespaces: run it with sudo");
    let interrupt = Interrupt::catch()?;
    let machine = MachineDescription::look();
    cores::take_place()?;
    let _precedence = arguments.precedence.then(Precedence::take).transpose()?;
    let plan = plan(arguments)?;
    let contestants = describe(&plan)?;
    let results = plan.run(&arguments.name, &interrupt)?;
    let report = Report::new(machine, &plan, contestants, &results);
    report.print();
    report.write(&arguments.output)?;
    println!("\nAll samples are in {}.", arguments.output.display());
    if let Some(chart) = report.draw(&arguments.output)? {
        println!("A chart is in {}.", chart.display());
    }
    Ok(report.all_held())
}

/// Who is measured. Side by side, who is not there has no figures; elsewhere, it is an error.
fn describe(plan: &Plan) -> Result<Vec<Description>> {
    let one_by_one = !plan.scenarios.is_empty() || plan.witness;
    let alone = plan
        .contestants
        .iter()
        .filter(|_| one_by_one)
        .map(|contestant| contestant.describe(&plan.dproxy, Processors::One));
    let mut described = alone.collect::<Result<Vec<_>>>()?;
    let side = plan.side.iter().flat_map(|side| &side.contestants);
    described.extend(side.filter_map(|contestant| contestant.describe(&plan.dproxy, Processors::Both).ok()));
    Ok(described)
}

fn plan(arguments: &Arguments) -> Result<Plan> {
    let (rounds, seconds) = if arguments.quick { (1, 1) } else { (5, 5) };
    let seconds = arguments.seconds.unwrap_or(seconds);
    let mut wanted = all_or(&arguments.only);
    if arguments.quick && arguments.only.is_empty() {
        wanted.retain(|part| !matches!(part, Part::Failures | Part::Checks));
    }
    let dproxy = arguments.dproxy.clone().map_or_else(default_binary, Ok)?;
    Ok(Plan {
        rounds: arguments.rounds.unwrap_or(rounds),
        warm_up: Duration::from_millis(if arguments.quick { 200 } else { 500 }),
        duration: Duration::from_secs(seconds.into()),
        contestants: chosen(&ALONE, &arguments.contestant),
        side: wanted.contains(&Part::Side).then(|| side_plan(arguments, &wanted, dproxy.clone())),
        scenarios: SCENARIOS.into_iter().filter(|scenario| wanted.contains(&scenario.part())).collect(),
        program: wanted.contains(&Part::Program),
        case: arguments.case.clone(),
        witness: wanted.contains(&Part::Witness),
        control: wanted.contains(&Part::Control),
        checks: if wanted.contains(&Part::Checks) { arguments.rounds.unwrap_or(1) } else { 0 },
        failures: if wanted.contains(&Part::Failures) { arguments.rounds.unwrap_or(1) } else { 0 },
        lives: arguments.rounds.unwrap_or(if arguments.quick { 1 } else { rounds }),
        edits: if arguments.quick { 4 } else { 10 },
        folder: path::absolute(arguments.output.with_file_name("control"))?,
        precedence: arguments.precedence,
        dproxy,
    })
}

fn side_plan(arguments: &Arguments, wanted: &[Part], dproxy: PathBuf) -> side::Plan {
    let (rounds, milliseconds) = if arguments.quick { (1, 250) } else { (5, 500) };
    let duration = arguments.seconds.map_or(milliseconds, |seconds| u64::from(seconds) * 1000);
    let (mark, id) = match arguments.spoil {
        None => (XdpReflector::MARK, 0),
        // QR alone: as a backend answers that is another one.
        Some(Spoiled::Mark) => (0x8000, 0),
        Some(Spoiled::Id) => (XdpReflector::MARK, 1),
    };
    let witnessed: &[Contestant] = match (wanted.contains(&Part::Witness), arguments.quick) {
        (false, _) => &[],
        (true, true) => &[Contestant::Dnsdist, Contestant::DproxyNative],
        (true, false) => &side::CONTESTANTS,
    };
    side::Plan {
        rounds: arguments.rounds.unwrap_or(rounds),
        duration: Duration::from_millis(duration),
        trial: Duration::from_millis(if arguments.quick { 150 } else { 300 }),
        contestants: chosen(&side::CONTESTANTS, &arguments.contestant),
        dproxy,
        mark,
        id,
        witness: witnessed.to_vec(),
    }
}

/// Of all that a part measures, those that were chosen, or all.
fn chosen(all: &[Contestant], chosen: &[Contestant]) -> Vec<Contestant> {
    all.iter().copied().filter(|contestant| chosen.is_empty() || chosen.contains(contestant)).collect()
}

/// What was chosen, or all there are.
fn all_or<T: ValueEnum + Clone>(chosen: &[T]) -> Vec<T> {
    if chosen.is_empty() { T::value_variants().to_vec() } else { chosen.to_vec() }
}
