//! A DNS server in a process of its own, which does wrong what it is told to. Commands come on standard input, one a
//! line; each is answered `ok` when it is so.

use std::collections::VecDeque;
use std::io::{self, BufRead, IoSlice, IoSliceMut, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::cmsg_space;
use nix::sys::socket::sockopt::{Ipv4PacketInfo, RcvBufForce};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn, recvmsg, sendmsg, setsockopt,
};

use super::message::{Asked, Reply};

/// How late who is late is.
pub const LATE: Duration = Duration::from_secs(2);
/// How often a socket is left to see what is wanted.
const LOOK: Duration = Duration::from_millis(2);
/// How long a connection may rest.
const IDLE: Duration = Duration::from_secs(10);
/// What comes in while others have the processor.
const BUFFER: usize = 4 << 20;

/// What it does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Manner {
    /// Its work.
    #[default]
    Well,
    /// It answers SERVFAIL to everything.
    Servfail,
    /// The same to checks alone.
    RefuseChecks,
    /// It answers, but [late](LATE).
    Late,
    /// It accepts TCP connections, and does not answer there.
    TcpDead,
    /// It has no sockets.
    Closed,
}

impl Manner {
    const WORDS: [(&str, Self); 6] = [
        ("well", Self::Well),
        ("servfail", Self::Servfail),
        ("refuse-checks", Self::RefuseChecks),
        ("late", Self::Late),
        ("tcp-dead", Self::TcpDead),
        ("closed", Self::Closed),
    ];

    /// The word for it.
    pub fn word(self) -> &'static str {
        Self::WORDS.into_iter().find(|(_, manner)| *manner == self).map_or("well", |(word, _)| word)
    }

    fn of(word: &str) -> Option<Self> {
        Self::WORDS.into_iter().find(|(known, _)| *known == word).map(|(_, manner)| manner)
    }
}

#[derive(Debug, Default)]
struct Shared {
    manner: Mutex<Manner>,
    serial: AtomicU32,
    /// Has each socket been opened, or closed, as wanted?
    open: [AtomicBool; 2],
}

