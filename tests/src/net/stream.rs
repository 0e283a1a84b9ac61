//! Thousands of queries a second, each of which is accounted for.

use std::io::ErrorKind;
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

use dproxy_lab::Namespace;

use super::ask::{TXT, who_answered};
use super::listeners;
use crate::frames::Question;

/// Queries a second.
const RATE: f64 = 3000.0;
/// After a delay, no more than this is made up for at once: a veth queues 256 frames.
const BURST: usize = 32;
const PAUSE: Duration = Duration::from_millis(1);
/// How long the last answers may take.
const LAST: Duration = Duration::from_secs(2);

/// Queries that go on until they are stopped, over IPv4 and IPv6 in turn.
pub struct Stream {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Asked>>,
}

/// One query of a stream.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Which of the stream's names.
    pub name: usize,
    /// When it was sent.
    pub sent: Instant,
    /// When the answer was seen, and who gave it. `None`: the query was lost.
    pub answer: Option<(Instant, String)>,
}

impl Stream {
    /// Asks for the names, in wire form, in turn.
    pub fn start(client: &Namespace, names: Vec<Vec<u8>>) -> Self {
        let senders = listeners().map(|listener| {
            let any = if listener.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
            let socket = client.enter(|| UdpSocket::bind(any)).unwrap().unwrap();
            client.enter(|| socket.connect(listener)).unwrap().unwrap();
            socket.set_nonblocking(true).unwrap();
            Sender { socket, asked: Vec::new() }
        });
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = spawn(move || run(senders, &names, &stopped));
        Self { stop, thread }
    }

    /// Stops asking, waits for the last answers, and tells of all queries.
    pub fn stop(self) -> Vec<Asked> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

fn run(mut senders: [Sender; 2], names: &[Vec<u8>], stop: &AtomicBool) -> Vec<Asked> {
    let (start, mut sent) = (Instant::now(), 0);
    while !stop.load(Ordering::Relaxed) {
        let due = (start.elapsed().as_secs_f64() * RATE) as usize;
        for _ in 0..due.saturating_sub(sent).min(BURST) {
            let round = sent / names.len();
            // The family changes from one round to the next as well, so that every name is asked over both.
            senders[(sent + round) % 2].send(sent % names.len(), names);
            sent += 1;
        }
        sleep(PAUSE);
        senders.iter_mut().for_each(|sender| sender.receive(names));
    }
    let end = Instant::now();
    while end.elapsed() < LAST
        && senders.iter().any(|sender| sender.asked.iter().any(|asked| asked.answer.is_none()))
    {
        sleep(PAUSE);
        senders.iter_mut().for_each(|sender| sender.receive(names));
    }
    let rate = sent as f64 / end.duration_since(start).as_secs_f64();
    assert!(rate >= 2000.0, "only {rate:.0} queries a second were sent");
    let [v4, v6] = senders;
    [v4.asked, v6.asked].concat()
}

/// A socket, and what was asked with it: the lower half of the index is the DNS ID.
struct Sender {
    socket: UdpSocket,
    asked: Vec<Asked>,
}

impl Sender {
    fn send(&mut self, name: usize, names: &[Vec<u8>]) {
        let id = self.asked.len() as u16;
        self.asked.push(Asked { name, sent: Instant::now(), answer: None });
        // An error is that of a query before, which will stay without an answer.
        while let Err(error) = self.socket.send(&query(id, &names[name])) {
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "a query cannot be sent: {error}");
        }
    }

    fn receive(&mut self, names: &[Vec<u8>]) {
        let mut buffer = [0; 1024];
        loop {
            let length = match self.socket.recv(&mut buffer) {
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // ICMP does not say which query it is for; that one will stay without an answer.
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => continue,
                Err(error) => panic!("a query got an error: {error}"),
            };
            let (response, now) = (&buffer[..length], Instant::now());
            let id = u16::from_be_bytes([response[0], response[1]]);
            // The last one with this ID: the one before was 65536 queries ago.
            let last = self.asked.len() - 1;
            let index = last.checked_sub(usize::from((last as u16).wrapping_sub(id)));
            let asked = &mut self.asked[index.expect("a response has the ID of a query")];
            assert!(asked.answer.is_none(), "a query was answered twice");
            asked.answer = Some((now, who_answered(&query(id, &names[asked.name]), response)));
        }
    }
}

fn query(id: u16, name: &[u8]) -> Vec<u8> {
    let mut question = Question::of_wire(name.to_vec());
    (question.id, question.qtype) = (id, TXT);
    question.octets()
}
