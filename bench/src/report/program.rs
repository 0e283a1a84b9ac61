//! What is said about the program by itself.

use super::bars::Bar;
use super::table::aligned;
use crate::measure::Spread;
use crate::program::{ANSWER, Cost, Costs, QUERY, RANDOM, REPLY, WORST};

const TIME: &str = "ns above the floor, at most";
const RATIO: &str = "× that of 1,024 routes, at most";

/// The bars: times, and how they grow.
pub fn bars(costs: &Costs) -> Vec<Bar> {
    let samples = |name| cost(costs, name).map_or(&[][..], |cost| &cost.samples_ns);
    let times = [(QUERY, 120.0), (REPLY, 60.0), (ANSWER, 120.0), (WORST, 600.0)];
    let times = times.map(|(name, bar)| (name, samples(name).to_vec(), bar, TIME));
    let growth = [(RANDOM[2], 3.0), (RANDOM[3], 4.0)].map(|(name, bar)| {
        let few = samples(RANDOM[0]).iter();
        let ratios = few.zip(samples(name)).map(|(few, many)| many / few);
        (name, ratios.collect(), bar, RATIO)
    });
    let all = times.into_iter().chain(growth);
    all.filter_map(|(name, samples, bar, unit)| Some(Bar::at_most(name, Spread::of(samples)?, bar, unit)))
        .collect()
}

fn cost<'c>(costs: &'c Costs, name: &str) -> Option<&'c Cost> {
    costs.cases.iter().find(|cost| cost.case.name == name)
}

/// A line for each case, and what the kernel says about the programs.
pub fn table(costs: &Costs) -> String {
    let mut rows = vec![["", "ns", "min … max", "× the first", "floor", ""].map(str::to_owned)];
    let usual = cost(costs, QUERY).and_then(|cost| Spread::of(cost.samples_ns.iter().copied()));
    for Cost { case, samples_ns, floor_ns, disturbed } in &costs.cases {
        let spreads = (Spread::of(samples_ns.iter().copied()), Spread::of(floor_ns.iter().copied()));
        let (Some(time), Some(floor)) = spreads else { continue };
        rows.push([
            case.name.to_owned(),
            format!("{:.0}", time.median),
            format!("{:.0} … {:.0}", time.min, time.max),
            usual.map_or_else(String::new, |usual| format!("{:.2}", time.median / usual.median)),
            format!("{:.0}", floor.median),
            if *disturbed { "disturbed" } else { "" }.to_owned(),
        ]);
    }
    let mut text =
        format!("The program by itself, above what making its packets takes (the floor)\n{}", aligned(&rows));
    for program in &costs.programs {
        let verified =
            program.verified_instructions.map_or_else(|| "unknown".to_owned(), |count| count.to_string());
        let (name, code) = (program.name, program.machine_code);
        text += &format!("  {name}: {verified} verified instructions, {code} octets of machine code\n");
    }
    text + &format!(
        "  {} routes were looked up one by one, and lead where they should\n",
        costs.routes_verified
    )
}
