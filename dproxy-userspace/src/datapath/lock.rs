//! One dproxy to an interface.

use std::os::fd::{AsRawFd, OwnedFd};

use nix::Result;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, connect, getsockopt, listen, socket,
    sockopt::PeerCredentials,
};

use super::DatapathError;

/// The right to serve an interface, until it is dropped or the process ends.
///
/// It is a listening socket with an abstract name (unix(7)). The kernel gives a name to one socket at a
/// time, frees it when the process ends, however it ends, and keeps names apart by network namespace, as
/// it does interfaces.
#[derive(Debug)]
pub(super) struct InterfaceLock {
    _socket: OwnedFd,
}

impl InterfaceLock {
    /// Takes the lock of an interface by its index. `interface` is its name, for messages.
    pub(super) fn take(index: u32, interface: &str) -> std::result::Result<Self, DatapathError> {
        let advice = format!("stop that one, or take {interface} out of listen.interfaces");
        Self::take_or(index, interface, "another dproxy", &advice)
    }

    /// The same for who does not want to serve it.
    pub(super) fn take_to_detach(index: u32, interface: &str) -> std::result::Result<Self, DatapathError> {
        Self::take_or(index, interface, "dproxy", "stop that first: on SIGINT, it detaches by itself")
    }

    fn take_or(
        index: u32,
        interface: &str,
        who: &str,
        advice: &str,
    ) -> std::result::Result<Self, DatapathError> {
        let name = format!("dproxy/interface/{index}");
        match hold(name.as_bytes()) {
            Ok(socket) => Ok(Self { _socket: socket }),
            Err(Errno::EADDRINUSE) => {
                let process =
                    holder(name.as_bytes()).map_or_else(|_| String::new(), |id| format!(" (process {id})"));
                Err(DatapathError(format!("interface {interface} is served by {who}{process}; {advice}")))
            }
            Err(error) => Err(DatapathError(format!("cannot lock interface {interface}: {}", error.desc()))),
        }
    }
}

fn stream() -> Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    socket(AddressFamily::Unix, SockType::Stream, flags, None)
}

/// Listens, so that others can see who holds the name.
fn hold(name: &[u8]) -> Result<OwnedFd> {
    let socket = stream()?;
    bind(socket.as_raw_fd(), &UnixAddr::new_abstract(name)?)?;
    listen(&socket, Backlog::MAXCONN)?;
    Ok(socket)
}

/// The process that listens. It never accepts: nobody waits for that.
fn holder(name: &[u8]) -> Result<i32> {
    let socket = stream()?;
    connect(socket.as_raw_fd(), &UnixAddr::new_abstract(name)?)?;
    match getsockopt(&socket, PeerCredentials)?.pid() {
        // Of another PID namespace.
        0 => Err(Errno::ESRCH),
        process => Ok(process),
    }
}
