//! What hosts and routers on the way to a backend say about a query (ICMP).

use std::io::{ErrorKind, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, cmsg_space, recvmsg};

/// Octets of the query that an error quotes which are looked at: a PROXY header and an ID.
const QUOTED: usize = 64;

/// Takes the next error that a socket has queued: the beginning of the datagram that it is about.
/// `None`: there is no more.
///
/// The kernel has checked that the quoted addresses and ports are those of the socket; that it quotes an ID
/// of a query under way, the caller checks. What is quoted too shortly, or is about the datagram's size, comes
/// back empty.
pub(super) fn next(socket: BorrowedFd<'_>) -> Option<Vec<u8>> {
    let mut quoted = [0; QUOTED];
    let mut control = vec![0; cmsg_space::<libc::sock_extended_err>() + cmsg_space::<libc::sockaddr_in6>()];
    loop {
        let mut vectors = [IoSliceMut::new(&mut quoted)];
        let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
        let received =
            recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut vectors, Some(&mut control), flags);
        let (length, is_fatal) = match received {
            Ok(message) => {
                (message.bytes, message.cmsgs().is_ok_and(|mut all| all.any(|one| is_fatal(&one))))
            }
            Err(error) if std::io::Error::from(error).kind() == ErrorKind::Interrupted => continue,
            Err(_) => return None,
        };
        return Some(if is_fatal { quoted[..length.min(QUOTED)].to_vec() } else { Vec::new() });
    }
}

/// Does it say that the query did not arrive?
fn is_fatal(message: &ControlMessageOwned) -> bool {
    let (ControlMessageOwned::Ipv4RecvErr(error, _) | ControlMessageOwned::Ipv6RecvErr(error, _)) = message
    else {
        return false;
    };
    matches!(
        i32::try_from(error.ee_errno),
        Ok(libc::ECONNREFUSED | libc::EHOSTUNREACH | libc::ENETUNREACH | libc::EACCES | libc::EHOSTDOWN)
    )
}
