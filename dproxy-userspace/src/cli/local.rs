//! What is done in this process: `run`, `check` and `detach`.

use std::path::{Path, PathBuf};

use tokio::runtime;

use super::args::{DEFAULT_CONFIG, Detach, Run};
use super::style::printable;
use super::{Failure, log, print};
use crate::config::{Config, Control, counted};
use crate::control::{Host, Ids, compile};
use crate::daemon::RunOptions;
use crate::{daemon, datapath};

/// `dproxy run`.
pub(super) fn run(run: &Run, socket: Option<&Path>) -> Result<(), Failure> {
    log::start(&run.log, run.log_format);
    // The engine has the main thread; the API gets one of its own, so that it never waits for it.
    let runtime = runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.map_err(Failure::Start)?;
    let options = RunOptions {
        config: run.file.config.clone(),
        state: run.state(),
        socket: socket.map(Path::to_owned),
        from_file: run.from_file,
    };
    Ok(runtime.block_on(daemon::run(&options))?)
}

/// `dproxy check`: a file is valid when `run` would take it, as far as that can be told without doing it.
pub(super) fn check(path: &Path) -> Result<(), Failure> {
    let config = Config::load(path)?;
    let capacity = daemon::capacity(&config);
    compile(&config, &Host::default(), &Ids::new(&capacity), 1, &capacity)?;
    let backends: usize = config.pools.values().map(|pool| pool.backends.len()).sum();
    print(&[format!(
        "{} is valid: {}, {}, {}",
        path.display(),
        counted(config.routes.len(), "route"),
        counted(config.pools.len(), "pool"),
        counted(backends, "backend"),
    )])
}

/// `dproxy detach`.
pub(super) fn detach(arguments: &Detach) -> Result<(), Failure> {
    let done = datapath::detach(&pins(arguments)?)?;
    if done.is_empty() {
        return print(&["nothing is attached".to_owned()]);
    }
    print(&done.iter().map(|interface| printable(&format!("detached from {interface}"))).collect::<Vec<_>>())
}

/// The folder of the pins, as whoever attached them was told.
fn pins(arguments: &Detach) -> Result<PathBuf, Failure> {
    let Detach { bpffs, config } = arguments;
    let default = Path::new(DEFAULT_CONFIG);
    let config = config.as_deref().or_else(|| default.exists().then_some(default));
    Ok(match (bpffs, config) {
        (Some(folder), _) => folder.clone(),
        (None, Some(file)) => Config::load(file)?.control.bpffs,
        (None, None) => Control::default().bpffs,
    })
}
