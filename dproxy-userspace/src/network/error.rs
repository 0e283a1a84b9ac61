//! Errors between us and the kernel.

use std::io;
use std::time::Duration;

/// Why the kernel could not be asked. The text says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// No netlink socket.
    #[error(
        "cannot open a netlink socket: {0}; see that the process may have more open files (ulimit -n) and \
         sockets of the family AF_NETLINK (RestrictAddressFamilies= of systemd)"
    )]
    Open(#[source] io::Error),
    /// The socket broke.
    #[error("the netlink socket broke while dproxy was asking the kernel; dproxy will try another")]
    Broken,
    /// No answer.
    #[error(
        "the kernel has not answered over netlink for {0:?}; dproxy will ask again; if this stays, the \
         machine is overloaded, or what its kernel says is not understood"
    )]
    Silent(Duration),
    /// An error from the kernel.
    #[error("the kernel does not list its {what}: {error}; run dproxy as root")]
    Refused {
        /// What we asked for.
        what: &'static str,
        /// What it said.
        #[source]
        error: io::Error,
    },
}
