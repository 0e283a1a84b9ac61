//! What becomes of replies, on the host build and in the kernel.

use std::collections::BTreeMap;
use std::time::Instant;

use dproxy_common::latency;
use dproxy_common::reason::Reason;
use dproxy_tests::{
    cases::{BACKEND_V4, CONFIG, at, forwarded, query_v4, query_v6},
    frames::{Checksum, Frame, Question, opt},
    kernel::{InKernel, in_namespace},
    machine::{Host, Machine, Outcome},
    oracle::checksums_are_right,
    world::World,
};
use dproxy_userspace::datapath::{CounterId, Datapath as _};

const CLIENT_INTERFACE: u32 = 1;
const BACKEND_INTERFACE: u32 = 2;

#[test]
fn host() {
    let world = World::new(CONFIG, [CLIENT_INTERFACE, BACKEND_INTERFACE]);
    run(&mut Host::new(&world), [CLIENT_INTERFACE, BACKEND_INTERFACE]);
}

#[test]
fn kernel() {
    in_namespace("replies::kernel", |interfaces| {
        let world = World::new(CONFIG, interfaces);
        run(&mut InKernel::new(&world), interfaces);
    });
}

#[test]
fn host_drops_a_late_reply() {
    let world = World::new(CONFIG, [CLIENT_INTERFACE, BACKEND_INTERFACE]);
    let mut host = Host::new(&world);
    let (_, reply) = exchange(&mut host, &query_v4(&Question::new("www.example.com")), CLIENT_INTERFACE);
    host.state().ticks += dproxy_common::reply::LATE + 1;
    assert_eq!(host.receive(&reply.octets(), BACKEND_INTERFACE).reason, Reason::ReplyLate);
    assert!(host.state().latencies.is_empty());
}

#[test]
fn host_counts_slots_taken_from_queries_that_still_wait() {
    let world = World::new(CONFIG, [CLIENT_INTERFACE, BACKEND_INTERFACE]);
    let mut host = Host::new(&world);
    let query = query_v4(&Question::new("www.example.com")).octets();
    let slots = 1u64 << world.capacity.slot_bits;
    for _ in 0..slots + 3 {
        host.receive(&query, CLIENT_INTERFACE);
    }
    assert_eq!(host.state().overwritten, 3);
}

#[test]
fn host_times_a_sixteenth_of_the_replies() {
    let world = World::new(CONFIG, [CLIENT_INTERFACE, BACKEND_INTERFACE]);
    let mut host = Host::new(&world);
    let query = query_v4(&Question::new("www.example.com"));
    for number in 0..3200u32 {
        // Also while the clock begins anew.
        host.state().units = (u32::MAX - 1_000_000).wrapping_add(number * 1000);
        let (_, reply) = exchange(&mut host, &query, CLIENT_INTERFACE);
        host.state().units = host.state().units.wrapping_add(400);
        for _ in 0..2 {
            host.receive(&reply.octets(), BACKEND_INTERFACE);
        }
    }
    let timed = &host.state().latencies;
    let [(&(_, bucket), &count)] = *timed.iter().collect::<Vec<_>>() else { panic!("{timed:?}") };
    assert!((130..270).contains(&count), "{count} of 3200, each once");
    let nanoseconds = 400 * 256;
    let (from, to) = (latency::lower_end(bucket), latency::lower_end(bucket + 1));
    assert!((from..to).contains(&nanoseconds), "{from} to {to}");
}

