//! Backends that are gone, silent, or talk nonsense: another backend of the pool answers, else there is
//! SERVFAIL, within the client's patience.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, spawn};
use std::time::{Duration, Instant};

use dproxy_lab::{Balancer, Host, Server, Topology, default_binary, skip_without_root};
use dproxy_tests::frames::Question;
use dproxy_tests::net::{
    Asker, Counters, Everything, TcpAsker, configuration, listeners, wait_until_reachable,
};
use dproxy_userspace::slow_path::Reason;

/// Queries for each case: by the hash of its name, some go to each backend first.
const NAMES: usize = 8;
const SERVFAIL: u8 = 2;
const TXT: u16 = 16;
/// How long dproxy waits in all.
const TIMEOUT: Duration = Duration::from_millis(600);
/// What else takes time on a busy machine.
const SLACK: Duration = Duration::from_secs(2);

/// What is wrong with a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// Nobody listens at its port: ICMP over UDP, a reset over TCP.
    Gone,
    /// It takes queries, and says nothing.
    Silent,
    /// It answers with something that is no answer.
    Garbage,
    /// It closes the connection instead of answering.
    Hangup,
}

/// A case: what is counted for each query that met with the fault, and what if it is everywhere.
struct Case {
    fault: Fault,
    over_tcp: bool,
    retried: Reason,
    servfail: Reason,
}

const CASES: [Case; 7] = [
    Case {
        fault: Fault::Gone,
        over_tcp: false,
        retried: Reason::RetriedUnreachable,
        servfail: Reason::ServfailBroken,
    },
    Case {
        fault: Fault::Silent,
        over_tcp: false,
        retried: Reason::RetriedTimeout,
        servfail: Reason::ServfailTimeout,
    },
    Case {
        fault: Fault::Garbage,
        over_tcp: false,
        retried: Reason::RetriedTimeout,
        servfail: Reason::ServfailTimeout,
    },
    Case {
        fault: Fault::Gone,
        over_tcp: true,
        retried: Reason::RetriedUnreachable,
        servfail: Reason::ServfailUnreachable,
    },
    Case {
        fault: Fault::Silent,
        over_tcp: true,
        retried: Reason::RetriedTimeout,
        servfail: Reason::ServfailTimeout,
    },
    Case {
        fault: Fault::Garbage,
        over_tcp: true,
        retried: Reason::RetriedTimeout,
        servfail: Reason::ServfailTimeout,
    },
    Case {
        fault: Fault::Hangup,
        over_tcp: true,
        retried: Reason::RetriedUnreachable,
        servfail: Reason::ServfailBroken,
    },
];

#[test]
fn another_backend_answers() {
    if skip_without_root() {
        return;
    }
    let topology = Topology::builder("e2e-errors").build().unwrap();
    let good = &topology.backends[1];
    let _server = Server::start(&good.namespace, "b", &good.sockets(53), Everything::answering("b")).unwrap();
    for (version, case) in
        [0, 1].into_iter().flat_map(|version| CASES.iter().map(move |case| (version, case)))
    {
        let [faulty, good] = [0, 1].map(|index: usize| topology.backends[index].sockets(53)[version]);
        let _fault = Faulty::start(&topology.backends[0], faulty, case.fault);
        let balancer = start(&topology, &[faulty, good]);
        let before = Counters::read(&balancer);
        for name in 0..NAMES {
            let start = Instant::now();
            let answer = ask(&topology, listeners()[version], name, case.over_tcp);
            assert_eq!(answer[3] & 0xf, 0, "{:?}, name {name}: it is answered", case.fault);
            assert!(answer.ends_with(b"\x01b"), "by the other backend");
            assert!(start.elapsed() < TIMEOUT / 3 + SLACK, "{:?} after {:?}", case.fault, start.elapsed());
        }
        let counted = Counters::read(&balancer).since(&before);
        let retried = counted.slow(case.retried);
        println!("{:?}, TCP {}: {retried} of {NAMES} retried", case.fault, case.over_tcp);
        assert!(retried > 0 && retried < NAMES as u64, "{}: {counted:?}", case.retried.label());
        check(case, &counted, retried);
        assert_eq!(counted.slow(case.servfail), 0, "{counted:?}");
    }
}