impl Shared {
    fn manner(&self) -> Manner {
        *self.manner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it says to a query; nothing if that is no query.
    fn reply(&self, query: &[u8]) -> Option<Vec<u8>> {
        let asked = Asked::read(query)?;
        let is_failing = match self.manner() {
            Manner::Servfail => true,
            Manner::RefuseChecks => asked.is_check(),
            Manner::Well | Manner::Late | Manner::TcpDead | Manner::Closed => false,
        };
        let reply =
            if is_failing { Reply::Servfail } else { Reply::Answer(self.serial.load(Ordering::Relaxed)) };
        Some(asked.reply(query, reply))
    }
}

/// Serves at an address until standard input ends.
pub fn serve(address: SocketAddr) -> Result<()> {
    let shared = Arc::new(Shared::default());
    shared.serial.store(1000, Ordering::Relaxed);
    let [udp, tcp] = [Arc::clone(&shared), Arc::clone(&shared)];
    thread::spawn(move || serve_udp(address, &udp));
    thread::spawn(move || serve_tcp(address, &tcp));
    wait_until(&shared, true);
    println!("ok");
    for line in io::stdin().lock().lines() {
        let line = line?;
        match line.split_once(' ') {
            Some(("serial", serial)) => shared.serial.store(serial.parse()?, Ordering::Relaxed),
            Some(_) => bail!("unknown: {line}"),
            None => {
                let manner = Manner::of(&line).with_context(|| format!("unknown: {line}"))?;
                *shared.manner.lock().unwrap_or_else(PoisonError::into_inner) = manner;
                wait_until(&shared, manner != Manner::Closed);
            }
        }
        println!("ok");
        io::stdout().flush()?;
    }
    Ok(())
}

fn wait_until(shared: &Shared, open: bool) {
    while shared.open.iter().any(|is_open| is_open.load(Ordering::Relaxed) != open) {
        thread::sleep(LOOK / 4);
    }
}

/// Opens, and closes, as long as the process lives.
fn serve_udp(address: SocketAddr, shared: &Shared) -> ! {
    loop {
        let served = open_udp(address).and_then(|socket| {
            shared.open[0].store(true, Ordering::Relaxed);
            serve_datagrams(&socket, shared)
        });
        shared.open[0].store(false, Ordering::Relaxed);
        if let Err(error) = served {
            eprintln!("{address}, UDP: {error}");
        }
        while shared.manner() == Manner::Closed {
            thread::sleep(LOOK);
        }
    }
}

fn open_udp(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(address)?;
    socket.set_read_timeout(Some(LOOK))?;
    setsockopt(&socket, RcvBufForce, &BUFFER)?;
    // A reply leaves from the address that was asked.
    setsockopt(&socket, Ipv4PacketInfo, &true)?;
    Ok(socket)
}

struct Waiting {
    due: Instant,
    to: SockaddrIn,
    from: libc::in_pktinfo,
    reply: Vec<u8>,
}

fn serve_datagrams(socket: &UdpSocket, shared: &Shared) -> io::Result<()> {
    let mut late = VecDeque::<Waiting>::new();
    let mut buffer = [0; 1024];
    while shared.manner() != Manner::Closed {
        if let Some((length, to, from)) = receive(socket, &mut buffer)?
            && let Some(reply) = shared.reply(&buffer[..length])
        {
            match shared.manner() {
                Manner::Late => late.push_back(Waiting { due: Instant::now() + LATE, to, from, reply }),
                Manner::Well | Manner::Servfail | Manner::RefuseChecks | Manner::TcpDead | Manner::Closed => {
                    send(socket, &reply, &to, &from)
                }
            }
        }
        while let Some(Waiting { to, from, reply, .. }) = next_due(&mut late) {
            send(socket, &reply, &to, &from);
        }
    }
    Ok(())
}

fn next_due(late: &mut VecDeque<Waiting>) -> Option<Waiting> {
    if late.front()?.due <= Instant::now() { late.pop_front() } else { None }
}

fn send(socket: &UdpSocket, reply: &[u8], to: &SockaddrIn, from: &libc::in_pktinfo) {
    let control = [ControlMessage::Ipv4PacketInfo(from)];
    // Who asked may be gone.
    let _ = sendmsg(socket.as_raw_fd(), &[IoSlice::new(reply)], &control, MsgFlags::empty(), Some(to));
}

/// A message, who sent it, and to which address.
fn receive(
    socket: &UdpSocket,
    buffer: &mut [u8],
) -> io::Result<Option<(usize, SockaddrIn, libc::in_pktinfo)>> {
    let mut slices = [IoSliceMut::new(buffer)];
    let mut space = cmsg_space!(libc::in_pktinfo);
    let received =
        recvmsg::<SockaddrIn>(socket.as_raw_fd(), &mut slices, Some(&mut space), MsgFlags::empty());
    let received = match received {
        Ok(received) => received,
        Err(nix::Error::EAGAIN | nix::Error::EINTR) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let info = received.cmsgs()?.find_map(|message| {
        if let ControlMessageOwned::Ipv4PacketInfo(info) = message { Some(info) } else { None }
    });
    // From any interface.
    Ok(received
        .address
        .zip(info)
        .map(|(to, info)| (received.bytes, to, libc::in_pktinfo { ipi_ifindex: 0, ..info })))
}

fn serve_tcp(address: SocketAddr, shared: &Arc<Shared>) -> ! {
    loop {
        if let Err(error) = accept(address, shared) {
            eprintln!("{address}, TCP: {error}");
        }
        shared.open[1].store(false, Ordering::Relaxed);
        while shared.manner() == Manner::Closed {
            thread::sleep(LOOK);
        }
    }
}

fn accept(address: SocketAddr, shared: &Arc<Shared>) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    shared.open[1].store(true, Ordering::Relaxed);
    while shared.manner() != Manner::Closed {
        match listener.accept() {
            Ok((stream, _)) => {
                let shared = Arc::clone(shared);
                // Whoever breaks off is its own affair.
                thread::spawn(move || drop(serve_stream(stream, &shared)));
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(LOOK),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn serve_stream(mut stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(IDLE))?;
    loop {
        let mut length = [0; 2];
        stream.read_exact(&mut length)?;
        let mut query = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut query)?;
        match shared.manner() {
            Manner::TcpDead => thread::sleep(IDLE),
            Manner::Late => thread::sleep(LATE),
            Manner::Well | Manner::Servfail | Manner::RefuseChecks | Manner::Closed => {}
        }
        let Some(reply) = shared.reply(&query) else { return Ok(()) };
        stream.write_all(&[&(reply.len() as u16).to_be_bytes()[..], &reply].concat())?;
    }
}
