//! Clients that do not do what they should.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::channel;

use super::*;
use crate::slow_path::testing::{query, wait_for};

#[test]
fn an_idle_client_is_closed_also_if_octets_trickle_in() {
    let limits = Limits { idle_timeout: Duration::from_millis(400), ..limits() };
    let world = World::with(&[CLOSED[0]], "", limits);
    let mut idle = world.client();
    let mut slow = world.client();
    let start = Instant::now();
    for octet in frame(&query(1, "long-enough-to-last-for-a-while.no.test", 1)).iter().cycle() {
        assert!(start.elapsed() < PATIENCE, "it is never closed");
        if slow.write_all(&[*octet]).is_err() {
            break;
        }
        thread::sleep(Duration::from_millis(50));
    }
    assert!(start.elapsed() > Duration::from_millis(400));
    assert_eq!(receive(&mut idle), None);
    wait_for(&world.slow_path, Reason::ConnectionIdle, 2);
}

#[test]
fn a_client_that_asks_now_and_then_is_not_idle() {
    let limits = Limits { idle_timeout: Duration::from_millis(400), ..limits() };
    let world = World::with(&[CLOSED[0]], "", limits);
    let mut client = world.client();
    for number in 0..10 {
        send(&mut client, &query(number, "x.no.test", 1));
        assert_eq!(rcode(&receive(&mut client).unwrap()), NXDOMAIN);
        thread::sleep(Duration::from_millis(100));
    }
}

/// Replies with 8,000 octets each.
fn reply_at_length(_number: usize, mut stream: TcpStream) {
    while let Some(query) = receive(&mut stream) {
        let mut reply = response(&query);
        reply.resize(8000, 0);
        send(&mut stream, &reply);
    }
}

#[test]
fn a_client_that_never_reads_is_closed_and_others_do_not_wait_for_it() {
    let world = World::with(
        &[backend(reply_at_length)],
        "",
        Limits { idle_timeout: Duration::from_secs(1), ..limits() },
    );
    let mut deaf = world.client();
    deaf.set_nonblocking(true).unwrap();
    let mut other = world.client();
    let queries: Vec<u8> = (0..100).flat_map(|number| frame(&query(number, "a.test", 1))).collect();
    let start = Instant::now();
    let mut slowest = Duration::ZERO;
    let mut asked = 0;
    while world.count(Reason::ConnectionStalled) == 0 {
        assert!(start.elapsed() < 3 * PATIENCE, "it is never closed");
        asked += deaf.write(&queries).unwrap_or(0);
        let asked_at = Instant::now();
        send(&mut other, &query(1, "a.test", 1));
        assert_eq!(receive(&mut other).unwrap().len(), 8000);
        slowest = slowest.max(asked_at.elapsed());
    }
    println!("{asked} octets of queries taken, slowest answer to the other client {slowest:?}");
    assert!(slowest < Duration::from_millis(500), "{slowest:?}");
    // It was read from only as long as its responses had room.
    let forwarded = world.count(Reason::TcpForwarded) * 8000;
    assert!(forwarded < 64 << 20, "{forwarded}");
}

#[test]
fn a_client_that_asks_for_much_at_once_and_reads_steadily_gets_it() {
    // All replies of the first batch come before the size of any is known.
    let world = World::new(&[backend(|_, mut stream| {
        stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let queries: Vec<_> = std::iter::from_fn(|| receive(&mut stream)).collect();
        for query in queries {
            let mut reply = response(&query);
            reply.resize(40_000, 0);
            send(&mut stream, &reply);
        }
        stream.set_read_timeout(None).unwrap();
        while let Some(query) = receive(&mut stream) {
            let mut reply = response(&query);
            reply.resize(40_000, 0);
            send(&mut stream, &reply);
        }
    })]);
    let mut client = world.client();
    let all: Vec<u8> = (0..500).flat_map(|number| frame(&query(number, "a.test", 1))).collect();
    client.write_all(&all).unwrap();
    wait("much waits", || world.count(Reason::TcpReplied) > 200);
    for number in 0..500 {
        assert_eq!(receive(&mut client).expect("it goes on").len(), 40_000, "{number}");
    }
}

