//! Opening sockets.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage, bind, connect, listen, setsockopt, socket,
    sockopt,
};

use super::SlowPathError;
use crate::datagrams::queue_errors;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 4096;
/// Octets that may wait in a UDP socket: a burst of some thousand queries.
const RECEIVE_BUFFER: usize = 4 << 20;

/// A socket that a worker listens with; others have it too while it is handed over.
#[derive(Clone, Debug)]
pub(super) struct Listening {
    pub(super) address: SocketAddr,
    pub(super) socket: Arc<OwnedFd>,
}

impl Listening {
    fn open(address: SocketAddr, kind: SockType) -> Result<Self, SlowPathError> {
        Ok(Self { address, socket: Arc::new(listener(address, kind, true)?) })
    }

    /// Does somebody else go on with it?
    pub(super) fn is_handed_over(&self) -> bool {
        Arc::strong_count(&self.socket) > 1
    }
}

/// The sockets of one worker: for each listener one of each kind, in the order of the listeners.
#[derive(Clone, Debug, Default)]
pub(super) struct Sockets {
    pub(super) udp: Vec<Listening>,
    pub(super) tcp: Vec<Listening>,
}

impl Sockets {
    /// Takes over those that a worker before has, with all that waits in them; opens and binds the others.
    /// Several workers may have the same addresses.
    pub(super) fn open(
        listeners: &[SocketAddr],
        before: &Self,
        bound: &Bound,
    ) -> Result<Self, SlowPathError> {
        let all = |before: &[Listening], kind| {
            let one = |address: &SocketAddr| {
                let taken = before.iter().find(|listening| listening.address == *address).cloned();
                taken.map_or_else(|| Listening::open(*address, kind), Ok)
            };
            listeners.iter().map(one).collect::<Result<Vec<_>, _>>()
        };
        let udp = all(&before.udp, SockType::Datagram)?;
        bound.note(&udp);
        Ok(Self { udp, tcp: all(&before.tcp, SockType::Stream)? })
    }
}

/// The UDP sockets of a slow path and of all that came from it: one that ends has its own for a while.
#[derive(Clone, Debug, Default)]
pub(super) struct Bound(Arc<Mutex<Vec<WeakSocket>>>);

type WeakSocket = (SocketAddr, Weak<OwnedFd>);

impl Bound {
    fn note(&self, listening: &[Listening]) {
        let mut bound = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = |socket| !listening.iter().any(|new| Arc::as_ptr(&new.socket) == socket);
        bound.retain(|(_, socket)| socket.strong_count() > 0 && is_new(socket.as_ptr()));
        bound.extend(listening.iter().map(|new| (new.address, Arc::downgrade(&new.socket))));
    }

    fn has(&self, address: SocketAddr) -> bool {
        let bound = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        bound.iter().any(|(one, socket)| *one == address && socket.strong_count() > 0)
    }
}

/// Has the kernel give a UDP socket nothing more and spread clients over the others. It can still send, and has
/// what it was given before: connected, it only hears its peer, which is itself.
pub(super) fn hear_nobody(listening: &Listening) -> io::Result<()> {
    Ok(connect(listening.socket.as_raw_fd(), &SockaddrStorage::from(listening.address))?)
}

/// Finds out whether somebody else has the listeners' addresses: another dproxy could share them with us,
/// and each would get half of the queries.
pub(super) fn probe(listeners: &[SocketAddr], bound: &Bound) -> Result<(), SlowPathError> {
    for &address in listeners.iter().filter(|address| !bound.has(**address)) {
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
    queue_errors(socket.as_fd(), backend.is_ipv4())?;
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
pub(super) fn tcp_listener(socket: &OwnedFd) -> io::Result<tokio::net::TcpListener> {
    tokio::net::TcpListener::from_std(TcpListener::from(socket.try_clone()?))
}
