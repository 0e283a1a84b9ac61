//! Real queries from the far end of a veth.

use std::fs::File;
use std::io::ErrorKind;
use std::net::UdpSocket;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use super::world::{World, ip};
use super::{SOURCE, query};

/// Where a DNS message begins in a frame that [`query`] builds: behind Ethernet, IPv4 and UDP.
const MESSAGE: usize = 14 + 20 + 8;

/// A client that asks for one name over and over.
pub struct Stream {
    socket: UdpSocket,
    question: Vec<u8>,
    stop: AtomicBool,
    asked: AtomicU64,
    _far: File,
}

impl Stream {
    /// Adds the interface `v0` with the listener's address, and a client at its other end.
    pub fn new(world: &World, name: &str) -> Self {
        let far = world.veth("v0", "v1");
        ip(&format!("addr add {SOURCE}/24 dev v0"));
        let socket = world.within(&far, || {
            ip("addr add 192.0.2.2/24 dev v1");
            UdpSocket::bind("192.0.2.2:0").unwrap()
        });
        socket.connect((SOURCE, 53)).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        let (stop, asked) = (AtomicBool::new(false), AtomicU64::new(0));
        Self { socket, question: query(name)[MESSAGE..].to_vec(), stop, asked, _far: far }
    }

    /// Asks once; the response code, or nothing if there is no response.
    pub fn ask(&self) -> Option<u8> {
        let mut answer = [0; 512];
        self.socket.send(&self.question).unwrap();
        match self.socket.recv(&mut answer) {
            Ok(length) => (length == self.question.len()).then_some(answer[3] & 0x0f),
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// Asks over and over while something else happens; returns how many queries did not get one of these
    /// response codes.
    pub fn during(&self, rcodes: &[u8], happens: impl FnOnce()) -> u64 {
        thread::scope(|scope| {
            let asking = scope.spawn(|| {
                let mut lost = 0;
                while !self.stop.load(Ordering::Relaxed) {
                    lost += u64::from(!self.ask().is_some_and(|rcode| rcodes.contains(&rcode)));
                    self.asked.fetch_add(1, Ordering::Relaxed);
                }
                lost
            });
            let happened = catch_unwind(AssertUnwindSafe(happens));
            self.stop.store(true, Ordering::Relaxed);
            let lost = asking.join().unwrap();
            happened.unwrap_or_else(|panic| resume_unwind(panic));
            println!("{} queries, {lost} lost", self.asked.load(Ordering::Relaxed));
            lost
        })
    }

    /// Waits for a thousand more queries.
    pub fn wait(&self) {
        let seen = self.asked.load(Ordering::Relaxed);
        while self.asked.load(Ordering::Relaxed) < seen + 1000 {
            thread::sleep(Duration::from_millis(1));
        }
    }
}
