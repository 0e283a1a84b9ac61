//! Policies that follow what backends do: who is slow gets less, who comes up gets its share little by little, a tier gets
//! its queries back when it has proven itself. No query is lost by any of it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

use dproxy_common::latency::{bucket, units};
use dproxy_lab::{Balancer, Topology, default_binary, skip_without_root};
use dproxy_tests::frames::wire_name;
use dproxy_tests::net::{Asked, Stream, configuration, wait_for, wait_until, wait_until_reachable};

/// Where the servers listen.
const SERVERS: [&str; 3] = ["10.53.1.10:5300", "10.53.2.10:5300", "10.53.3.10:5300"];
/// What a share is looked at for.
const LOOK: Duration = Duration::from_millis(300);
/// Much longer than anything here may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server that takes as long as it is told to, and counts.
#[derive(Default)]
struct Behaviour {
    milliseconds: AtomicU64,
    is_silent: AtomicBool,
    ends: AtomicBool,
    queries: AtomicU64,
    checks: AtomicU64,
}

struct Servers {
    behaviours: [Arc<Behaviour>; 3],
    threads: Vec<JoinHandle<()>>,
}

impl Servers {
    fn start(topology: &Topology) -> Self {
        let behaviours: [Arc<Behaviour>; 3] = Default::default();
        let thread = |((host, address), behaviour): ((&dproxy_lab::Host, &str), &Arc<Behaviour>)| {
            let address: SocketAddr = address.parse().unwrap();
            let socket = host.namespace.enter(|| UdpSocket::bind(address)).unwrap().unwrap();
            socket.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
            let behaviour = Arc::clone(behaviour);
            spawn(move || serve(&socket, &behaviour))
        };
        let threads = topology.backends.iter().zip(SERVERS).zip(&behaviours).map(thread).collect();
        Self { behaviours, threads }
    }

    fn takes(&self, server: usize, milliseconds: u64) {
        self.behaviours[server].milliseconds.store(milliseconds, Relaxed);
    }

    fn silence(&self, server: usize, is_silent: bool) {
        self.behaviours[server].is_silent.store(is_silent, Relaxed);
    }

    fn queries(&self) -> [u64; 3] {
        self.behaviours.each_ref().map(|behaviour| behaviour.queries.load(Relaxed))
    }

    fn checks(&self, server: usize) -> u64 {
        self.behaviours[server].checks.load(Relaxed)
    }

    /// Which part of the queries each gets, now.
    fn shares(&self) -> [f64; 3] {
        let before = self.queries();
        sleep(LOOK);
        let after = self.queries();
        let all: u64 = after.iter().sum::<u64>() - before.iter().sum::<u64>();
        std::array::from_fn(|server| (after[server] - before[server]) as f64 / all.max(1) as f64)
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        self.behaviours.iter().for_each(|behaviour| behaviour.ends.store(true, Relaxed));
        self.threads.drain(..).for_each(|thread| drop(thread.join()));
    }
}

fn serve(socket: &UdpSocket, behaviour: &Behaviour) {
    let mut buffer = [0; 1024];
    let mut waiting: Vec<(Instant, Vec<u8>, SocketAddr)> = Vec::new();
    while !behaviour.ends.load(Relaxed) {
        match socket.recv_from(&mut buffer) {
            // A check asks for the root.
            Ok((length, from)) if !behaviour.is_silent.load(Relaxed) => {
                let is_check = buffer[12] == 0;
                let counter = if is_check { &behaviour.checks } else { &behaviour.queries };
                counter.fetch_add(1, Relaxed);
                buffer[2] |= 0x80;
                let time = Duration::from_millis(behaviour.milliseconds.load(Relaxed));
                waiting.push((Instant::now() + time, buffer[..length].to_vec(), from));
            }
            Ok(_) => {}
            Err(error) if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()) => {}
            Err(error) => panic!("a server: {error}"),
        }
        let now = Instant::now();
        waiting.retain(|(due, reply, from)| {
            let is_due = *due <= now;
            if is_due {
                socket.send_to(reply, from).unwrap();
            }
            !is_due
        });
    }
}

struct World {
    servers: Servers,
    stream: Stream,
    balancer: Balancer,
    topology: Topology,
}

