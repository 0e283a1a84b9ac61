//! Opening sockets.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage, bind, listen, setsockopt, socket, sockopt,
};

use super::SlowPathError;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 4096;
/// Octets that may wait in a UDP socket: a burst of some thousand queries.
const RECEIVE_BUFFER: usize = 4 << 20;

/// The sockets of one worker: for each listener one of each kind, in the order of the listeners.
pub(super) struct Sockets {
    pub(super) udp: Vec<(SocketAddr, OwnedFd)>,
    pub(super) tcp: Vec<(SocketAddr, OwnedFd)>,
}

impl Sockets {
    /// Opens and binds them. Several workers may have the same addresses.
    pub(super) fn open(listeners: &[SocketAddr]) -> Result<Self, SlowPathError> {
        let mut sockets = Self { udp: Vec::new(), tcp: Vec::new() };
        for &address in listeners {
            sockets.udp.push((address, listener(address, SockType::Datagram, true)?));
            sockets.tcp.push((address, listener(address, SockType::Stream, true)?));
        }
        Ok(sockets)
    }
}

/// Finds out whether somebody else has the listeners' addresses: another dproxy could share them with us,
/// and each would get half of the queries.
pub(super) fn probe(listeners: &[SocketAddr]) -> Result<(), SlowPathError> {
    for &address in listeners {
        listener(address, SockType::Datagram, false)?;
    }
    Ok(())
}

fn listener(address: SocketAddr, kind: SockType, shared: bool) -> Result<OwnedFd, SlowPathError> {
    open_listener(address, kind, shared).map_err(|error| SlowPathError::Listen {
        address,
        protocol: if matches!(kind, SockType::Stream) { "TCP" } else { "UDP" },
        hint: match error.raw_os_error() {
            Some(libc::EADDRINUSE) => {
                "; another program answers there, which `ss -lntup` names: stop it, or \
                                       let it listen elsewhere and be a backend"
            }
            Some(libc::EACCES) => "; ports below 1024 need root or the capability CAP_NET_BIND_SERVICE",
            _ => "",
        },
        error,
    })
}

fn open_listener(address: SocketAddr, kind: SockType, shared: bool) -> io::Result<OwnedFd> {
    let socket = open(address, kind)?;
    // An address that a routing daemon or VRRP is yet to bring.
    setsockopt(&socket, sockopt::IpFreebind, &true)?;
    if shared {
        setsockopt(&socket, sockopt::ReusePort, &true)?;
    }
    if matches!(kind, SockType::Stream) {
        setsockopt(&socket, sockopt::ReuseAddr, &true)?;
    }
    bind(socket.as_raw_fd(), &SockaddrStorage::from(address))?;
    if matches!(kind, SockType::Stream) {
        listen(&socket, Backlog::new(BACKLOG)?)?;
    } else {
        large_receive_buffer(&socket);
        ignore_path_mtu(&socket, address)?;
    }
    Ok(socket)
}

/// A UDP socket from a random port that only hears `backend`. The kernel draws the port
/// (udp_lib_get_port).
pub(super) fn connected_udp(backend: SocketAddr) -> io::Result<OwnedFd> {
    let socket = open(backend, SockType::Datagram)?;
    large_receive_buffer(&socket);
    ignore_path_mtu(&socket, backend)?;
    queue_errors(&socket, backend)?;
    let socket = UdpSocket::from(socket);
    socket.connect(backend)?;
    Ok(socket.into())
}

fn open(address: SocketAddr, kind: SockType) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let socket = socket(family, kind, flags, None)?;
    if address.is_ipv6() {
        setsockopt(&socket, sockopt::Ipv6V6Only, &true)?;
    }
    Ok(socket)
}

/// Neither believes in ICMP messages about the path's MTU, which anybody can send, nor sets DF: what is larger
/// than the interface's MTU is fragmented (draft-ietf-dnsop-avoid-fragmentation has the attack).
fn ignore_path_mtu(socket: &OwnedFd, address: SocketAddr) -> io::Result<()> {
    match address {
        SocketAddr::V4(_) => set(socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_OMIT),
        SocketAddr::V6(_) => {
            set(socket, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_OMIT)
        }
    }
}

/// Keeps ICMP errors with the datagram that each is about (ip(7), `IP_RECVERR`).
fn queue_errors(socket: &OwnedFd, address: SocketAddr) -> io::Result<()> {
    match address {
        SocketAddr::V4(_) => set(socket, libc::IPPROTO_IP, libc::IP_RECVERR, 1),
        SocketAddr::V6(_) => set(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVERR, 1),
    }
}

fn set(socket: &OwnedFd, level: i32, option: i32, value: i32) -> io::Result<()> {
    // SAFETY: the value is an integer of the size given.
    let done = unsafe {
        let value = (&raw const value).cast();
        libc::setsockopt(socket.as_raw_fd(), level, option, value, size_of::<i32>() as u32)
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// As large as we may have it.
fn large_receive_buffer(socket: &impl AsFd) {
    if setsockopt(socket, sockopt::RcvBufForce, &RECEIVE_BUFFER).is_err() {
        // It is cut to net.core.rmem_max: a smaller burst fits.
        let _ = setsockopt(socket, sockopt::RcvBuf, &RECEIVE_BUFFER);
    }
}

/// A socket opened here, for the event loop.
pub(super) fn tcp_listener(socket: OwnedFd) -> io::Result<tokio::net::TcpListener> {
    tokio::net::TcpListener::from_std(TcpListener::from(socket))
}