#[test]
fn kernel_times_a_sixteenth_of_the_replies() {
    in_namespace("replies::kernel_times_a_sixteenth_of_the_replies", |interfaces| {
        let world = World::new(CONFIG, interfaces);
        let mut machine = InKernel::new(&world);
        let query = query_v4(&Question::new("www.example.com"));
        let begun = Instant::now();
        for _ in 0..3200 {
            let (_, reply) = exchange(&mut machine, &query, interfaces[0]);
            machine.receive(&reply.octets(), interfaces[1]);
        }
        let all = begun.elapsed();
        let counters = machine.kernel.counters().unwrap();
        let timed: Vec<u64> = counters.latencies.iter().map(|times| times.0.iter().sum()).collect();
        let replies: Vec<u64> = counters.backends.iter().map(|backend| backend.replies).collect();
        let backend = replies.iter().position(|count| *count > 0).unwrap();
        assert_eq!((timed.iter().sum::<u64>(), replies[backend]), (timed[backend], 3200));
        assert!((130..270).contains(&timed[backend]), "{timed:?}");
        // From the query to its reply, it took about a half of a turn, on the average.
        let longest = counters.latencies[backend].0.iter().rposition(|count| *count > 0).unwrap();
        let shortest = counters.latencies[backend].0.iter().position(|count| *count > 0).unwrap();
        let turn = all / 3200;
        assert!(
            u128::from(latency::lower_end(shortest as u32)) < turn.as_nanos(),
            "{shortest}, a turn takes {turn:?}"
        );
        assert!(u128::from(latency::lower_end(longest as u32)) < all.as_nanos(), "{longest}");
        machine.kernel.clear(CounterId::Backend(backend as u16)).unwrap();
        assert_eq!(machine.kernel.latencies(backend as u16), Default::default());
    });
}

/// Sends a query; returns what was forwarded and the backend's reply to it.
fn exchange(machine: &mut impl Machine, query: &Frame, interface: u32) -> (Outcome, Frame) {
    let outcome = machine.receive(&query.octets(), interface);
    assert_eq!(outcome.reason, Reason::QueryForwarded, "on the {}", machine.name());
    let template = forwarded(query, BACKEND_V4, query.payload.clone());
    let udp = 14 + if template.to.is_ipv4() { 20 } else { 40 };
    let word = |at: usize| u16::from_be_bytes([outcome.frame[at], outcome.frame[at + 1]]);
    let mut payload = query.payload.clone();
    payload[..2].copy_from_slice(&word(udp + 8).to_be_bytes());
    payload[2] |= 0x80;
    let mut ours = template.from;
    ours.set_port(word(udp));
    let reply = Frame {
        to_mac: template.from_mac,
        from_mac: template.to_mac,
        hop_limit: 59,
        ..Frame::new(template.to, ours, payload)
    };
    (outcome, reply)
}

/// What the client has to get for a reply to its query.
fn delivered(query: &Frame, reply: &Frame) -> Vec<u8> {
    let same_family = query.to.is_ipv4() == reply.to.is_ipv4();
    let mut payload = reply.payload.clone();
    payload[..2].copy_from_slice(&query.payload[..2]);
    Frame {
        to_mac: query.from_mac,
        from_mac: query.to_mac,
        tags: query.tags.clone(),
        from: query.to,
        to: query.from,
        hop_limit: reply.hop_limit - 1,
        identification: if same_family { reply.identification } else { 0 },
        fragment: if same_family { reply.fragment } else { 0x4000 },
        flow_label: if same_family { reply.flow_label } else { 0 },
        payload,
        ..reply.clone()
    }
    .octets()
}