impl World {
    /// Three servers in a pool, and a stream of queries.
    fn new(name: &str, policy: &str, tiers: [u8; 3]) -> Self {
        let topology = Topology::builder(name).build().unwrap();
        let servers = Servers::start(&topology);
        let backends: Vec<String> = SERVERS
            .iter()
            .zip(tiers)
            .map(|(address, tier)| format!("{{ address = \"{address}\", tier = {tier} }}"))
            .collect();
        let pools = format!(
            "[pools.p]\n{policy}\nbackends = [{}]\n[pools.p.health]\ntransports = [\"udp\"]\n\
             interval = \"200ms\"\nbackoff = \"0s\"\nrise = 3\nquery = \". NS\"\n[routes]\n\".\" = \"p\"\n",
            backends.join(", ")
        );
        let config = configuration(&topology, "native", &pools).replace("enabled = false", "enabled = true");
        let balancer = Balancer::start(&topology, &default_binary().unwrap(), &config).unwrap();
        wait_until_reachable(&balancer);
        let names = (0..64).map(|number| wire_name(&format!("n{number}.test"))).collect();
        let stream = Stream::start(&topology.client.namespace, names);
        wait_until("queries to arrive", PATIENCE, || servers.queries().iter().sum::<u64>() > 300);
        Self { servers, stream, balancer, topology }
    }

    /// Ends it; tells what became of the queries, but for those sent during the given times.
    fn end(self, but: &[(Instant, Instant)]) -> Vec<Asked> {
        let Self { servers, stream, balancer, topology } = self;
        let asked = stream.stop();
        let is_excused = |sent: Instant| but.iter().any(|(from, to)| (*from..*to).contains(&sent));
        let lost = asked.iter().filter(|asked| asked.answer.is_none() && !is_excused(asked.sent)).count();
        assert_eq!(lost, 0, "of {} queries", asked.len());
        drop((balancer, servers, topology));
        asked
    }
}

#[test]
fn who_is_slow_gets_less_until_it_is_fast_again() {
    if skip_without_root() {
        return;
    }
    let world = World::new("e2e-latency", "policy = \"least-latency\"", [1; 3]);
    let servers = &world.servers;
    let even = wait_for("even shares", PATIENCE, || {
        let shares = servers.shares();
        shares.iter().all(|share| *share > 0.2).then_some(shares)
    });
    servers.takes(1, 20);
    let since = Instant::now();
    let less = |[a, b, c]: [f64; 3]| b < (a + c) / 2.0 / 3.0;
    let shares = wait_for("less than a third for who is slow", PATIENCE, || {
        let shares = servers.shares();
        less(shares).then_some(shares)
    });
    let time = since.elapsed();
    println!("  from {even:.2?} to {shares:.2?} in {time:.1?}");
    assert!(time < Duration::from_secs(2), "{time:?}");
    // As long as it is slow.
    for _ in 0..5 {
        assert!(less(servers.shares()));
    }
    let stats = world.balancer.cli(&["stats"]).unwrap();
    let p50: BTreeMap<&str, u64> = stats["backends"]
        .as_array()
        .unwrap()
        .iter()
        .map(|backend| {
            (backend["address"].as_str().unwrap(), backend["latency"]["p50_microseconds"].as_u64().unwrap())
        })
        .collect();
    println!("  medians since the start, in microseconds: {p50:?}");

    servers.takes(1, 0);
    let since = Instant::now();
    let shares = wait_for("an even share for who is fast again", PATIENCE, || {
        let [a, b, c] = servers.shares();
        (b > (a + c) / 2.0 * 0.8).then_some([a, b, c])
    });
    println!("  and to {shares:.2?} in {:.1?}", since.elapsed());
    let asked = world.end(&[]);
    println!("  {} queries, none lost", asked.len());
}

/// What `dproxy stats` says of each backend is what its clients see, to within a bucket of the histogram and what both
/// sides are late.
#[test]
fn latencies_are_those_that_clients_see() {
    if skip_without_root() {
        return;
    }
    const TAKES: [u64; 3] = [15, 40, 130];
    let world = World::new("e2e-quantiles", "policy = \"random\"", [1; 3]);
    let quantiles =
        |times: &[u64]| [50, 90, 99].map(|percent| times[(times.len() * percent / 100).min(times.len() - 1)]);
    for (server, takes) in TAKES.into_iter().enumerate() {
        world.servers.takes(server, takes);
    }
    // What took no time at all is over.
    let before = world.servers.queries();
    wait_until("slow answers", PATIENCE, || {
        world.servers.queries().iter().sum::<u64>() > before.iter().sum::<u64>() + 9000
    });
    let stats = world.balancer.cli(&["stats"]).unwrap();
    let asked = world.end(&[]);
    let mut times: Vec<u64> = asked
        .iter()
        .map(|asked| asked.answer.as_ref().unwrap().0.duration_since(asked.sent).as_micros() as u64)
        .collect();
    times.sort_unstable();
    for (server, takes) in TAKES.into_iter().enumerate() {
        // Whose answer it was tells how long it took: they are far apart.
        let seen: Vec<u64> =
            times.iter().copied().filter(|time| (takes * 1000..takes * 1600).contains(time)).collect();
        let backends = stats["backends"].as_array().unwrap();
        let backend = backends.iter().find(|backend| backend["address"] == SERVERS[server]).unwrap();
        let told = ["p50", "p90", "p99"]
            .map(|which| backend["latency"][format!("{which}_microseconds")].as_u64().unwrap());
        println!(
            "  {takes} ms: told {told:?}, seen {:?} by {}, timed {}",
            quantiles(&seen),
            seen.len(),
            backend["latency"]["timed"]
        );
        for (told, seen) in told.into_iter().zip(quantiles(&seen)) {
            let apart = told.abs_diff(seen) as f64 / seen as f64;
            let buckets = [told, seen].map(|micros| bucket(units(micros * 1000)));
            assert!(apart <= 0.1 || buckets[0].abs_diff(buckets[1]) <= 1, "{told} µs told, {seen} µs seen");
        }
    }
}

