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

use self::edits::milliseconds;
use self::routes::{CHANGED, RouteFile};
use crate::chain::Chain;
use crate::cores;

pub use self::asker::{Asker, Lead};
pub use self::edits::Edits;
pub use self::memory::Memory;
pub use self::routes::{MOST, SIZES};

/// What has not changed for that long will not: it is more than the daemon's tick, at which it tidies up.
const SETTLE: Duration = Duration::from_millis(2500);
/// By less than that it always changes, octets.
const STEADY: u64 = 1 << 20;
/// Between looks, and until there is no point in waiting any more.
const LOOK: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(30);
/// Routes of which the daemon is asked where they lead, when all have changed: so many, evenly spread.
const SAMPLE: usize = 1000;

/// What was measured of one daemon, and of the one that went on in its place.
#[derive(Debug, Serialize)]
pub struct Life {
    /// With more and more routes, as [`SIZES`] has them.
    pub sizes: [Size; SIZES.len()],
    /// What it takes to apply a file by which all of the most routes lead elsewhere, milliseconds.
    pub apply_all_ms: f64,
    /// One by which some do.
    pub apply_some_ms: f64,
    /// What was taken after that.
    pub changed: Memory,
    /// What a start with the most routes takes until it answers, milliseconds.
    pub start_ms: f64,
    /// What was taken after that.
    pub started: Memory,
}

/// What was measured with so many routes.
#[derive(Debug, Serialize)]
pub struct Size {
    /// What it took to apply the file, which needs larger tables, milliseconds; 0 if the daemon began with it.
    pub apply_ms: f64,
    /// What is taken.
    pub memory: Memory,
    /// Edits.
    pub edits: Edits,
}

/// Lives through a daemon's life. Its files are in `folder`.
pub fn look(
    chain: &Chain,
    binary: &Path,
    folder: &Path,
    edits: usize,
    interrupt: &Interrupt,
) -> Result<Life> {
    fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    ensure!(
        statfs(folder)?.filesystem_type() != TMPFS_MAGIC,
        "{} is in memory; what an edit takes depends on a disk: name a file on one with --output",
        folder.display()
    );
    let _reflecting = chain.reflect_to_fast_path()?;
    let file = RouteFile::in_folder(folder);
    let [first, second, most] = SIZES;
    file.write(first, 0)?;
    let start = || Balancer::start_in(&chain.balancer, folder, binary, &routes::configuration());
    let stage = Stage { chain, interrupt, edits, daemon: cores::on_balancers(start)?, file };
    let sizes = [
        stage.size(0.0)?,
        stage.size(stage.apply(second, 0, Lead::Backend)?)?,
        stage.size(stage.apply(most, 0, Lead::Backend)?)?,
    ];
    let apply_all_ms = stage.apply(most, most, Lead::Nxdomain)?;
    let apply_some_ms = stage.apply(most, most - CHANGED, Lead::Backend)?;
    let changed = stage.memory()?;

    let Stage { daemon, file, .. } = stage;
    daemon.kill()?;
    let start = Instant::now();
    let daemon = cores::on_balancers(|| Balancer::go_on_in(&chain.balancer, folder, binary))?;
    let start_ms = milliseconds(start.elapsed());
    let stage = Stage { chain, interrupt, edits, daemon, file };
    stage.expect(most - 1, Lead::Backend)?;
    Ok(Life { sizes, apply_all_ms, apply_some_ms, changed, start_ms, started: stage.memory()? })
}

/// A daemon, and who looks at it.
struct Stage<'a> {
    chain: &'a Chain,
    interrupt: &'a Interrupt,
    /// How many routes are edited at a time.
    edits: usize,
    daemon: Balancer,
    file: RouteFile,
}

impl Stage<'_> {
    fn size(&self, apply_ms: f64) -> Result<Size> {
        let edits = edits::make(self.chain, self.daemon.socket(), self.edits)?;
        Ok(Size { apply_ms, memory: self.memory()?, edits })
    }

    /// What is taken when nothing happens any more.
    fn memory(&self) -> Result<Memory> {
        let begin = Instant::now();
        let (mut memory, mut since) = (Memory::of(self.daemon.pid())?, begin);
        while since.elapsed() < SETTLE {
            ensure!(begin.elapsed() < PATIENCE, "the daemon's memory does not settle");
            ensure!(!self.interrupt.came()?, "interrupted");
            sleep(LOOK);
            let now = Memory::of(self.daemon.pid())?;
            if now.anonymous.abs_diff(memory.anonymous) > STEADY {
                (memory, since) = (now, Instant::now());
            }
        }
        Ok(memory)
    }

    /// Applies a file with so many routes, and so many of them answered. Where the last one leads then shows whether
    /// it was; then the others are looked at.
    fn apply(&self, routes: usize, answered: usize, last: Lead) -> Result<f64> {
        self.file.write(routes, answered)?;
        let mut api = Api::connect(self.daemon.socket())?;
        let start = Instant::now();
        api.send("POST", "/v1/apply", "")?;
        let took = milliseconds(start.elapsed());
        self.expect(routes - 1, last)?;
        for route in (0..routes).step_by(routes / SAMPLE) {
            self.expect(route, if route < answered { Lead::Nxdomain } else { Lead::Backend })?;
        }
        Ok(took)
    }

    fn expect(&self, route: usize, leads: Lead) -> Result<()> {
        let found = Asker::new(self.chain)?.ask(&routes::name(route))?;
        ensure!(found == leads, "route {route} leads to {found:?}, not to {leads:?}");
        Ok(())
    }
}
