//! What hosts and routers on the way to a server say about a datagram (ICMP).

use std::io::{self, ErrorKind, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, cmsg_space, recvmsg};

/// Octets of the datagram that an error quotes which are looked at: a PROXY header and an ID.
const QUOTED: usize = 64;

/// A datagram that did not arrive.
#[derive(Debug)]
pub struct Undelivered {
    /// Its beginning. Empty if too little of it is quoted, or if it did arrive: what is said is about its size.
    pub quoted: Vec<u8>,
    /// Where it was sent.
    pub to: Option<SocketAddr>,
    /// Why it did not arrive.
    pub error: io::Error,
}

/// Has the kernel keep ICMP errors with the datagram that each is about (ip(7), `IP_RECVERR`).
pub fn queue_errors(socket: BorrowedFd<'_>, is_ipv4: bool) -> io::Result<()> {
    let (level, option) = match is_ipv4 {
        true => (libc::IPPROTO_IP, libc::IP_RECVERR),
        false => (libc::IPPROTO_IPV6, libc::IPV6_RECVERR),
    };
    let on: i32 = 1;
    // SAFETY: the value is an integer of the size given.
    let done = unsafe {
        let on = (&raw const on).cast();
        libc::setsockopt(socket.as_raw_fd(), level, option, on, size_of::<i32>() as u32)
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Takes the next error that a socket has queued. `None`: there is no more.
///
/// The kernel has checked that the quoted addresses and ports are those of the socket; that it quotes an ID
/// of a query under way, the caller checks.
pub fn next_error(socket: BorrowedFd<'_>) -> Option<Undelivered> {
    let mut quoted = [0; QUOTED];
    let mut control = vec![0; cmsg_space::<libc::sock_extended_err>() + cmsg_space::<libc::sockaddr_in6>()];
    loop {
        let mut vectors = [IoSliceMut::new(&mut quoted)];
        let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
        let received =
            recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut vectors, Some(&mut control), flags);
        let (length, number, to) = match received {
            Ok(message) => {
                let number = message.cmsgs().ok().and_then(|mut all| all.find_map(|one| number(&one)));
                (message.bytes, number.unwrap_or(0), message.address.as_ref().and_then(address))
            }
            Err(error) if io::Error::from(error).kind() == ErrorKind::Interrupted => continue,
            Err(_) => return None,
        };
        let length = if is_fatal(number) { length.min(QUOTED) } else { 0 };
        let quoted = quoted[..length].to_vec();
        return Some(Undelivered { quoted, to, error: io::Error::from_raw_os_error(number) });
    }
}

fn number(message: &ControlMessageOwned) -> Option<i32> {
    let (ControlMessageOwned::Ipv4RecvErr(error, _) | ControlMessageOwned::Ipv6RecvErr(error, _)) = message
    else {
        return None;
    };
    i32::try_from(error.ee_errno).ok()
}

/// Does it say that the datagram did not arrive?
fn is_fatal(number: i32) -> bool {
    matches!(
        number,
        libc::ECONNREFUSED | libc::EHOSTUNREACH | libc::ENETUNREACH | libc::EACCES | libc::EHOSTDOWN
    )
}

fn address(storage: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = storage.as_sockaddr_in().map(|v4| SocketAddr::from((v4.ip(), v4.port())));
    v4.or_else(|| storage.as_sockaddr_in6().map(|v6| SocketAddr::V6((*v6).into())))
}