#[test]
fn turns_are_even() {
    if skip_without_root() {
        return;
    }
    let world = World::new("e2e-turns", "policy = \"round-robin\"", [1; 3]);
    let before = world.servers.queries();
    wait_until("3000 queries", PATIENCE, || {
        world.servers.queries().iter().sum::<u64>() - before.iter().sum::<u64>() > 3000
    });
    let servers = Arc::new(world.servers.behaviours.clone());
    world.end(&[]);
    let got = servers.each_ref().map(|behaviour| behaviour.queries.load(Relaxed));
    println!("  {got:?}");
    // Each processor goes round by itself.
    let (most, least) = (got.iter().max().unwrap(), got.iter().min().unwrap());
    assert!(most - least <= 2 * std::thread::available_parallelism().unwrap().get() as u64, "{got:?}");
}

#[test]
fn the_first_tier_comes_back_when_it_has_proven_itself() {
    if skip_without_root() {
        return;
    }
    let world = World::new("e2e-tiers", "policy = \"failover\"", [1, 2, 2]);
    let servers = &world.servers;
    let [first, rest @ ..] = servers.queries();
    assert!(first > 0 && rest == [0, 0], "{first} {rest:?}");
    servers.silence(0, true);
    let since = Instant::now();
    wait_until("the second tier", PATIENCE, || servers.queries()[1..].iter().sum::<u64>() > 100);
    let gone = since.elapsed();
    // What was sent to the silent one before it was given up.
    let excused = (since - Duration::from_millis(100), Instant::now());
    assert!(gone < Duration::from_millis(700), "{gone:?}");
    wait_until("a while", PATIENCE, || servers.shares()[0] == 0.0);
    let before = (servers.queries()[0], servers.checks(0));
    servers.silence(0, false);
    let back = Instant::now();
    wait_until("the first tier", PATIENCE, || servers.queries()[0] > before.0);
    let checks = servers.checks(0) - before.1;
    println!(
        "  the second tier after {gone:.1?}; the first one back after {:.1?} and {checks} checks",
        back.elapsed()
    );
    assert!(checks >= 3, "not before it has proven itself: {checks} checks");
    wait_until("nobody but the first tier", PATIENCE, || servers.shares()[1..] == [0.0, 0.0]);
    world.end(&[excused]);
}

#[test]
fn who_comes_up_begins_with_little() {
    if skip_without_root() {
        return;
    }
    let world = World::new("e2e-slowstart", "policy = \"random\"\nslow_start = \"4s\"", [1; 3]);
    let servers = &world.servers;
    servers.silence(2, true);
    let since = Instant::now();
    let status = |word: &str| {
        let listed = world.balancer.cli(&["backend", "list"]).unwrap();
        let backends = listed["backends"].as_array().unwrap();
        backends.iter().any(|backend| backend["address"] == SERVERS[2] && backend["health"]["state"] == word)
    };
    wait_until("it to be down", PATIENCE, || status("down"));
    let excused = (since - Duration::from_millis(100), Instant::now());
    servers.silence(2, false);
    let before = servers.queries()[2];
    wait_until("its first query", PATIENCE, || servers.queries()[2] > before);
    let up = Instant::now();
    let early = servers.shares();
    let whole = wait_for("its whole share", PATIENCE, || {
        let shares = servers.shares();
        (shares[2] > 0.28).then_some((shares, up.elapsed()))
    });
    println!("  at first {early:.2?}, and {:.2?} after {:.1?}", whole.0, whole.1);
    // A tenth of its share, and what it has grown by meanwhile.
    assert!(early[2] > 0.005 && early[2] < 0.15, "{early:?}");
    assert!(whole.1 > Duration::from_secs(2), "{whole:?}");
    world.end(&[excused]);
}