#[test]
fn when_none_answers_there_is_servfail() {
    if skip_without_root() {
        return;
    }
    let topology = Topology::builder("e2e-servfail").build().unwrap();
    for (version, case) in
        [0, 1].into_iter().flat_map(|version| CASES.iter().map(move |case| (version, case)))
    {
        let hosts = &topology.backends[..2];
        let addresses = [0, 1].map(|index: usize| hosts[index].sockets(53)[version]);
        let _faults = [0, 1].map(|index| Faulty::start(&hosts[index], addresses[index], case.fault));
        let balancer = start(&topology, &addresses);
        let before = Counters::read(&balancer);
        let start = Instant::now();
        let answer = ask(&topology, listeners()[version], 0, case.over_tcp);
        assert_eq!(answer[3] & 0xf, SERVFAIL, "{:?}, TCP {}", case.fault, case.over_tcp);
        assert!(start.elapsed() < TIMEOUT + SLACK, "{:?} after {:?}", case.fault, start.elapsed());
        let counted = Counters::read(&balancer).since(&before);
        assert_eq!(counted.slow(case.servfail), 1, "{}: {counted:?}", case.servfail.label());
        assert_eq!(counted.slow(case.retried), 1, "{}: {counted:?}", case.retried.label());
        check(case, &counted, 2);
    }
}

/// What else is counted when so many queries met with the fault.
fn check(case: &Case, counted: &Counters, met: u64) {
    let not_dns = counted.slow(Reason::ReplyNotDns);
    let failed = counted.slow(Reason::BackendConnectFailed);
    assert_eq!(not_dns, if case.fault == Fault::Garbage { met } else { 0 }, "{counted:?}");
    let has_failed = case.fault == Fault::Gone && case.over_tcp;
    assert_eq!(failed > 0, has_failed, "{counted:?}");
}

/// dproxy, without a fast path, with one pool.
fn start(topology: &Topology, backends: &[SocketAddr]) -> Balancer {
    let backends: Vec<String> = backends.iter().map(|backend| format!("\"{backend}\"")).collect();
    let rest = format!(
        "[slow_path]\ntimeout = \"{}ms\"\n[pools]\npool.backends = [{}]\n[routes]\n\".\" = \"pool\"\n",
        TIMEOUT.as_millis(),
        backends.join(", ")
    );
    let config = configuration(topology, "off", &rest);
    let balancer = Balancer::start(topology, &default_binary().unwrap(), &config).unwrap();
    wait_until_reachable(&balancer);
    balancer
}

fn ask(topology: &Topology, listener: SocketAddr, name: usize, over_tcp: bool) -> Vec<u8> {
    let client = &topology.client.namespace;
    let query = Question { qtype: TXT, ..Question::new(&format!("name{name}.test")) }.octets();
    let answer = match over_tcp {
        false => Asker::new(client, listener).patience(TIMEOUT + SLACK).exchange(&query),
        true => TcpAsker::new(client, listener).exchange(&query),
    };
    answer.unwrap_or_else(|error| panic!("name {name} is not answered: {error}"))
}

/// A backend with a fault, over UDP and TCP.
struct Faulty {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

const TURN: Duration = Duration::from_millis(20);

impl Faulty {
    fn start(host: &Host, address: SocketAddr, fault: Fault) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        if fault != Fault::Gone {
            let bind = || (UdpSocket::bind(address).unwrap(), TcpListener::bind(address).unwrap());
            let (udp, tcp) = host.namespace.enter(bind).unwrap();
            let stopped = Arc::clone(&stop);
            threads.push(spawn(move || serve_udp(&udp, fault, &stopped)));
            let stopped = Arc::clone(&stop);
            threads.push(spawn(move || serve_tcp(&tcp, fault, &stopped)));
        }
        Self { stop, threads }
    }
}

impl Drop for Faulty {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// The query itself, which is no response.
fn serve_udp(socket: &UdpSocket, fault: Fault, stop: &AtomicBool) {
    socket.set_read_timeout(Some(TURN)).unwrap();
    let mut buffer = [0; 512];
    while !stop.load(Ordering::Relaxed) {
        let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
        if fault == Fault::Garbage {
            socket.send_to(&buffer[..length], from).unwrap();
        }
    }
}

fn serve_tcp(listener: &TcpListener, fault: Fault, stop: &AtomicBool) {
    listener.set_nonblocking(true).unwrap();
    let mut open = Vec::new();
    let mut buffer = [0; 512];
    while !stop.load(Ordering::Relaxed) {
        if let Ok((stream, _)) = listener.accept() {
            stream.set_read_timeout(Some(TURN)).unwrap();
            open.push(stream);
        }
        open.retain_mut(|stream| match stream.read(&mut buffer) {
            Ok(0) => false,
            Ok(_) if fault == Fault::Hangup => false,
            Ok(length) if fault == Fault::Garbage => stream.write_all(&buffer[..length]).is_ok(),
            Ok(_) => true,
            Err(_) => true,
        });
        if open.is_empty() {
            std::thread::sleep(TURN / 10);
        }
    }
}
