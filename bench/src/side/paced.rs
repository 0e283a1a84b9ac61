//! The generator at a given rate: a packet socket on each processor, and a clock.

use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::frame::{LENGTH, Query, Template};
use super::programs::Clock;
use super::rig::Clocks;
use crate::cores;

/// How often a thread looks what is due. In a virtual machine, each of its timers may cost as much as two queries.
const TICK: Duration = Duration::from_micros(500);

/// What is sent, and where.
#[derive(Clone, Copy)]
pub struct Paced<'a> {
    /// Queries a second, on all processors together.
    pub rate: f64,
    /// How many clients ask, in turn.
    pub clients: u32,
    /// The client's interface.
    pub interface: u32,
    /// What is sent.
    pub template: &'a Template,
    /// The first frame.
    pub frame: [u8; LENGTH],
    /// Where it is written down when a query is sent.
    pub clock: &'a Clock,
    /// Of the threads that send.
    pub clocks: &'a Clocks,
    /// Queries sent.
    pub sent: &'a AtomicU64,
}

/// Sends until `stop`. For a thread in the client's namespace.
pub fn send(paced: Paced<'_>, stop: &AtomicBool) -> Result<()> {
    thread::scope(|scope| {
        let threads = (0..).zip(cores::BOTH).map(|(place, processor)| {
            scope.spawn(move || {
                cores::pin(processor)?;
                paced.clocks.add_this_thread();
                // As a network card's interrupt does: it does not wait for whoever is at work.
                let _first = cores::First::take()?;
                paced.send_every(place, cores::BOTH.len() as u32, stop)
            })
        });
        let threads: Vec<_> = threads.collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

impl Paced<'_> {
    /// Of the clients, each thread has every `threads`th, from its own place on; so no two wait for one answer.
    fn send_every(mut self, place: u32, threads: u32, stop: &AtomicBool) -> Result<()> {
        let socket = open(self.interface)?;
        let per_nanosecond = self.rate / f64::from(threads) / 1e9;
        // The threads take turns.
        let start = now() + TICK.as_nanos() as u64 * u64::from(place) / u64::from(threads);
        let (mut sent, mut wake) = (0_u64, start);
        let mut client = place;
        while !stop.load(Ordering::Relaxed) {
            wake += TICK.as_nanos() as u64;
            sleep_until(wake);
            let due = (now().saturating_sub(start) as f64 * per_nanosecond) as u64;
            while sent < due {
                let query = Query { client, name: Query::random(sent, self.clients).name };
                self.send_one(&socket, query)?;
                client += threads;
                if client >= self.clients {
                    client = place;
                }
                sent += 1;
            }
        }
        Ok(())
    }

    fn send_one(&mut self, socket: &OwnedFd, query: Query) -> Result<()> {
        // SAFETY: a frame is that long.
        unsafe { self.template.write(self.frame.as_mut_ptr(), query) };
        self.clock.of(query.client).store(now(), Ordering::Relaxed);
        self.sent.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the frame lives, and is read only.
        let sent = unsafe { libc::send(socket.as_raw_fd(), self.frame.as_ptr().cast(), LENGTH, 0) };
        if sent >= 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        // The veth has no room: the query is lost, and is counted as lost.
        let lost = error.raw_os_error() == Some(libc::ENOBUFS) || error.kind() == ErrorKind::WouldBlock;
        if lost { Ok(()) } else { Err(error).context("send as the client") }
    }
}

/// CLOCK_MONOTONIC, as the receiver reads it, nanoseconds.
fn now() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the time lives; there is such a clock.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    now.tv_sec as u64 * SECOND + now.tv_nsec as u64
}

/// Whoever is woken early looks early.
fn sleep_until(time: u64) {
    let until = libc::timespec { tv_sec: (time / SECOND) as i64, tv_nsec: (time % SECOND) as i64 };
    let rest = std::ptr::null_mut();
    // SAFETY: the time lives; the rest is not asked for.
    unsafe { libc::clock_nanosleep(libc::CLOCK_MONOTONIC, libc::TIMER_ABSTIME, &raw const until, rest) };
}

const SECOND: u64 = 1_000_000_000;

/// A socket for frames that leave by an interface, and for nothing that arrives.
fn open(interface: u32) -> Result<OwnedFd> {
    // SAFETY: socket(2) touches no memory of ours.
    let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
    ensure!(fd >= 0, "open a packet socket: {}", io::Error::last_os_error());
    // SAFETY: the kernel has just given us this descriptor, and nobody else has it.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: all zero is an address of no interface.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_ifindex = interface as i32;
    let size = size_of_val(&address) as u32;
    // SAFETY: the address lives, and is that long.
    let bound = unsafe { libc::bind(fd, (&raw const address).cast(), size) };
    ensure!(bound == 0, "bind a packet socket: {}", io::Error::last_os_error());
    let yes = 1_i32;
    let (value, size) = ((&raw const yes).cast(), size_of_val(&yes) as u32);
    // SAFETY: the value lives, and is that long.
    let set = unsafe { libc::setsockopt(fd, libc::SOL_PACKET, libc::PACKET_QDISC_BYPASS, value, size) };
    ensure!(set == 0, "send past the queue: {}", io::Error::last_os_error());
    Ok(socket)
}
