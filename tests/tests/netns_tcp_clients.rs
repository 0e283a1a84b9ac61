//! Clients over TCP that are many, slow, or do not read: others do not notice.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{ErrorKind, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use dproxy_lab::{Balancer, Topology, default_binary, skip_without_root};
use dproxy_tests::frames::Question;
use dproxy_tests::net::{
    B1, Counters, Latency, Real, Software, TcpAsker, allocated, configuration, framed, listeners,
    raise_file_limit, tables, wait_until, wait_until_reachable,
};
use dproxy_userspace::slow_path::Reason;

const ZONE: &str = "four.test";
const PATIENCE: Duration = Duration::from_secs(20);

/// The small internet with NSD behind dproxy.
struct Stage {
    balancer: Balancer,
    _server: Real,
    topology: Topology,
}

impl Stage {
    fn new(name: &str, settings: &str) -> Self {
        let topology = Topology::builder(name).build().unwrap();
        let zone = format!("{ZONE}.");
        let server = Real::start(&topology, &topology.backends[0], Software::Nsd, &[&zone]);
        let tables = tables(&[("four", B1)], &[(".", "four")]);
        let config = configuration(&topology, "native", &format!("[slow_path]\n{settings}\n{tables}"));
        let balancer = Balancer::start(&topology, &default_binary().unwrap(), &config).unwrap();
        wait_until_reachable(&balancer);
        Self { balancer, _server: server, topology }
    }

    fn connect(&self) -> TcpAsker {
        TcpAsker::new(&self.topology.client.namespace, listeners()[0])
    }

    /// How a client with an address of its own is served.
    fn bystander(&self) -> Latency {
        let [v4, v6] = listeners().map(|listener| {
            Latency::measure(&self.topology.backends[1].namespace, listener, &query("www", 1))
        });
        if v4.p99 > v6.p99 { v4 } else { v6 }
    }

    fn open_connections(&self) -> u64 {
        self.balancer.cli(&["stats"]).unwrap()["slow_path"]["tcp_connections"].as_u64().unwrap()
    }

    fn count(&self, reason: Reason) -> u64 {
        Counters::read(&self.balancer).slow(reason)
    }
}

fn query(name: &str, qtype: u16) -> Vec<u8> {
    Question { qtype, ..Question::new(&format!("{name}.{ZONE}")) }.octets()
}

const IDLE: usize = 10_000;
/// What an idle connection may take of the daemon's memory.
const OCTETS_EACH: u64 = 4096;

#[test]
fn ten_thousand_idle_connections_disturb_nobody() {
    if skip_without_root() {
        return;
    }
    raise_file_limit(2 * IDLE as u64);
    let settings = "tcp_connections = 25000\ntcp_connections_per_client = 11000\nidle_timeout = \"2m\"";
    let stage = Stage::new("e2e-idle", settings);
    let before = stage.bystander();
    let memory = allocated(stage.balancer.pid());

    let start = Instant::now();
    // Each has asked once, so that there is something to keep for it.
    let mut idle: Vec<TcpAsker> = (0..IDLE).map(|_| stage.connect()).collect();
    let query = query("www", 1);
    for asker in &mut idle {
        asker.exchange(&query).unwrap();
    }
    assert!(stage.open_connections() >= IDLE as u64, "all are open");
    let grown = allocated(stage.balancer.pid()).saturating_sub(memory);
    let each = grown / IDLE as u64;
    println!("{IDLE} connections in {:?}: {grown} octets more, {each} for each", start.elapsed());

    let among = stage.bystander();
    println!("alone {before:?}, among {IDLE} {among:?}");
    among.assert_like(before);
    assert!(each < OCTETS_EACH, "{each} octets for each idle connection");
    // They still work.
    for asker in idle.iter_mut().step_by(1000) {
        asker.exchange(&query).unwrap();
    }
    drop(idle);
    wait_until("all connections to be closed", PATIENCE, || stage.open_connections() == 0);
}

/// How long others are measured while somebody is slow: at least.
const MEASURED: Duration = Duration::from_secs(3);
const SLOW: usize = 50;

#[test]
fn an_octet_a_second_delays_nobody() {
    if skip_without_root() {
        return;
    }
    let stage = Stage::new("e2e-octets", "idle_timeout = \"3s\"");
    let before = stage.bystander();
    let message = framed(&query("www", 1));
    let mut slow: Vec<TcpAsker> = (0..SLOW).map(|_| stage.connect()).collect();
    let start = Instant::now();
    let done = &AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(move || {
            for octet in message {
                slow.iter_mut().for_each(|asker| {
                    // Whoever is that slow is closed in the end.
                    let _ = asker.stream().write(&[octet]);
                });
                if done.load(Ordering::Relaxed) {
                    break;
                }
                sleep(Duration::from_secs(1));
            }
        });
        while start.elapsed() < MEASURED {
            stage.bystander().assert_like(before);
        }
        wait_until("those who never finish to be closed", PATIENCE, || {
            stage.count(Reason::ConnectionIdle) >= SLOW as u64
        });
        done.store(true, Ordering::Relaxed);
    });
}

/// Connections that ask for much and never read.
const DEAF: usize = 8;
/// What each of them asks for at most: 60 MB of answers.
const DEAF_QUERIES: usize = 20_000;
/// What all of them may take of the daemon's memory.
const DEAF_OCTETS: u64 = 32 << 20;

#[test]
fn who_never_reads_delays_nobody() {
    if skip_without_root() {
        return;
    }
    let stage = Stage::new("e2e-deaf", "idle_timeout = \"3s\"");
    let before = stage.bystander();
    let memory = allocated(stage.balancer.pid());
    let assert_bounded = || {
        let grown = allocated(stage.balancer.pid()).saturating_sub(memory);
        assert!(grown < DEAF_OCTETS, "{grown} octets more for {DEAF} clients");
    };
    let queries = framed(&query("large", 16)).repeat(DEAF_QUERIES);
    let mut deaf: Vec<TcpAsker> = (0..DEAF).map(|_| stage.connect()).collect();
    let start = Instant::now();
    thread::scope(|scope| {
        for asker in &mut deaf {
            let queries = &queries;
            scope.spawn(move || ask_on_and_on(asker, queries));
        }
        while start.elapsed() < MEASURED {
            let among = stage.bystander();
            println!("alone {before:?}, among {DEAF} {among:?}");
            among.assert_like(before);
            assert_bounded();
        }
    });
    wait_until("those who do not read to be closed", PATIENCE, || {
        assert_bounded();
        stage.count(Reason::ConnectionStalled) == DEAF as u64
    });
    assert_eq!(stage.open_connections(), 0);
    stage.bystander().assert_like(before);
}

/// Writes until the connection is closed, or all is written.
fn ask_on_and_on(asker: &mut TcpAsker, queries: &[u8]) {
    let stream = asker.stream();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    if let Err(error) = stream.write_all(queries) {
        let kinds = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe, ErrorKind::WouldBlock];
        assert!(kinds.contains(&error.kind()), "{error}");
    }
}
