//! A server that takes its time.

use std::collections::VecDeque;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, spawn};
use std::time::{Duration, Instant};

use dproxy_lab::Namespace;

use super::who::Who;

/// How long each answer takes.
const DELAY: Duration = Duration::from_millis(300);
const TURN: Duration = Duration::from_millis(1);

/// It answers each query after 300 ms, until it is dropped.
pub(super) struct SlowServer {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl SlowServer {
    pub(super) fn start(namespace: &Namespace, address: SocketAddr) -> Self {
        let socket = namespace.enter(|| UdpSocket::bind(address)).unwrap().unwrap();
        socket.set_read_timeout(Some(TURN)).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = Some(spawn(move || serve(&socket, &stopped)));
        Self { stop, thread }
    }
}

impl Drop for SlowServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // A panic has been told of already.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn serve(socket: &UdpSocket, stop: &AtomicBool) {
    let mut waiting: VecDeque<(Instant, SocketAddr, Vec<u8>)> = VecDeque::new();
    let mut buffer = [0; 1024];
    while !stop.load(Ordering::Relaxed) {
        if let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let [mark, _] = Who::SLOW.mark().to_be_bytes();
            buffer[2] |= mark;
            waiting.push_back((Instant::now() + DELAY, from, buffer[..length].to_vec()));
        }
        while waiting.front().is_some_and(|(due, ..)| *due <= Instant::now()) {
            let Some((_, to, answer)) = waiting.pop_front() else { break };
            socket.send_to(&answer, to).unwrap();
        }
    }
}
