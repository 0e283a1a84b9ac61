//! `dproxy run`, from the file to the end.

use std::io;
use std::path::{self, Path};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tracing::{info, warn};

use super::edit::EditError;
use super::network::Network;
use super::notify::notify;
use super::{Engine, NoNetwork, descriptors, ports};
use crate::api::{Socket, SocketError, serve};
use crate::config::{Config, ConfigError, XdpMode, counted};
use crate::control::Capacity;
use crate::datapath::{Absent, Attachment, Datapath, DatapathError, Kernel, KernelOptions, LoadError};
use crate::network::{NetworkError, Observer};
use crate::slow_path::{Options, SlowPath, SlowPathError};

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
    #[error("cannot serve the control socket: {0}")]
    Serve(#[source] io::Error),
    #[error("cannot wait for signals: {0}")]
    Signals(#[source] io::Error),
}

/// Runs the daemon until SIGINT or SIGTERM.
pub async fn run(
    config_file: &Path,
    socket: Option<&Path>,
    _state: &Path, /* LEAD */
) -> Result<(), RunError> {
    let config = Config::load(config_file)?;
    // First of all, so that a second daemon does not even look at the interfaces.
    let socket = Socket::claim(socket.unwrap_or(&config.control.socket))?;
    let signals = Signals::listen().map_err(RunError::Signals)?;
    let mut engine = engine(config, config_file).await?;
    engine.begin()?;
    for attachment in engine.attachments() {
        log_attachment(&attachment);
    }
    for intruder in engine.intruders() {
        warn!("{intruder}");
    }

    let (handle, requests) = engine.handle();
    let listener = socket.listener().map_err(RunError::Serve)?;
    let (end, ended) = oneshot::channel::<()>();
    let server = tokio::spawn(serve(listener, handle, async {
        // Sent or dropped: in both cases it is the end.
        let _ = ended.await;
    }));
    info!("ready; controlled through {}", socket.path().display());
    notify("READY=1");

    engine.run(requests, signals.any()).await;
    notify("STOPPING=1");
    drop(end);
    // If that takes too long, somebody dawdles.
    let _ = timeout(LAST_REQUESTS, server).await;
    info!("ended");
    Ok(())
}

/// Starts both paths, and finds the backends.
async fn engine(config: Config, config_file: &Path) -> Result<Engine, RunError> {
    let mut options = Options::new(&config, capacity(&config));
    let mut warnings = Vec::new();
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
    let proxy = SlowPath::start(&options)?;
    for warning in &warnings {
        warn!("{warning}");
    }
    let backends = counted(config.pools.values().map(|pool| pool.backends.len()).sum(), "backend");
    let (routes, pools) = (counted(config.routes.len(), "route"), counted(config.pools.len(), "pool"));
    info!("{}: {routes}, {pools}, {backends}", config_file.display());

    // The file is meant wherever somebody reads its path.
    let origin = path::absolute(config_file).unwrap_or_else(|_| config_file.to_owned()).display().to_string();
    let mut engine = Engine::new(config, origin, warnings, datapath, Box::new(proxy), network);
    engine.settle(FIRST_NEIGHBOURS).await?;
    Ok(engine)
}

/// Loads the program. If that is impossible here, `auto` goes on without it.
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
        Err(LoadError::Impossible(why)) if config.listen.xdp == XdpMode::Auto => Ok(absent(&why.to_string())),
        Err(error) => Err(error),
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
    Capacity::for_routes(config.fast_path.routes, config.fast_path.slots.trailing_zeros())
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

/// What ends the daemon.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for one.
    async fn any(mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => info!("SIGINT: ending"),
            _ = self.terminate.recv() => info!("SIGTERM: ending"),
        }
    }
}
