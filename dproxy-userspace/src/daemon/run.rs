//! `dproxy run`, from the file to the end.

use std::io;
use std::path::{self, Path, PathBuf};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::{error, info, warn};

use super::network::Network;
use super::notify::notify;
use super::on_change::run_commands;
use super::unconfirmed::{ended_before, taken_back};
use super::{
    Apply, EditError, Engine, Entry, Handle, NoNetwork, Parts, Who, descriptors, endpoint, memory, ports,
};
use crate::api::{Socket, SocketError, serve};
use crate::config::{Config, ConfigError, XdpMode, check, counted, listed};
use crate::control::{Capacity, names_of};
use crate::datapath::{Absent, Attachment, Datapath, DatapathError, Kernel, KernelOptions, LoadError};
use crate::network::{NetworkError, Observer};
use crate::slow_path::{Options, SlowPath, SlowPathError};
use crate::state::{StateError, Store};

/// How long the first query may wait for backends to be found.
const FIRST_NEIGHBOURS: Duration = Duration::from_secs(1);
/// How long requests under way may take at the end.
const LAST_REQUESTS: Duration = Duration::from_secs(1);

/// Why the daemon did not start, or ended. The text says what to do about it.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each is what it wraps")]
pub enum RunError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Socket(#[from] SocketError),
    #[error(transparent)]
    Datapath(#[from] DatapathError),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    SlowPath(#[from] SlowPathError),
    #[error(transparent)]
    Network(#[from] NetworkError),
    #[error(transparent)]
    Begin(#[from] EditError),
    #[error(transparent)]
    State(#[from] StateError),
    #[error(
        "generation {generation}, which ran before, is not valid for this dproxy: {}; begin with the file instead \
         (`dproxy run --from-file`)",
        listed(.problems.iter().map(String::as_str))
    )]
    Outdated { generation: u64, problems: Vec<String> },
    #[error("cannot serve the control socket: {0}")]
    Serve(#[source] io::Error),
    #[error("cannot wait for signals: {0}")]
    Signals(#[source] io::Error),
}

/// What the daemon is started with.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// The configuration file.
    pub config: PathBuf,
    /// Where generations are kept.
    pub state: PathBuf,
    /// The control socket, if it is not that of the configuration.
    pub socket: Option<PathBuf>,
    /// Begin with the file, whatever ran before?
    pub from_file: bool,
}

/// Runs the daemon until SIGINT or SIGTERM.
pub async fn run(options: &RunOptions) -> Result<(), RunError> {
    memory::keep_little();
    // In front of all else, so that a second daemon does not even look at the interfaces.
    let beginning = Beginning::find(options)?;
    let socket = Socket::claim(options.socket.as_deref().unwrap_or(&beginning.config.control.socket))?;
    let Signals { mut ends, hang_up } = Signals::listen().map_err(RunError::Signals)?;
    let (mut engine, first) = engine(beginning, &options.config).await?;
    engine.begin(first)?;
    for attachment in engine.attachments() {
        log_attachment(&attachment);
    }
    for intruder in engine.intruders() {
        warn!("{intruder}");
    }

    let (handle, mut requests) = engine.handle();
    let listener = socket.listener().map_err(RunError::Serve)?;
    let (end, ended) = oneshot::channel::<()>();
    let server = tokio::spawn(serve(listener, handle.clone(), async {
        // Sent or dropped: in both cases it is the end.
        let _ = ended.await;
    }));
    let beside = [
        tokio::spawn(endpoint::serve(engine.instructions.subscribe(), engine.readiness.subscribe())),
        tokio::spawn(run_commands(engine.health.events.listen(), engine.instructions.subscribe())),
    ];
    let reloading = tokio::spawn(reload(handle.clone(), hang_up));
    let comparing = tokio::spawn(async move { handle.compare_file().await });
    info!("ready; controlled through {}", socket.path().display());
    notify("READY=1");

    let end_of_all = engine.run(&mut requests, ends.any()).await;
    notify("STOPPING=1");
    reloading.abort();
    beside.iter().for_each(JoinHandle::abort);
    comparing.abort();
    drop(end);
    engine.end(end_of_all).await;
    drop(requests);
    // If that takes too long, somebody dawdles.
    let _ = timeout(LAST_REQUESTS, server).await;
    info!("ended");
    Ok(())
}

/// What to begin with.
struct Beginning {
    config: Config,
    store: Store,
    recorded: Option<u64>,
    /// What to write down, if it is no generation yet.
    first: Option<Entry>,
    warnings: Vec<String>,
}

impl Beginning {
    /// What ran before, or else the file.
    fn find(options: &RunOptions) -> Result<Self, RunError> {
        let mut store = Store::open(&options.state)?;
        // It may be over before the daemon ends: `status` shows it for as long as it lasts.
        store.read_only().iter().for_each(|problem| warn!("{problem}"));
        let newest = if options.from_file { None } else { store.newest()? };
        let mut warnings = store.take_warnings();
        let Some(loaded) = newest else {
            let config = Config::load(&options.config)?;
            // A whole record: what was kept before may be damaged.
            let first = Entry::start(&options.config.display().to_string());
            return Ok(Self { config, store, recorded: None, first: Some(first), warnings });
        };
        let generation = loaded.header.generation;
        let problems = check(&loaded.config);
        if !problems.is_empty() {
            // An older dproxy may have taken what this one does not.
            return Err(RunError::Outdated {
                generation,
                problems: problems.iter().map(ToString::to_string).collect(),
            });
        }
        info!("going on with generation {generation}, of {}", loaded.header.at);
        // One that is older has been taken back, but for its file.
        let unconfirmed = store.left_unconfirmed().filter(|unconfirmed| *unconfirmed > generation);
        let first = unconfirmed.map(|unconfirmed| {
            let what = taken_back(generation, &ended_before(unconfirmed));
            warnings.push(what.clone());
            Entry::taken_back(Who::Daemon, generation, what)
        });
        Ok(Self { config: loaded.config, store, recorded: Some(generation), first, warnings })
    }
}

/// Starts both paths, and finds the backends.
async fn engine(beginning: Beginning, file: &Path) -> Result<(Engine, Option<Entry>), RunError> {
    let Beginning { config, store, recorded, first, mut warnings } = beginning;
    let mut options = Options::new(&config, capacity(&config));
    warnings.extend(descriptors::provide(&config, &mut options.limits));
    let datapath = fast_path(&config)?;
    let network: Box<dyn Network> = match datapath.absence() {
        Some(why) => {
            warn_of_absence(&config, why);
            Box::new(NoNetwork)
        }
        None => {
            warnings.extend(ports::warning(config.fast_path.nat_ports));
            Box::new(Observer::start()?)
        }
    };
    let proxy = Box::new(SlowPath::start(&options)?);
    for warning in &warnings {
        warn!("{warning}");
    }
    let backends = counted(config.pools.values().map(|pool| pool.backends.len()).sum(), "backend");
    let (routes, pools) = (counted(config.routes.len(), "route"), counted(config.pools.len(), "pool"));
    info!("{routes}, {pools}, {backends}");

    // The file is meant wherever somebody reads its path.
    let config_file = path::absolute(file).unwrap_or_else(|_| file.to_owned()).display().to_string();
    let mut engine =
        Engine::new(Parts { config, config_file, warnings, datapath, proxy, network, store, recorded });
    engine.settle(FIRST_NEIGHBOURS).await?;
    engine.start_checks().await;
    Ok((engine, first))
}

/// What a note about a SIGHUP in vain begins with.
const NOT_APPLIED: &str = "SIGHUP: the file was not applied";

/// Applies the file at each SIGHUP.
async fn reload(handle: Handle, mut hang_up: Signal) {
    while hang_up.recv().await.is_some() {
        notify("RELOADING=1");
        let how = Apply { who: Who::Signal, generation: None, confirm: None, discard_edits: false };
        match handle.apply(None, how).await {
            Ok(applied) => info!("SIGHUP: {}", applied.plan.summary()),
            Err(error) => {
                error!("SIGHUP: nothing is changed: {error}");
                let note = format!("{NOT_APPLIED}: {}", error.detail.message);
                let replace = |engine: &mut Engine| {
                    engine.life.notes.retain(|note| !note.starts_with(NOT_APPLIED));
                    engine.life.notes.push(note);
                };
                // If the engine has ended, nobody is there to be told.
                let _ = handle.change(replace).await;
            }
        }
        notify("READY=1");
    }
}

/// Loads the program. If that is impossible here, or the kernel refuses it, `auto` goes on without it.
fn fast_path(config: &Config) -> Result<Box<dyn Datapath>, LoadError> {
    let absent = |why: &str| Box::new(Absent::new(why, capacity(config), &config.control.bpffs));
    if config.listen.xdp == XdpMode::Off {
        return Ok(absent("listen.xdp is \"off\""));
    }
    let loaded = Kernel::load(&KernelOptions {
        capacity: capacity(config),
        nat_ports: config.fast_path.nat_ports,
        interfaces: config.listen.interfaces.clone(),
        mode: config.listen.xdp,
        bpffs: config.control.bpffs.clone(),
        log_packets: tracing::enabled!(target: "packets", tracing::Level::TRACE),
    });
    match loaded {
        Ok(kernel) => Ok(Box::new(kernel)),
        Err(error) => Ok(absent(&why_without(config.listen.xdp, error)?)),
    }
}

/// Why dproxy goes on without a fast path; or an error, if it does not.
fn why_without(mode: XdpMode, error: LoadError) -> Result<String, LoadError> {
    match (mode, error) {
        (XdpMode::Auto, LoadError::Impossible(why) | LoadError::Refused(why)) => Ok(why.to_string()),
        (XdpMode::Auto | XdpMode::Native | XdpMode::Generic | XdpMode::Off, error) => Err(error),
    }
}

/// Who wrote `off` knows it; who wrote `auto` may have hoped for more.
fn warn_of_absence(config: &Config, why: &str) {
    match config.listen.xdp {
        XdpMode::Off => info!("no fast path, all queries take the slow path: {why}"),
        XdpMode::Auto | XdpMode::Native | XdpMode::Generic => {
            warn!("no fast path, all queries take the slow path: {why}");
        }
    }
}

/// How large the tables are made for a configuration.
pub fn capacity(config: &Config) -> Capacity {
    let wanted = Capacity::for_routes(config.fast_path.routes, config.fast_path.slots.trailing_zeros());
    let (names, long) = names_of(config);
    if wanted.holds(names, long) { wanted } else { wanted.with_routes(names, long).unwrap_or(wanted) }
}

fn log_attachment(Attachment { interface, mode, fallback, .. }: &Attachment) {
    match (mode, fallback) {
        (XdpMode::Generic, Some(why)) => {
            warn!("interface {interface}: GENERIC XDP, which is slower than native: {why}");
        }
        (XdpMode::Auto | XdpMode::Native | XdpMode::Generic | XdpMode::Off, _) => {
            info!("interface {interface}: {mode} XDP")
        }
    }
}

/// What becomes of the fast path when the daemon ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It is removed.
    Detach,
    /// It goes on.
    Stay,
}

/// What the daemon does not end of without a word: from the start on.
struct Signals {
    ends: Ends,
    hang_up: Signal,
}

/// What ends the daemon.
struct Ends {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        let ends =
            Ends { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? };
        Ok(Self { ends, hang_up: signal(SignalKind::hangup())? })
    }
}

impl Ends {
    /// Waits for one, and says how to end.
    async fn any(&mut self) -> End {
        tokio::select! {
            _ = self.interrupt.recv() => {
                info!("SIGINT: ending, and detaching the fast path");
                End::Detach
            }
            _ = self.terminate.recv() => {
                info!("SIGTERM: ending");
                End::Stay
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_auto_does_without_a_fast_path_and_only_if_there_cannot_be_one() {
        let error = || DatapathError("why".to_owned());
        let kinds: [fn(DatapathError) -> LoadError; 3] =
            [LoadError::Impossible, LoadError::Refused, LoadError::Failed];
        for mode in [XdpMode::Auto, XdpMode::Native, XdpMode::Generic] {
            let goes_on = kinds.map(|kind| why_without(mode, kind(error())).is_ok());
            assert_eq!(goes_on, [mode == XdpMode::Auto, mode == XdpMode::Auto, false], "{mode}");
        }
        let why = why_without(XdpMode::Auto, LoadError::Refused(error()));
        assert!(why.is_ok_and(|why| why == "why"), "the status gives the kernel's reason");
    }
}
