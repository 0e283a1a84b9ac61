mod backends;
mod broken;
mod clients;
mod queries;
mod transfers;

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, bind, connect, socket};

use crate::slow_path::testing::{PATIENCE, config, free_address, response, serve};
use crate::slow_path::{Counters, Limits, Reason, SlowPath};

/// The slow path between a listener and backends.
struct World {
    slow_path: SlowPath,
    listener: SocketAddr,
}

impl World {
    fn new(backends: &[SocketAddr]) -> Self {
        Self::with(backends, "", limits())
    }

    /// With settings of the pool.
    fn with(backends: &[SocketAddr], pool: &str, limits: Limits) -> Self {
        let listener = free_address();
        let backends: Vec<String> = backends.iter().map(|address| format!("\"{address}\"")).collect();
        let text = format!(
            "[pools.pool]\nbackends = [{}]\n{pool}\n[routes]\n\"a.test\" = \"pool\"\n\
             \"no.test\" = {{ answer = \"nxdomain\" }}\n\"drop.test\" = {{ answer = \"drop\" }}\n",
            backends.join(", ")
        );
        Self { slow_path: serve(&config(&[listener], &text), limits), listener }
    }

    fn client(&self) -> TcpStream {
        self.client_from(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0))
    }

    /// From another address of this host.
    fn client_from(&self, address: SocketAddr) -> TcpStream {
        let socket = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
        bind(socket.as_raw_fd(), &SockaddrStorage::from(address)).unwrap();
        connect(socket.as_raw_fd(), &SockaddrStorage::from(self.listener)).unwrap();
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    fn count(&self, reason: Reason) -> u64 {
        self.slow_path.counters().reasons[reason as usize]
    }

    /// Waits until the counters are as they should be.
    fn wait(&self, what: &str, condition: impl Fn(&Counters) -> bool) {
        wait(what, || condition(&self.slow_path.counters()));
    }
}

/// Longer than a busy machine takes.
fn limits() -> Limits {
    Limits { timeout: PATIENCE, idle_timeout: 2 * PATIENCE, ..Limits::for_tests() }
}

/// Waits for a condition.
fn wait(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "never came: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Waits until a number has come to a stop, and returns it.
fn standstill(number: impl Fn() -> usize) -> usize {
    wait("a standstill", || {
        let before = number();
        thread::sleep(Duration::from_millis(200));
        before > 0 && number() == before
    });
    number()
}

/// A backend that serves the connections it gets, which are numbered, one after the other or at once.
fn backend(serve: impl Fn(usize, TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serve = Arc::new(serve);
    thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let Ok(stream) = stream else { return };
            let serve = Arc::clone(&serve);
            thread::spawn(move || serve(number, stream));
        }
    });
    address
}

/// Replies to all queries of a connection.
fn reply_to_all(_number: usize, mut stream: TcpStream) {
    while let Some(query) = receive(&mut stream) {
        send(&mut stream, &response(&query));
    }
}

/// Says nothing, until the connection is closed.
fn say_nothing(_number: usize, mut stream: TcpStream) {
    while receive(&mut stream).is_some() {}
}

fn frame(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u16).to_be_bytes(), message].concat()
}

/// Sends a message; that the other side has gone is noticed later.
fn send(stream: &mut TcpStream, message: &[u8]) {
    let _ = stream.write_all(&frame(message));
}

/// The next message. `None`: the connection has ended.
fn receive(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).ok()?;
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message).ok()?;
    Some(message)
}

/// Addresses where nobody listens, unlike a free port, which another test may get.
const CLOSED: [SocketAddr; 2] = [closed(1), closed(2)];

const fn closed(host: u8) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 99, 0, host)), 1)
}

fn id(message: &[u8]) -> u16 {
    u16::from_be_bytes([message[0], message[1]])
}

const NOERROR: u8 = 0;
const SERVFAIL: u8 = 2;
const NXDOMAIN: u8 = 3;

fn rcode(message: &[u8]) -> u8 {
    message[3] & 15
}
