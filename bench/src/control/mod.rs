//! The control plane: edits, whole configurations and memory, with few routes and with many.

mod api;
mod asker;
mod edits;
mod memory;
mod routes;

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use dproxy_lab::{Balancer, Interrupt};
use nix::sys::statfs::{TMPFS_MAGIC, statfs};
use serde::Serialize;

use self::api::Api;
use self::asker::{Asker, Lead};
use self::edits::milliseconds;
use self::routes::{CHANGED, FEW, MANY, RouteFile};
use crate::chain::Chain;
use crate::cores;

pub use self::edits::{Edits, Times};
pub use self::memory::Memory;
pub use self::routes::{FEW as FEW_ROUTES, MANY as MANY_ROUTES};

/// Two of the daemon's ticks, at which it tidies up.
const SETTLE: Duration = Duration::from_secs(5);

/// What was measured of one daemon, and of the one that went on in its place.
#[derive(Debug, Serialize)]
pub struct Life {
    /// With few routes.
    pub few: Edits,
    /// With many.
    pub many: Edits,
    /// What it took to apply a file, milliseconds.
    pub apply_ms: Applies,
    /// What a start with many routes takes until it answers, milliseconds.
    pub start_ms: f64,
    /// What was taken when.
    pub memory: Memories,
}

/// From the request to its answer.
#[derive(Debug, Serialize)]
pub struct Applies {
    /// From few routes to many, which takes larger tables.
    pub grow: f64,
    /// All routes lead elsewhere.
    pub all: f64,
    /// Some do.
    pub some: f64,
}

/// Some seconds after everything was done.
#[derive(Debug, Serialize)]
pub struct Memories {
    /// With few routes.
    pub few: Memory,
    /// With many, after the file with them was applied.
    pub grown: Memory,
    /// The same, after the edits and more files.
    pub changed: Memory,
    /// The same, of a daemon that began with them.
    pub started: Memory,
}

/// Lives through a daemon's life. Its files are in `folder`.
pub fn look(chain: &Chain, binary: &Path, folder: &Path, interrupt: &Interrupt) -> Result<Life> {
    fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    ensure!(
        statfs(folder)?.filesystem_type() != TMPFS_MAGIC,
        "{} is in memory; what an edit takes depends on a disk: name a file on one with --output",
        folder.display()
    );
    let _reflecting = chain.reflect_to_fast_path()?;
    let file = RouteFile::in_folder(folder);
    file.write(FEW, 0)?;
    let start = || Balancer::start_in(&chain.balancer, folder, binary, &routes::configuration());
    let stage = Stage { chain, interrupt, daemon: cores::on_balancers(start)?, file };

    let memory_few = stage.memory()?;
    let few = stage.edits()?;
    let grow = stage.apply(MANY, 0, MANY - 1, Lead::Backend)?;
    let memory_grown = stage.memory()?;
    let many = stage.edits()?;
    let all = stage.apply(MANY, MANY, MANY - 1, Lead::Nxdomain)?;
    let some = stage.apply(MANY, MANY - CHANGED, MANY - 1, Lead::Backend)?;
    let memory_changed = stage.memory()?;

    let Stage { daemon, file, .. } = stage;
    daemon.kill()?;
    let start = Instant::now();
    let daemon = cores::on_balancers(|| Balancer::go_on_in(&chain.balancer, folder, binary))?;
    let start_ms = milliseconds(start.elapsed());
    let stage = Stage { chain, interrupt, daemon, file };
    stage.expect(MANY - 1, Lead::Backend)?;
    let memory_started = stage.memory()?;
    Ok(Life {
        few,
        many,
        apply_ms: Applies { grow, all, some },
        start_ms,
        memory: Memories {
            few: memory_few,
            grown: memory_grown,
            changed: memory_changed,
            started: memory_started,
        },
    })
}

/// A daemon, and who looks at it.
struct Stage<'a> {
    chain: &'a Chain,
    interrupt: &'a Interrupt,
    daemon: Balancer,
    file: RouteFile,
}

impl Stage<'_> {
    fn memory(&self) -> Result<Memory> {
        sleep(SETTLE);
        ensure!(!self.interrupt.came()?, "interrupted");
        Memory::of(self.daemon.pid())
    }

    fn edits(&self) -> Result<Edits> {
        edits::make(self.chain, self.daemon.socket())
    }

    /// Applies a file with so many routes, and so many of them answered. Where one of them leads then shows
    /// whether it was.
    fn apply(&self, routes: usize, answered: usize, one: usize, leads: Lead) -> Result<f64> {
        self.file.write(routes, answered)?;
        let mut api = Api::connect(self.daemon.socket())?;
        let start = Instant::now();
        api.send("POST", "/v1/apply", "")?;
        let took = milliseconds(start.elapsed());
        self.expect(one, leads)?;
        Ok(took)
    }

    fn expect(&self, route: usize, leads: Lead) -> Result<()> {
        let found = Asker::new(self.chain)?.ask(&routes::name(route))?;
        ensure!(found == leads, "the last route leads to {found:?}, not to {leads:?}");
        Ok(())
    }
}
