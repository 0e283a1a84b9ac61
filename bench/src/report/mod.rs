//! What is said about it all.

mod bars;
mod chart;
mod checks;
mod control;
mod failures;
mod machine;
mod program;
mod side;
mod summary;
mod table;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Serialize;

use crate::checks::Checked;
use crate::contestant::Description;
use crate::control::Life;
use crate::cores;
use crate::failures as failing;
use crate::program::Costs;
use crate::runner::{Measured, Plan, Results};
use crate::side as side_by_side;
use crate::witness::Witnessed;

use bars::Bar;
use machine::Machine;
use summary::Summary;

/// Everything, as the JSON file has it.
#[derive(Debug, Serialize)]
pub struct Report<'a> {
    machine: Machine,
    processors: Processors,
    plan: &'a Plan,
    contestants: Vec<Description>,
    program: &'a Costs,
    side: &'a side_by_side::Results,
    scenarios: Vec<Scenario<'a>>,
    witness: &'a [Witnessed],
    control: &'a [Life],
    failures: &'a failing::Results,
    checks: &'a [Checked],
    bars: Vec<Bar>,
}

/// Who ran on which processor.
#[derive(Debug, Serialize)]
struct Processors {
    balancer: usize,
    generator_and_backend: usize,
}

#[derive(Debug, Serialize)]
struct Scenario<'a> {
    #[serde(flatten)]
    measured: &'a Measured,
    summaries: Vec<Summary>,
}

impl<'a> Report<'a> {
    /// Looks at what was measured. `machine` was looked at before.
    pub fn new(
        machine: Machine,
        plan: &'a Plan,
        contestants: Vec<Description>,
        results: &'a Results,
    ) -> Self {
        let scenario = |measured| Scenario { measured, summaries: Summary::of_all(measured) };
        let processors = Processors { balancer: cores::BALANCER, generator_and_backend: cores::PEERS };
        let Results { costs, side: beside, measured, witnessed, lives, failures: failed, checked } = results;
        let scenarios = measured.iter().map(scenario).collect();
        Self {
            machine,
            processors,
            plan,
            contestants,
            program: costs,
            side: beside,
            scenarios,
            witness: witnessed,
            control: lives,
            failures: failed,
            checks: checked,
            bars: [
                program::bars(costs),
                side::bars(beside),
                bars::all(measured),
                control::bars(lives),
                failures::bars(failed),
                checks::bars(checked),
            ]
            .concat(),
        }
    }

    /// Prints tables and bars.
    pub fn print(&self) {
        println!("{}\n", self.machine);
        if !self.program.cases.is_empty() {
            println!("{}", program::table(self.program));
        }
        if self.plan.side.is_some() {
            println!("{}", side::table(self.side));
        }
        for scenario in &self.scenarios {
            println!("{}", table::of(&scenario.measured.scenario, &scenario.summaries));
        }
        if !self.witness.is_empty() {
            println!("{}", table::of_witness(self.witness));
        }
        if !self.control.is_empty() {
            println!("{}", control::table(self.control));
        }
        if !self.failures.rows.is_empty() {
            println!("{}", failures::table(self.failures));
        }
        if !self.checks.is_empty() {
            println!("{}", checks::table(self.checks));
        }
        for bar in &self.bars {
            println!("{bar}");
        }
    }

    /// Writes the JSON file.
    pub fn write(&self, file: &Path) -> Result<()> {
        let context = || format!("write {}", file.display());
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder).with_context(context)?;
        }
        fs::write(file, serde_json::to_string_pretty(self)? + "\n").with_context(context)
    }

    /// Draws a chart of what was measured side by side, beside the JSON file, and says where.
    pub fn draw(&self, file: &Path) -> Result<Option<PathBuf>> {
        let Some(chart) = chart::draw(self.side, &self.machine.to_string()) else { return Ok(None) };
        let file = file.with_extension("svg");
        fs::write(&file, chart).with_context(|| format!("write {}", file.display()))?;
        Ok(Some(file))
    }

    /// Whether each bar that was measured is held, and nothing is missing that was to be measured.
    pub fn all_held(&self) -> bool {
        self.side.failures.is_empty() && self.bars.iter().all(|bar| bar.held)
    }
}

pub use machine::Machine as MachineDescription;
