//! What is done in this process: `run` and `check`.

use std::path::Path;

use tokio::runtime;

use super::args::Run;
use super::{Failure, log, print};
use crate::config::{Config, counted};
use crate::control::{Host, Ids, compile};
use crate::daemon;

/// `dproxy run`.
pub(super) fn run(run: &Run, socket: Option<&Path>) -> Result<(), Failure> {
    log::start(&run.log, run.log_format);
    // The engine has the main thread; the API gets one of its own, so that it never waits for it.
    let runtime = runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.map_err(Failure::Start)?;
    Ok(runtime.block_on(daemon::run(&run.file.config, socket))?)
}

/// `dproxy check`: a file is valid when `run` would take it, as far as that can be told without doing it.
pub(super) fn check(path: &Path) -> Result<(), Failure> {
    let config = Config::load(path)?;
    let capacity = daemon::capacity(&config);
    compile(&config, &Host::default(), &mut Ids::new(&capacity), 1, &capacity)?;
    let backends: usize = config.pools.values().map(|pool| pool.backends.len()).sum();
    print(&[format!(
        "{} is valid: {}, {}, {}",
        path.display(),
        counted(config.routes.len(), "route"),
        counted(config.pools.len(), "pool"),
        counted(backends, "backend"),
    )])
}
