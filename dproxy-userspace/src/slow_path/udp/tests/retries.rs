//! Backends that are silent, slow or not there.

use std::net::UdpSocket;

use super::{World, receive, socket};
use crate::slow_path::testing::{PATIENCE, free_address, query, response, wait_for};
use crate::slow_path::{Limits, Reason};

#[test]
fn a_silent_backend_is_replaced_by_another() {
    let world = World::new(2, &[], "");
    let message = query(1, "a.test", 1);
    world.ask(&message);
    let first = usize::from(!is_ready(&world.backends[0]));
    let (late, late_from) = receive(&world.backends[first]);
    let (again, from) = receive(&world.backends[1 - first]);
    assert_eq!(again[2..], late[2..]);
    world.backends[1 - first].send_to(&response(&again), from).unwrap();
    assert_eq!(world.answer(), response(&message));
    // The first one is too late now.
    world.backends[first].send_to(&response(&late), late_from).unwrap();
    wait_for(&world.slow_path, Reason::ReplyUnknown, 1);
    assert_eq!(world.count(Reason::RetriedTimeout), 1);
    let counters = wait_for(&world.slow_path, Reason::UdpReplied, 1);
    assert_eq!(counters.backends.iter().map(|backend| backend.replies).sum::<u64>(), 1);
}

#[test]
fn a_slow_backend_may_still_be_the_first_to_reply() {
    let world = World::new(2, &[], "");
    let message = query(1, "a.test", 1);
    world.ask(&message);
    let first = usize::from(!is_ready(&world.backends[0]));
    let (slow, slow_from) = receive(&world.backends[first]);
    let (again, from) = receive(&world.backends[1 - first]);
    world.backends[first].send_to(&response(&slow), slow_from).unwrap();
    assert_eq!(world.answer(), response(&message));
    world.backends[1 - first].send_to(&response(&again), from).unwrap();
    let counters = wait_for(&world.slow_path, Reason::ReplyUnknown, 1);
    let asked: Vec<_> = counters.backends.iter().map(|backend| (backend.queries, backend.replies)).collect();
    // The one that replied is counted, not the one asked last.
    assert_eq!(asked[..2].iter().filter(|asked| **asked == (1, 1)).count(), 1, "{asked:?}");
    let replied = world.slow_path.counters().backends[first].replies;
    assert_eq!(replied, 1, "ids are in the order of the configuration");
}

#[test]
fn one_that_is_alone_is_asked_twice() {
    let world = World::new(1, &[], "");
    let message = query(1, "a.test", 1);
    world.ask(&message);
    let (lost, _) = receive(&world.backends[0]);
    let (again, from) = receive(&world.backends[0]);
    assert_eq!(again[2..], lost[2..]);
    world.backends[0].send_to(&response(&again), from).unwrap();
    assert_eq!(world.answer(), response(&message));
}

#[test]
fn an_update_is_sent_once() {
    let world = World::new(2, &[], "");
    let mut update = query(1, "a.test", 6);
    update[2] = 5 << 3;
    world.ask(&update);
    assert_eq!(world.answer()[3] & 0x0f, 2);
    assert_eq!((world.count(Reason::RetriedTimeout), world.count(Reason::ServfailTimeout)), (0, 1));
}

#[test]
fn an_update_may_be_answered_without_its_zone() {
    let world = World::new(1, &[], "");
    let mut update = query(1, "a.test", 6);
    update[2] = 5 << 3;
    world.ask(&update);
    let (forwarded, from) = receive(&world.backends[0]);
    let mut reply = response(&forwarded)[..12].to_vec();
    reply[5] = 0;
    world.backends[0].send_to(&reply, from).unwrap();
    assert_eq!(world.answer()[2..], reply[2..]);
}

#[test]
fn a_silent_pool_does_not_use_up_the_room_of_others() {
    let silent = socket();
    let text = format!("[pools.silent]\nbackends = [\"{}\"]\n", silent.local_addr().unwrap());
    // Nothing is to time out meanwhile.
    let limits = Limits { timeout: 12 * PATIENCE, ..Limits::for_tests() };
    let limit = limits.queries_in_flight;
    let world = World::with(1, &[], "", &text, "\"silent.test\" = \"silent\"\n", limits);
    for number in 0..limit + 50 {
        world.ask(&query(number as u16, &format!("n{number}.silent.test"), 1));
        if number % 100 == 0 {
            wait_for(&world.slow_path, Reason::UdpForwarded, number as u64 + 1);
        }
    }
    wait_for(&world.slow_path, Reason::UdpForwarded, limit as u64 + 50);
    wait_for(&world.slow_path, Reason::ServfailOverload, 50);
    world.client.set_nonblocking(true).unwrap();
    while world.client.recv(&mut [0; 512]).is_ok() {}
    world.client.set_nonblocking(false).unwrap();
    let message = query(0xffff, "www.a.test", 1);
    world.ask(&message);
    let (forwarded, from) = receive(&world.backends[0]);
    world.backends[0].send_to(&response(&forwarded), from).unwrap();
    while world.answer() != response(&message) {}
}

/// Waits until one of two backends was asked: is it this one?
fn is_ready(backend: &UdpSocket) -> bool {
    backend.set_read_timeout(Some(Limits::for_tests().timeout / 6)).unwrap();
    let is_ready = backend.peek(&mut [0; 1]).is_ok();
    backend.set_read_timeout(Some(PATIENCE)).unwrap();
    is_ready
}

#[test]
fn silence_of_all_is_a_servfail() {
    let world = World::new(2, &[], "");
    world.ask(&query(0x0a0b, "a.test", 1));
    let answer = world.answer();
    assert_eq!((&answer[..2], answer[3] & 0x0f), (&[0x0a, 0x0b][..], 2));
    let counters = wait_for(&world.slow_path, Reason::ServfailTimeout, 1);
    assert_eq!(counters.reasons[Reason::RetriedTimeout as usize], 1);
    assert_eq!(counters.queries_in_flight, 0);
}

#[test]
fn a_closed_port_is_found_out_at_once() {
    let world = World::new(0, &[free_address()], "");
    let start = std::time::Instant::now();
    world.ask(&query(1, "a.test", 1));
    assert_eq!(world.answer()[3] & 0x0f, 2);
    assert!(start.elapsed() < Limits::for_tests().timeout / 3, "ICMP tells at once");
    wait_for(&world.slow_path, Reason::ServfailBroken, 1);
}

#[test]
fn behind_a_closed_port_another_backend_answers() {
    let world = World::new(1, &[free_address()], "policy = \"random\"");
    world.backends[0].set_read_timeout(Some(PATIENCE)).unwrap();
    for number in 0..20 {
        world.ask(&query(number, "a.test", 1));
        let (forwarded, from) = receive(&world.backends[0]);
        world.backends[0].send_to(&response(&forwarded), from).unwrap();
        assert_eq!(world.answer()[3] & 0x0f, 0);
    }
    assert!(world.count(Reason::RetriedUnreachable) > 0);
}
