//! What arrives at backends, as it is on the wire.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use dproxy_lab::Namespace;

use super::message::Asked;

/// Ethernet, IPv4 without options, UDP.
const HEADERS: usize = 14 + 20 + 8;
const DNS: [u8; 2] = 53_u16.to_be_bytes();
const PAUSE: Duration = Duration::from_micros(200);
static BUFFER: libc::c_int = 4 << 20;

/// A query that arrived.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// When.
    pub at: Instant,
    /// Is it a check of dproxy's, or a client's query?
    pub is_check: bool,
}

/// Looks at one interface until it is dropped.
#[derive(Debug)]
pub struct Sight {
    stop: Arc<AtomicBool>,
    arrivals: Arc<Mutex<Vec<Arrival>>>,
    thread: Option<JoinHandle<()>>,
}

impl Sight {
    /// Looks at what comes to a namespace over UDP, port 53.
    pub fn open(namespace: &Namespace) -> Result<Self> {
        let socket = namespace.enter(open)?.context("look at what arrives")?;
        let (stop, arrivals) = (Arc::<AtomicBool>::default(), Arc::<Mutex<Vec<Arrival>>>::default());
        let (stopped, sink) = (Arc::clone(&stop), Arc::clone(&arrivals));
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                look(&socket, &sink);
                thread::sleep(PAUSE);
            }
        });
        Ok(Self { stop, arrivals, thread: Some(thread) })
    }

    /// All that came so far, in order.
    pub fn arrivals(&self) -> Vec<Arrival> {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Sight {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // A panic in it has been printed by itself.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// A packet socket sees what XDP has passed on. Made for one protocol, it does not see what is sent.
fn open() -> io::Result<OwnedFd> {
    let flags = libc::SOCK_RAW | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: socket(2) touches no memory of ours.
    let socket = unsafe { libc::socket(libc::AF_PACKET, flags, i32::from((libc::ETH_P_IP as u16).to_be())) };
    if socket < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is new, and nobody else has it.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    let size = size_of_val(&BUFFER) as libc::socklen_t;
    // SAFETY: the value lives as long as the call.
    let set = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVBUFFORCE,
            (&raw const BUFFER).cast(),
            size,
        )
    };
    if set == 0 { Ok(socket) } else { Err(io::Error::last_os_error()) }
}

fn look(socket: &OwnedFd, sink: &Mutex<Vec<Arrival>>) {
    let mut frame = [0_u8; 512];
    // The interface may be down for a while: that is what is tried.
    while let Ok(length) = nix::unistd::read(socket, &mut frame) {
        let frame = &frame[..length];
        if length < HEADERS || frame[14] != 0x45 || frame[23] != 17 || frame[36..38] != DNS {
            continue;
        }
        if let Some(asked) = Asked::read(&frame[HEADERS..]) {
            let arrival = Arrival { at: Instant::now(), is_check: asked.is_check() };
            sink.lock().unwrap_or_else(PoisonError::into_inner).push(arrival);
        }
    }
}