#[test]
fn connections_are_limited_by_client() {
    let limits = Limits { tcp_connections_per_client: 3, ..limits() };
    let world = World::with(&[CLOSED[0]], "", limits);
    let mut clients: Vec<_> = (0..3).map(|_| world.client()).collect();
    wait_for(&world.slow_path, Reason::ConnectionAccepted, 3);
    assert_eq!(receive(&mut world.client()), None);
    wait_for(&world.slow_path, Reason::ConnectionClientLimit, 1);
    clients.pop();
    world.wait("it is noticed", |counters| counters.tcp_connections == 2);
    let mut client = world.client();
    send(&mut client, &query(1, "x.no.test", 1));
    assert_eq!(rcode(&receive(&mut client).unwrap()), NXDOMAIN);
}

#[test]
fn the_more_connections_the_shorter_they_may_be_idle() {
    let limits = Limits { tcp_connections: 20, idle_timeout: Duration::from_secs(3600), ..limits() };
    let world = World::with(&[CLOSED[0]], "", limits);
    let clients: Vec<_> = (0..20).map(|_| world.client()).collect();
    wait_for(&world.slow_path, Reason::ConnectionAccepted, 20);
    assert_eq!(receive(&mut world.client()), None);
    wait_for(&world.slow_path, Reason::ConnectionLimit, 1);
    world.wait("some are closed", |counters| counters.tcp_connections < 20);
    drop(clients);
}

#[test]
fn more_queries_in_flight_than_allowed_are_answered_servfail() {
    let limits = Limits { queries_in_flight: 10, ..Limits::for_tests() };
    let world = World::with(&[backend(say_nothing)], "", limits);
    let mut client = world.client();
    let all: Vec<u8> = (0..12).flat_map(|number| frame(&query(number, "a.test", 1))).collect();
    client.write_all(&all).unwrap();
    for number in 0..12 {
        let answer = receive(&mut client).unwrap();
        assert_eq!((id(&answer), rcode(&answer)), (number, SERVFAIL), "the oldest first");
    }
    assert_eq!((world.count(Reason::ServfailOverload), world.count(Reason::ServfailTimeout)), (2, 10));
}

#[test]
fn of_a_client_only_so_many_queries_are_in_flight() {
    let may_reply = Arc::new(AtomicBool::new(false));
    let gate = Arc::clone(&may_reply);
    let world = World::new(&[backend(move |_, stream| {
        let (hand_over, queries) = channel();
        let (gate, mut output, mut input) = (Arc::clone(&gate), stream.try_clone().unwrap(), stream);
        thread::spawn(move || {
            wait("it may reply", || gate.load(SeqCst));
            queries.iter().for_each(|query: Vec<u8>| send(&mut output, &response(&query)));
        });
        while let Some(query) = receive(&mut input) {
            hand_over.send(query).unwrap();
        }
    })]);
    let mut client = world.client();
    let all: Vec<u8> = (0..1000).flat_map(|number| frame(&query(number, "a.test", 1))).collect();
    client.write_all(&all).unwrap();
    let in_flight = standstill(|| world.slow_path.counters().queries_in_flight as usize);
    assert_eq!(in_flight, 256);
    may_reply.store(true, SeqCst);
    (0..1000).for_each(|_| assert_eq!(rcode(&receive(&mut client).unwrap()), NOERROR));
}

#[test]
fn a_client_that_reads_late_is_not_read_meanwhile_and_gets_all() {
    const QUERIES: usize = 40_000;
    let world = World::new(&[CLOSED[0]]);
    let mut client = world.client();
    let name = format!("{}.no.test", vec!["a".repeat(50); 4].join("."));
    let mut writer = client.try_clone().unwrap();
    writer.set_write_timeout(None).unwrap();
    let asked = frame(&query(7, &name, 1));
    thread::spawn(move || (0..QUERIES).for_each(|_| writer.write_all(&asked).unwrap_or_default()));
    let answered = standstill(|| world.count(Reason::AnsweredNxdomain) as usize);
    assert!(answered < QUERIES, "the kernel's buffers took all");
    (0..QUERIES).for_each(|_| assert_eq!(rcode(&receive(&mut client).unwrap()), NXDOMAIN));
}
