//! Connections that end while queries are under way.

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use super::*;
use crate::slow_path::testing::{query, wait_for};

/// An UPDATE for a zone.
fn update(id: u16) -> Vec<u8> {
    let mut message = query(id, "a.test", 6);
    message[2] = 5 << 3;
    message
}

#[test]
fn an_update_is_never_sent_twice() {
    let updates = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&updates);
    let world = World::new(&[backend(move |_, mut stream| {
        while let Some(query) = receive(&mut stream) {
            if query[2] == 5 << 3 && seen.fetch_add(1, SeqCst) == 1 {
                return;
            }
            send(&mut stream, &response(&query));
        }
    })]);
    let mut client = world.client();
    for (message, expected) in
        [(query(1, "a.test", 1), NOERROR), (update(2), NOERROR), (update(3), SERVFAIL), (update(4), NOERROR)]
    {
        send(&mut client, &message);
        let answer = receive(&mut client).unwrap();
        assert_eq!((id(&answer), rcode(&answer)), (id(&message), expected));
    }
    assert_eq!((updates.load(SeqCst), world.count(Reason::RetriedBroken)), (3, 0));
    world.wait("updates' connections are closed", |counters| counters.backend_connections == 1);
}

#[test]
fn an_update_does_not_depend_on_a_connection_that_has_been_idle() {
    let world = World::new(&[backend(|_, mut stream| {
        let query = receive(&mut stream).unwrap();
        send(&mut stream, &response(&query));
        // It takes no more, as if it were about to close the connection.
        receive(&mut stream);
    })]);
    let mut client = world.client();
    for message in [query(1, "a.test", 1), update(2), update(3)] {
        send(&mut client, &message);
        let answer = receive(&mut client).unwrap();
        assert_eq!((id(&answer), rcode(&answer)), (id(&message), NOERROR));
    }
}

#[test]
fn a_backend_that_closes_after_some_replies_answers_all_queries() {
    let world = World::new(&[backend(|_, mut stream| {
        for _ in 0..10 {
            let Some(query) = receive(&mut stream) else { return };
            send(&mut stream, &response(&query));
        }
        // What came meanwhile is read, so that the replies are not lost with it.
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        say_nothing(0, stream);
    })]);
    let mut client = world.client();
    let all: Vec<u8> = (0..200).flat_map(|number| frame(&query(number, "a.test", 1))).collect();
    client.write_all(&all).unwrap();
    (0..200).for_each(|_| assert_eq!(rcode(&receive(&mut client).unwrap()), NOERROR));
    assert!(world.count(Reason::RetriedBroken) > 100);
}

#[test]
fn queries_of_a_client_that_has_gone_are_forgotten() {
    let world = World::new(&[backend(|_, mut stream| {
        let queries: Vec<_> = (0..11).map(|_| receive(&mut stream).unwrap()).collect();
        queries.iter().for_each(|query| send(&mut stream, &response(query)));
        say_nothing(0, stream);
    })]);
    let mut client = world.client();
    (0..10).for_each(|number| send(&mut client, &query(number, "a.test", 1)));
    world.wait("all are under way", |counters| counters.queries_in_flight == 10);
    // With an answer not read, it is broken off: otherwise it could still read what comes.
    send(&mut client, &query(10, "x.no.test", 1));
    client.peek(&mut [0]).unwrap();
    drop(client);
    world.wait("nothing is left", |counters| counters.queries_in_flight == 0);
    let mut other = world.client();
    send(&mut other, &query(1, "a.test", 1));
    assert_eq!(rcode(&receive(&mut other).unwrap()), NOERROR);
    wait_for(&world.slow_path, Reason::ClientGone, 10);
    assert_eq!(world.count(Reason::ReplyUnknown), 0);
}
