//! Queries and their replies.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::Mutex;
use std::sync::mpsc::channel;

use super::*;
use crate::slow_path::testing::{query, wait_for};

#[test]
fn a_query_gets_another_id_on_the_way_and_its_own_back() {
    let (seen, queries) = channel();
    let world = World::new(&[backend(move |_, mut stream| {
        while let Some(query) = receive(&mut stream) {
            seen.send(query.clone()).unwrap();
            send(&mut stream, &response(&query));
        }
    })]);
    let mut client = world.client();
    let mut ids = BTreeSet::new();
    for _ in 0..50 {
        let message = query(0x1234, "wWw.a.test", 1);
        send(&mut client, &message);
        let forwarded = queries.recv_timeout(PATIENCE).unwrap();
        assert_eq!(forwarded[2..], message[2..]);
        ids.insert(id(&forwarded));
        assert_eq!(receive(&mut client).unwrap(), response(&message));
    }
    assert!(ids.len() > 45, "IDs are drawn at random: {ids:?}");
    let counters = wait_for(&world.slow_path, Reason::TcpReplied, 50);
    assert_eq!(counters.reasons[Reason::TcpForwarded as usize], 50);
    assert_eq!((counters.listeners[0].queries, counters.listeners[0].responses), (50, 50));
    let backend = counters.backends[0];
    assert_eq!((backend.queries, backend.replies, backend.noerror), (50, 50, 50));
    assert_eq!((counters.pools[0], counters.queries_in_flight), (50, 0));
    assert_eq!((counters.tcp_connections, counters.backend_connections), (1, 1));
}

#[test]
fn a_thousand_pipelined_queries_are_answered_in_whatever_order_replies_come() {
    let world = World::new(&[backend(|_, mut stream| {
        stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let mut waiting = Vec::new();
        loop {
            // A pause in the middle of a message does not occur: what is sent at once comes at once.
            match receive(&mut stream) {
                Some(query) => waiting.push(query),
                None if waiting.is_empty() => {
                    if matches!(stream.peek(&mut [0]), Ok(0)) {
                        return;
                    }
                }
                None => waiting.drain(..).rev().for_each(|query| send(&mut stream, &response(&query))),
            }
        }
    })]);
    let mut client = world.client();
    let queries: Vec<_> = (0..1000).map(|number| query(number, &format!("n{number}.a.test"), 1)).collect();
    let all: Vec<u8> = queries.iter().flat_map(|query| frame(query)).collect();
    client.write_all(&all).unwrap();
    let answers: Vec<_> = (0..1000).map(|_| receive(&mut client).unwrap()).collect();
    let order: Vec<u16> = answers.iter().map(|answer| id(answer)).collect();
    assert!(!order.is_sorted());
    assert_eq!(order.iter().collect::<BTreeSet<_>>().len(), 1000);
    for answer in answers {
        assert_eq!(answer, response(&queries[usize::from(id(&answer))]));
    }
    let counters = world.slow_path.counters();
    assert!(counters.backend_connections <= 4, "{}", counters.backend_connections);
}

#[test]
fn two_clients_with_one_id_and_one_backend_connection_get_their_own() {
    let world = World::new(&[backend(|_, mut stream| {
        let (first, second) = (receive(&mut stream).unwrap(), receive(&mut stream).unwrap());
        assert_ne!(id(&first), id(&second));
        send(&mut stream, &response(&second));
        send(&mut stream, &response(&first));
        say_nothing(0, stream);
    })]);
    let mut clients = [world.client(), world.client()];
    let queries = ["one.a.test", "two.a.test"].map(|name| query(7, name, 1));
    for (client, query) in clients.iter_mut().zip(&queries) {
        send(client, query);
    }
    for (client, query) in clients.iter_mut().zip(&queries) {
        assert_eq!(receive(client).unwrap(), response(query));
    }
}

#[test]
fn what_is_no_reply_to_the_query_is_not_delivered() {
    let world = World::new(&[backend(|_, mut stream| {
        let query = receive(&mut stream).unwrap();
        let good = response(&query);
        let mut wrong_id = good.clone();
        wrong_id[1] ^= 1;
        let mut wrong_name = good.clone();
        wrong_name[13] = b'b';
        let mut wrong_opcode = good.clone();
        wrong_opcode[2] |= 0x28;
        for reply in
            [&wrong_id, &wrong_name, &wrong_opcode, &query, &vec![], &good[..11].to_vec(), &good, &good]
        {
            send(&mut stream, reply);
        }
        say_nothing(0, stream);
    })]);
    let mut client = world.client();
    let message = query(1, "a.test", 1);
    send(&mut client, &message);
    assert_eq!(receive(&mut client).unwrap(), response(&message));
    // The one with the wrong ID, and the second good one.
    wait_for(&world.slow_path, Reason::ReplyUnknown, 2);
    wait_for(&world.slow_path, Reason::ReplyWrongQuestion, 1);
    wait_for(&world.slow_path, Reason::ReplyNotDns, 4);
    assert_eq!(world.count(Reason::TcpReplied), 1);
}

