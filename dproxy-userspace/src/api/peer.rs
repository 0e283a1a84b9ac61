//! Who is on the other side of a connection.

use tokio::net::UnixStream;

/// The process on the other side of a connection, as the kernel knows it (unix(7), `SO_PEERCRED`).
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer {
    pub(super) uid: u32,
    pub(super) process: Option<i32>,
}

/// Nobody: what the kernel says of a user without a number here (`overflowuid`).
const NOBODY: u32 = 65534;

impl Peer {
    pub(super) fn of(stream: &UnixStream) -> Self {
        match stream.peer_cred() {
            // Process 0 is one that our namespace does not know.
            Ok(peer) => Self { uid: peer.uid(), process: peer.pid().filter(|&process| process != 0) },
            Err(_) => Self { uid: NOBODY, process: None },
        }
    }
}
