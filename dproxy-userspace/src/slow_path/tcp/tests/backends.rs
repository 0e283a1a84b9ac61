//! Backends that do not do what they should.

use std::io::Read;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::channel;

use super::*;
use crate::slow_path::testing::{query, wait_for};

const BOTH: &str = "policy = \"maglev\"\nhash = \"qname\"";

/// A name for which the pool's policy chooses the first of two backends, the second of which replies.
fn ask_until(world: &World, client: &mut TcpStream, condition: impl Fn() -> bool) -> usize {
    for number in 0..100 {
        send(client, &query(number, &format!("n{number}.a.test"), 1));
        let answer = receive(client).unwrap();
        assert_eq!((id(&answer), rcode(&answer)), (number, NOERROR), "{:?}", world.slow_path.counters());
        if condition() {
            return usize::from(number) + 1;
        }
    }
    panic!("none of 100 names went there");
}

#[test]
fn a_query_on_a_pooled_connection_that_the_backend_closes_is_sent_again() {
    let world = World::new(&[backend(|number, mut stream| {
        let query = receive(&mut stream).unwrap();
        send(&mut stream, &response(&query));
        if number == 0 {
            // It takes the second one, and closes.
            receive(&mut stream).unwrap();
        } else {
            reply_to_all(number, stream);
        }
    })]);
    let mut client = world.client();
    for number in 0..3 {
        send(&mut client, &query(number, "a.test", 1));
        let answer = receive(&mut client).unwrap();
        assert_eq!((id(&answer), rcode(&answer)), (number, NOERROR));
    }
    assert_eq!((world.count(Reason::RetriedBroken), world.count(Reason::TcpReplied)), (1, 3));
    wait_for(&world.slow_path, Reason::BackendConnected, 2);
}

#[test]
fn a_query_that_breaks_every_connection_is_answered_servfail() {
    let connections = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&connections);
    let world = World::new(&[backend(move |_, mut stream| {
        seen.fetch_add(1, SeqCst);
        receive(&mut stream);
    })]);
    let mut client = world.client();
    send(&mut client, &query(1, "a.test", 1));
    assert_eq!(rcode(&receive(&mut client).unwrap()), SERVFAIL);
    wait_for(&world.slow_path, Reason::ServfailBroken, 1);
    assert_eq!(connections.load(SeqCst), 1);
    assert_eq!(world.slow_path.counters().queries_in_flight, 0);
}

#[test]
fn where_nobody_listens_another_backend_is_asked() {
    let world = World::with(&[CLOSED[0], backend(reply_to_all)], BOTH, limits());
    let mut client = world.client();
    ask_until(&world, &mut client, || world.count(Reason::RetriedUnreachable) > 0);
    assert_eq!(world.count(Reason::BackendConnectFailed), world.count(Reason::RetriedUnreachable));
}

#[test]
fn where_nobody_listens_at_all_the_answer_is_servfail() {
    let world = World::with(&CLOSED, BOTH, limits());
    let mut client = world.client();
    send(&mut client, &query(1, "a.test", 1));
    let answer = receive(&mut client).unwrap();
    assert_eq!((id(&answer), rcode(&answer)), (1, SERVFAIL));
    assert_eq!((world.count(Reason::ServfailUnreachable), world.count(Reason::RetriedUnreachable)), (1, 1));
}

#[test]
fn instead_of_a_silent_backend_another_is_asked() {
    let world = World::with(&[backend(say_nothing), backend(reply_to_all)], BOTH, Limits::for_tests());
    let mut client = world.client();
    ask_until(&world, &mut client, || world.count(Reason::RetriedTimeout) > 0);
}

#[test]
fn if_all_are_silent_the_answer_is_servfail_in_time() {
    let world = World::with(&[backend(say_nothing), backend(say_nothing)], BOTH, Limits::for_tests());
    let mut client = world.client();
    let start = Instant::now();
    send(&mut client, &query(1, "a.test", 1));
    assert_eq!(rcode(&receive(&mut client).unwrap()), SERVFAIL);
    let took = start.elapsed();
    assert!((300..1500).contains(&took.as_millis()), "{took:?}");
    assert_eq!((world.count(Reason::ServfailTimeout), world.count(Reason::RetriedTimeout)), (1, 1));
    world.wait("silent connections are closed", |counters| counters.backend_connections == 0);
    assert!(start.elapsed() < Duration::from_secs(4), "as idle ones, only");
}

#[test]
fn a_late_reply_is_not_delivered() {
    let silent = backend(|_, mut stream| {
        let late = receive(&mut stream).unwrap();
        let other = receive(&mut stream).unwrap();
        send(&mut stream, &response(&late));
        send(&mut stream, &response(&other));
        say_nothing(0, stream);
    });
    let world = World::with(&[silent], "", Limits::for_tests());
    let mut client = world.client();
    send(&mut client, &query(1, "a.test", 1));
    // Sent while the first one waits, on the same connection, which is kept open by that.
    wait_for(&world.slow_path, Reason::BackendConnected, 1);
    world.wait("the first one is given up", |counters| {
        counters.reasons[Reason::ServfailTimeout as usize] == 1
    });
    assert_eq!(rcode(&receive(&mut client).unwrap()), SERVFAIL);
    send(&mut client, &query(2, "a.test", 1));
    assert_eq!(id(&receive(&mut client).unwrap()), 2);
}

#[test]
fn the_proxy_header_comes_first_on_a_connection_for_each_client() {
    let (seen, headers) = channel();
    let address = backend(move |number, mut stream| {
        let mut header = [0; 28];
        stream.read_exact(&mut header).unwrap();
        seen.send(header).unwrap();
        reply_to_all(number, stream);
    });
    let world = World::with(&[address], "proxy_protocol = true", limits());
    let mut clients = [world.client(), world.client()];
    for client in &mut clients {
        for number in 0..3 {
            send(client, &query(number, "a.test", 1));
            assert_eq!(id(&receive(client).unwrap()), number);
        }
        let header = headers.recv_timeout(PATIENCE).unwrap();
        assert_eq!(header[..16], *b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c");
        let ports = [&header[24..26], &header[26..]].map(|port| u16::from_be_bytes([port[0], port[1]]));
        assert_eq!(ports, [client.local_addr().unwrap().port(), world.listener.port()]);
    }
    assert_eq!(world.count(Reason::BackendConnected), 2);
    drop(clients);
    world.wait("they are closed with their clients'", |counters| counters.backend_connections == 0);
}
