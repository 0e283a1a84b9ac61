//! The daemon's Unix socket: one daemon a path, whatever became of the one before.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::unistd::Group;
use tracing::warn;

/// Members of this group may use the socket, if there is one of this name.
const GROUP: &str = "dproxy";

/// A socket that is ours. It is removed on drop.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
    // Beside the socket, and never removed: who removes a lock takes it from under a third one's feet.
    _lock: Flock<File>,
}

/// Why the socket cannot be ours. The text says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Somebody listens on it.
    #[error("{} is already served by {}; {SECOND}", .path.display(), named(*.process))]
    Served {
        /// The socket.
        path: PathBuf,
        /// Who listens, unless it is in another process namespace.
        process: Option<i32>,
    },
    /// Somebody holds the lock, but does not listen.
    #[error("{} belongs to another dproxy that is about to start or to end; try again, or: {SECOND}", .0.display())]
    Claimed(PathBuf),
    /// There is something else at the path.
    #[error("{} exists and is not a socket; remove it, or name another path with --socket", .0.display())]
    NotASocket(PathBuf),
    /// The system does not allow it.
    #[error(
        "cannot {what} {}: {source}; run dproxy as root, or name another socket with --socket",
        .path.display()
    )]
    System {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

const SECOND: &str = "use --socket or control.socket for a second instance";

fn named(id: Option<i32>) -> String {
    id.map_or_else(|| "another process".to_owned(), |id| format!("process {id}"))
}

impl Socket {
    /// Makes the socket at `path` ours and listens on it. What a killed daemon left there is replaced.
    pub fn claim(path: &Path) -> Result<Self, SocketError> {
        let failed = |what, path: &Path| {
            let path = path.to_owned();
            move |source| SocketError::System { what, path, source }
        };
        // First of all: no lock is wanted beside what is no socket of ours.
        is_socket(path)?;
        if let Some(folder) = path.parent() {
            let created = DirBuilder::new().recursive(true).mode(0o755).create(folder);
            created.map_err(failed("create the folder", folder))?;
        }
        let lock = lock(path)?;
        remove_stale(path)?;
        let listener = UnixListener::bind(path).map_err(failed("listen on", path))?;
        // Made before anything can fail, so that the file is removed then too.
        let socket = Self { listener, path: path.to_owned(), _lock: lock };
        fs::set_permissions(path, Permissions::from_mode(0o660)).map_err(failed("set the mode of", path))?;
        give_to_group(path);
        Ok(socket)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The socket, for tokio.
    pub fn listener(&self) -> io::Result<tokio::net::UnixListener> {
        let listener = self.listener.try_clone()?;
        listener.set_nonblocking(true)?;
        tokio::net::UnixListener::from_std(listener)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            warn!("cannot remove {}: {error}", self.path.display());
        }
    }
}

/// Takes the lock file beside the socket, so that of two daemons that start at once one goes first.
fn lock(socket: &Path) -> Result<Flock<File>, SocketError> {
    let mut path = socket.as_os_str().to_owned();
    path.push(".lock");
    let path = PathBuf::from(path);
    let failed = |source| SocketError::System { what: "lock", path: path.clone(), source };
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(lock),
        Err((_, nix::Error::EWOULDBLOCK)) => Err(match UnixStream::connect(socket) {
            Ok(stream) => SocketError::Served { path: socket.to_owned(), process: peer(&stream) },
            Err(_) => SocketError::Claimed(socket.to_owned()),
        }),
        Err((_, error)) => Err(failed(error.into())),
    }
}

/// Is there a socket at `path`? If not, nothing else must be there.
fn is_socket(path: &Path) -> Result<bool, SocketError> {
    match fs::symlink_metadata(path) {
        Err(_) => Ok(false),
        Ok(metadata) if metadata.file_type().is_socket() => Ok(true),
        Ok(_) => Err(SocketError::NotASocket(path.to_owned())),
    }
}

/// Removes a socket that nobody listens on.
fn remove_stale(path: &Path) -> Result<(), SocketError> {
    if !is_socket(path)? {
        return Ok(());
    }
    if let Ok(stream) = UnixStream::connect(path) {
        return Err(SocketError::Served { path: path.to_owned(), process: peer(&stream) });
    }
    fs::remove_file(path).map_err(|source| SocketError::System {
        what: "replace",
        path: path.to_owned(),
        source,
    })
}

fn peer(stream: &UnixStream) -> Option<i32> {
    // Process 0 is one that our namespace does not know.
    getsockopt(stream, PeerCredentials).ok().map(|peer| peer.pid()).filter(|&process| process != 0)
}

fn give_to_group(path: &Path) {
    let Ok(Some(group)) = Group::from_name(GROUP) else { return };
    if let Err(error) = chown(path, None, Some(group.gid.as_raw())) {
        warn!("cannot give {} to group {GROUP}: {error}", path.display());
    }
}