#[test]
fn answers_are_made_here() {
    let world = World::new(&[CLOSED[0]]);
    let mut client = world.client();
    send(&mut client, &query(6, "drop.test", 1));
    send(&mut client, &query(7, "x.no.test", 1));
    let answer = receive(&mut client).unwrap();
    assert_eq!((id(&answer), rcode(&answer)), (7, NXDOMAIN));
    send(&mut client, &query(8, "else.test", 1));
    assert_eq!(rcode(&receive(&mut client).unwrap()), 5);
    assert_eq!((world.count(Reason::RouteDrop), world.count(Reason::AnsweredNxdomain)), (1, 1));
}

#[test]
fn what_is_not_dns_closes_the_connection() {
    let world = World::new(&[CLOSED[0]]);
    let message = query(1, "a.test", 1);
    let mut bad_name = message.clone();
    bad_name[12] = 0x80;
    for (number, bad) in
        [&b"GET / HTTP/1.1"[..2], &[], &message[..11], &response(&message), &bad_name].iter().enumerate()
    {
        let mut client = world.client();
        send(&mut client, bad);
        assert_eq!(receive(&mut client), None, "{bad:?}");
        wait_for(&world.slow_path, Reason::ConnectionNotDns, number as u64 + 1);
    }
}

#[test]
fn what_is_not_dns_does_not_take_the_answers_before_it() {
    let (may_reply, gate) = channel();
    let gate = Mutex::new(gate);
    let world = World::new(&[backend(move |_, mut stream| {
        let query = receive(&mut stream).unwrap();
        gate.lock().unwrap().recv_timeout(PATIENCE).unwrap();
        send(&mut stream, &response(&query));
        say_nothing(0, stream);
    })]);
    let mut client = world.client();
    let (good, bad) = (frame(&query(1, "a.test", 1)), frame(&[0; 5]));
    let local = frame(&query(2, "x.no.test", 1));
    client.write_all(&[&good[..], &local, &bad, &local].concat()).unwrap();
    assert_eq!(rcode(&receive(&mut client).unwrap()), NXDOMAIN);
    assert_eq!(world.count(Reason::ConnectionNotDns), 0);
    client.write_all(&local).unwrap();
    may_reply.send(()).unwrap();
    let answer = receive(&mut client).unwrap();
    assert_eq!((id(&answer), rcode(&answer)), (1, NOERROR));
    assert_eq!(receive(&mut client), None);
    wait_for(&world.slow_path, Reason::ConnectionNotDns, 1);
    assert_eq!(world.count(Reason::AnsweredNxdomain), 1, "what comes after it is not taken");
}

#[test]
fn queries_and_replies_may_come_octet_by_octet() {
    let world = World::new(&[backend(|_, mut stream| {
        stream.set_nodelay(true).unwrap();
        while let Some(query) = receive(&mut stream) {
            frame(&response(&query)).iter().for_each(|octet| stream.write_all(&[*octet]).unwrap());
        }
    })]);
    let mut client = world.client();
    let queries = [query(1, "one.a.test", 1), query(2, "two.a.test", 1), query(3, "x.no.test", 1)];
    for octet in queries.iter().flat_map(|query| frame(query)) {
        client.write_all(&[octet]).unwrap();
    }
    let mut answers: Vec<_> = (0..3).map(|_| receive(&mut client).unwrap()).collect();
    answers.sort();
    assert_eq!(answers[..2], [response(&queries[0]), response(&queries[1])]);
    assert_eq!(rcode(&answers[2]), NXDOMAIN);
}

#[test]
fn large_messages_pass_both_ways() {
    let large = |message: &[u8]| {
        let mut message = message.to_vec();
        message.resize(65_535, 7);
        message
    };
    let world = World::new(&[backend(reply_to_all)]);
    let mut client = world.client();
    let message = large(&query(5, "a.test", 1));
    for _ in 0..20 {
        send(&mut client, &message);
        assert_eq!(receive(&mut client).unwrap(), response(&message));
    }
}

#[test]
fn a_client_that_has_no_more_to_ask_still_gets_its_answers() {
    let (has_ended, ended) = channel();
    let ended = Mutex::new(ended);
    let world = World::new(&[backend(move |_, mut stream| {
        let query = receive(&mut stream).unwrap();
        ended.lock().unwrap().recv_timeout(PATIENCE).unwrap();
        send(&mut stream, &response(&query));
    })]);
    let mut client = world.client();
    let all: Vec<u8> = (0..700).flat_map(|number| frame(&query(number, "x.no.test", 1))).collect();
    client.write_all(&all).unwrap();
    send(&mut client, &query(900, "x.a.test", 1));
    client.shutdown(Shutdown::Write).unwrap();
    has_ended.send(()).unwrap();
    let mut answers = 0;
    while let Some(answer) = receive(&mut client) {
        assert_eq!(rcode(&answer), if id(&answer) == 900 { NOERROR } else { NXDOMAIN });
        answers += 1;
    }
    assert_eq!(answers, 701);
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
    world.wait("the connection is closed", |counters| counters.tcp_connections == 0);
}