fn run(machine: &mut impl Machine, [client, backend]: [u32; 2]) {
    let mut counted: BTreeMap<Reason, u64> = BTreeMap::new();
    let mut sent = 0;
    let mut expect = |machine: &mut dyn MachineDyn,
                      what: &str,
                      reply: &Frame,
                      interface: u32,
                      reason: Reason|
     -> Vec<u8> {
        let octets = reply.octets();
        let outcome = machine.hand(&octets, interface);
        assert_eq!(outcome.reason.label(), reason.label(), "{what}");
        if reason != Reason::ReplyForwarded {
            assert_eq!(outcome.frame, octets, "{what}: must stay as it is");
        }
        sent += 1;
        *counted.entry(reason).or_default() += 1;
        outcome.frame
    };
    let mut queries = 0;
    let question = Question::new("WWW.example.com").with_opt(1232, false);
    for (what, query) in [
        ("over IPv4", query_v4(&question)),
        ("over IPv6", query_v6(&question)),
        ("behind a tag", Frame { tags: vec![(0x8100, 0x2064)], ..query_v4(&question) }),
        (
            "over IPv6 behind two tags",
            Frame { tags: vec![(0x88a8, 7), (0x8100, 0x0fff)], ..query_v6(&question) },
        ),
    ] {
        let (_, good) = exchange(machine, &query, client);
        queries += 1;
        let mut it = Dyn(machine);
        let wrong_port = Frame { from: at("203.0.113.10:5301"), ..good.clone() };
        expect(&mut it, "wrong backend port", &wrong_port, backend, Reason::ReplyWrongBackend);
        let wrong_address = Frame { from: at("203.0.113.11:5300"), ..good.clone() };
        expect(&mut it, "wrong backend address", &wrong_address, backend, Reason::ReplyWrongBackend);
        expect(&mut it, "wrong interface", &good, client, Reason::ReplyWrongInterface);
        let mut wrong_id = good.clone();
        wrong_id.payload[0] ^= 1;
        expect(&mut it, "wrong ID", &wrong_id, backend, Reason::ReplyUnknown);
        let mut query_again = good.clone();
        query_again.payload[2] &= 0x7f;
        expect(&mut it, "not a response", &query_again, backend, Reason::ReplyUnknown);
        let wrong_nat_port = if good.to.port() == 20000 { 20001 } else { 20000 };
        let mut other = good.clone();
        other.to.set_port(wrong_nat_port);
        expect(&mut it, "wrong NAT port", &other, backend, Reason::ReplyUnknown);
        let mut outside = good.clone();
        outside.to.set_port(40000);
        expect(&mut it, "port outside of the NAT range", &outside, backend, Reason::NotForListener);
        let not_source =
            Frame { to: std::net::SocketAddr::new(at("192.0.2.53:53").ip(), good.to.port()), ..good.clone() };
        expect(&mut it, "to a listener's address", &not_source, backend, Reason::NotForListener);
        expect(&mut it, "TTL used up", &Frame { hop_limit: 1, ..good.clone() }, backend, Reason::TtlExpired);
        expect(
            &mut it,
            "IP options",
            &Frame { options: vec![1; 4], ..good.clone() },
            backend,
            Reason::IpOptions,
        );
        expect(&mut it, "fragment", &Frame { fragment: 0x2000, ..good.clone() }, backend, Reason::Fragment);
        expect(&mut it, "TCP", &Frame { protocol: 6, ..good.clone() }, backend, Reason::NotForListener);
        expect(
            &mut it,
            "UDP length",
            &Frame { udp_length_off: 1, ..good.clone() },
            backend,
            Reason::BadLength,
        );
        let short = Frame { payload: good.payload[..11].to_vec(), ..good.clone() };
        expect(&mut it, "short of a DNS header", &short, backend, Reason::ReplyUnknown);
        if query.to.is_ipv6() {
            let absent = Frame { checksum: Checksum::Absent, ..good.clone() };
            expect(&mut it, "no checksum to the other family", &absent, backend, Reason::ChecksumAbsent);
        }
        // A reply of its own size, with records and another OPT, arrives as it was sent.
        let mut reply = good.clone();
        reply.payload.extend(vec![0x5a; 700]);
        reply.payload.extend(opt(4096, 0, 0, true, &[]));
        let got = expect(&mut it, "the reply", &reply, backend, Reason::ReplyForwarded);
        assert_eq!(got, delivered(&query, &reply), "{what}");
        assert!(checksums_are_right(&got), "{what}");
        expect(&mut it, "the reply once more", &reply, backend, Reason::ReplyDuplicate);
    }
    let (counters, received) = machine.counters();
    counted.insert(Reason::QueryForwarded, queries);
    assert_eq!(counters, counted);
    assert_eq!(received, sent + queries);
}

/// A machine behind a reference, so that a closure can be handed any.
trait MachineDyn {
    fn hand(&mut self, frame: &[u8], interface: u32) -> Outcome;
}

struct Dyn<'m, M>(&'m mut M);

impl<M: Machine> MachineDyn for Dyn<'_, M> {
    fn hand(&mut self, frame: &[u8], interface: u32) -> Outcome {
        self.0.receive(frame, interface)
    }
}
