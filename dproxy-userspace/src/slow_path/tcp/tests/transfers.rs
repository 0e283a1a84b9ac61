//! Zone transfers.

use std::io::{Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use super::*;
use crate::slow_path::testing::{query, wait_for};

/// The records of a message.
type Records = Vec<Vec<u8>>;

const A: u16 = 1;
const SOA: u16 = 6;
const IXFR: u16 = 251;
const AXFR: u16 = 252;

/// A record of the zone, named by a pointer to the question.
fn record(rr_type: u16, rdata: &[u8]) -> Vec<u8> {
    let mut record = vec![0xc0, 12];
    record.extend_from_slice(&rr_type.to_be_bytes());
    record.extend_from_slice(&[0, 1, 0, 0, 14, 16]);
    record.extend_from_slice(&(rdata.len() as u16).to_be_bytes());
    record.extend_from_slice(rdata);
    record
}

fn soa(serial: u32) -> Vec<u8> {
    let mut rdata = vec![0xc0, 12, 1, b'h', 0xc0, 12];
    rdata.extend_from_slice(&serial.to_be_bytes());
    rdata.extend_from_slice(&[0; 16]);
    record(SOA, &rdata)
}

/// A message with these records.
fn message(query: &[u8], records: &Records) -> Vec<u8> {
    let name_end = query[12..].iter().position(|octet| *octet == 0).unwrap();
    let mut message = response(&query[..12 + name_end + 5]);
    message[8..10].fill(0);
    message[6..8].copy_from_slice(&(records.len() as u16).to_be_bytes());
    message.extend(records.iter().flatten());
    message
}

/// A transfer in `count` messages of 20,000 octets.
fn zone(query: &[u8], count: usize) -> impl Iterator<Item = Vec<u8>> {
    (0..count).map(move |number| {
        let filling = record(A, &(number as u32).to_be_bytes()).repeat(1250);
        let (begin, end) =
            (if number == 0 { soa(1) } else { vec![] }, if number + 1 == count { soa(1) } else { vec![] });
        let mut message = message(query, &vec![begin.clone(), filling, end.clone()]);
        let records = 1250 + !begin.is_empty() as u16 + !end.is_empty() as u16;
        message[6..8].copy_from_slice(&records.to_be_bytes());
        message
    })
}

#[test]
fn a_large_zone_passes_whole_to_a_slow_client_and_waits_outside() {
    const MESSAGES: usize = 2500;
    let sent = Arc::new(AtomicUsize::new(0));
    let progress = Arc::clone(&sent);
    let world = World::new(&[backend(move |_, mut stream| {
        while let Some(query) = receive(&mut stream) {
            if query[query.len() - 3] as u16 != AXFR {
                send(&mut stream, &response(&query));
                continue;
            }
            for message in zone(&query, MESSAGES) {
                stream.write_all(&frame(&message)).unwrap();
                progress.fetch_add(message.len(), SeqCst);
            }
        }
    })]);
    let mut client = world.client();
    let asked = query(7, "a.test", AXFR);
    send(&mut client, &asked);
    let ahead = standstill(|| sent.load(SeqCst));
    println!("{ahead} octets were sent before any was read");
    assert!(ahead < 32 << 20, "{ahead}");
    // Meanwhile, other queries are answered.
    send(&mut client, &query(8, "x.no.test", A));
    send(&mut client, &query(9, "x.a.test", A));
    let mut expected = zone(&asked, MESSAGES);
    let mut others = 0;
    let mut messages = 0;
    while others < 2 || messages < MESSAGES {
        let message = receive(&mut client).expect("all of it comes");
        if id(&message) == 7 {
            assert_eq!(Some(&message), expected.next().as_ref());
            messages += 1;
        } else {
            others += 1;
        }
    }
    assert!(expected.next().is_none());
    // It is over, and so is its connection.
    world.wait("one connection is left", |counters| counters.backend_connections == 1);
    send(&mut client, &query(10, "x.no.test", A));
    assert_eq!(id(&receive(&mut client).unwrap()), 10);
    let messages = world.count(Reason::TransferReplied);
    assert_eq!((world.count(Reason::TransferForwarded), messages), (1, 2500));
    assert_eq!(world.count(Reason::TcpReplied), 1, "to the other query");
}

#[test]
fn a_client_that_reads_slowly_is_not_taken_for_one_that_does_not() {
    const PAUSE: Duration = Duration::from_millis(50);
    let world = World::with(
        &[backend(|_, mut stream| {
            let query = receive(&mut stream).unwrap();
            zone(&query, 2500).for_each(|message| send(&mut stream, &message));
        })],
        "",
        Limits { idle_timeout: 6 * PAUSE, ..limits() },
    );
    let mut client = world.client();
    send(&mut client, &query(7, "a.test", AXFR));
    // Far less than the kernel keeps for it: for long, nothing can be sent.
    for _ in 0..50 {
        client.read_exact(&mut [0; 70_000]).expect("it goes on");
        thread::sleep(PAUSE);
    }
    assert_eq!(world.count(Reason::ConnectionStalled), 0);
    // Now it has stopped to read.
    wait_for(&world.slow_path, Reason::ConnectionStalled, 1);
}

#[test]
fn a_transfer_that_breaks_off_closes_the_clients_connection() {
    let world = World::new(&[backend(|_, mut stream| {
        let query = receive(&mut stream).unwrap();
        zone(&query, 10).take(9).for_each(|message| send(&mut stream, &message));
    })]);
    let mut client = world.client();
    send(&mut client, &query(7, "a.test", AXFR));
    let messages = std::iter::from_fn(|| receive(&mut client)).count();
    assert!(messages <= 9, "{messages}");
    wait_for(&world.slow_path, Reason::TransferBroken, 1);
}

#[test]
fn a_transfer_that_cannot_begin_is_asked_of_another_backend_or_fails() {
    let address = backend(|_, mut stream| {
        let query = receive(&mut stream).unwrap();
        zone(&query, 3).for_each(|message| send(&mut stream, &message));
    });
    for (backends, expected) in [([CLOSED[0], address], NOERROR), ([CLOSED[0], backend(|_, _| {})], SERVFAIL)]
    {
        let world = World::with(&backends, "policy = \"maglev\"\nhash = \"qname\"", limits());
        let mut client = world.client();
        for number in 0..50 {
            send(&mut client, &query(number, &format!("n{number}.a.test"), AXFR));
            let messages = if expected == NOERROR { 3 } else { 1 };
            for _ in 0..messages {
                let answer = receive(&mut client).unwrap();
                assert_eq!((id(&answer), rcode(&answer)), (number, expected));
            }
        }
        assert!(world.count(Reason::RetriedUnreachable) > 5);
    }
}

/// The messages that come for a query, and the counters after a query that follows.
fn transfer(asked: &[u8], messages: Vec<Records>) -> (usize, bool) {
    let count = messages.len();
    let world = World::new(&[backend(move |_, mut stream| {
        let query = receive(&mut stream).unwrap();
        messages.iter().for_each(|records| send(&mut stream, &message(&query, records)));
        say_nothing(0, stream);
    })]);
    let mut client = world.client();
    send(&mut client, asked);
    let came = (0..count).map_while(|_| receive(&mut client)).count();
    let start = Instant::now();
    while world.slow_path.counters().backend_connections > 0 && start.elapsed() < Duration::from_millis(300) {
        thread::yield_now();
    }
    (came, world.slow_path.counters().backend_connections == 0)
}

#[test]
fn the_end_of_a_transfer_is_seen() {
    let a = || record(A, &[192, 0, 2, 1]);
    let axfr = query(1, "a.test", AXFR);
    let mut ixfr = query(1, "a.test", IXFR);
    ixfr[9] = 1;
    ixfr.extend(soa(5));
    let cases: [(&str, &[u8], Vec<Records>, bool); 10] = [
        ("one message", &axfr, vec![vec![soa(9), a(), soa(9)]], true),
        ("a record a message", &axfr, vec![vec![soa(9)], vec![a()], vec![soa(9)]], true),
        ("not the end", &axfr, vec![vec![soa(9), a()], vec![a()]], false),
        ("another SOA below", &axfr, vec![vec![soa(9), a(), soa(3)], vec![a(), soa(9)]], true),
        ("only the SOA", &axfr, vec![vec![soa(9)]], false),
        ("nothing newer", &ixfr, vec![vec![soa(5)]], true),
        ("a record a message, incremental", &ixfr, vec![vec![soa(9)], vec![soa(5)]], false),
        ("whole instead of incremental", &ixfr, vec![vec![soa(9), a()], vec![a(), soa(9)]], true),
        (
            "two steps",
            &ixfr,
            vec![vec![soa(9), soa(5), a(), soa(7)], vec![a(), soa(7), soa(9)], vec![a(), a(), soa(9)]],
            true,
        ),
        ("the last step", &ixfr, vec![vec![soa(9), soa(5), a(), soa(9), a()]], false),
    ];
    for (name, asked, messages, is_over) in cases {
        let count = messages.len();
        assert_eq!(transfer(asked, messages), (count, is_over), "{name}");
    }
}

#[test]
fn a_transfer_ends_with_its_client() {
    let world = World::new(&[backend(|_, mut stream| {
        let query = receive(&mut stream).unwrap();
        zone(&query, 2500).for_each(|message| send(&mut stream, &message));
    })]);
    let mut client = world.client();
    send(&mut client, &query(7, "a.test", AXFR));
    client.read_exact(&mut [0; 1000]).unwrap();
    drop(client);
    world.wait("all is closed", |counters| counters.tcp_connections + counters.backend_connections == 0);
}

#[test]
fn the_only_backend_may_take_its_time_to_begin_a_transfer() {
    let world = World::with(
        &[backend(|_, mut stream| {
            let query = receive(&mut stream).unwrap();
            thread::sleep(2 * Limits::for_tests().timeout);
            zone(&query, 2).for_each(|message| send(&mut stream, &message));
        })],
        "",
        Limits { idle_timeout: PATIENCE, ..Limits::for_tests() },
    );
    let mut client = world.client();
    send(&mut client, &query(7, "a.test", AXFR));
    (0..2).for_each(|_| assert_eq!(rcode(&receive(&mut client).unwrap()), NOERROR));
}

#[test]
fn a_silent_backend_is_left_for_another_that_may_take_its_time() {
    let slow = backend(|_, mut stream| {
        let query = receive(&mut stream).unwrap();
        thread::sleep(2 * Limits::for_tests().timeout);
        zone(&query, 1).for_each(|message| send(&mut stream, &message));
    });
    let limits = Limits { idle_timeout: PATIENCE, ..Limits::for_tests() };
    let world = World::with(&[backend(say_nothing), slow], "policy = \"maglev\"\nhash = \"qname\"", limits);
    let mut client = world.client();
    for number in 0..10 {
        send(&mut client, &query(number, &format!("n{number}.a.test"), AXFR));
        // If the silent one is asked last, another name may go the other way.
        wait("the other one is asked", || world.count(Reason::RetriedTimeout) > u64::from(number));
        client.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        if receive(&mut client).is_some_and(|answer| rcode(&answer) == NOERROR) {
            return;
        }
        client = world.client();
    }
    panic!("none of 10 names went to the silent one first");
}

#[test]
fn one_client_cannot_take_all_transfers() {
    let world = World::new(&[backend(say_nothing)]);
    let mut greedy = [world.client(), world.client()];
    for client in &mut greedy {
        (0..20).for_each(|number| send(client, &query(number, "a.test", AXFR)));
    }
    // No more are read of a connection that has as many as one client may have.
    let count = || world.count(Reason::TransferForwarded) as usize;
    assert_eq!(standstill(count), 8);
    wait_for(&world.slow_path, Reason::ServfailOverload, 20);
    let from = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2)), 0);
    let mut other = world.client_from(from);
    send(&mut other, &query(1, "a.test", AXFR));
    wait("another client's begins", || count() == 9);
}
