use dproxy_common::abi::BackendLive;

use super::*;
use crate::slow_path::testing::{config, query, view};

const TEXT: &str = r#"
[pools.pool]
backends = ["192.0.2.1:53", "192.0.2.2:53", { address = "192.0.2.3:53", weight = 0 }]
primary = "192.0.2.3:53"
[pools.rest]
backends = ["192.0.2.9:53"]
[routes]
"a.test" = "pool"
"no.test" = { answer = "nxdomain" }
"tc.test" = { answer = "truncate" }
"." = "rest"
"#;

fn decide_about(text: &str, message: &[u8], over_tcp: bool) -> Decision {
    let listener = "192.0.2.53:53".parse().unwrap();
    let view = view(&config(&[listener], text));
    let client = "198.51.100.1:1024".parse().unwrap();
    Decider::new(1).decide(&view, &Asked { message, client, listener: 0, over_tcp })
}

fn forwarded(message: &[u8]) -> Forward {
    let Decision::Forward(forward) = decide_about(TEXT, message, false) else { panic!("not forwarded") };
    forward
}

/// The response's octets.
fn answered(text: &str, message: &[u8], over_tcp: bool) -> (Reason, Vec<u8>) {
    let Decision::Answer(response) = decide_about(text, message, over_tcp) else { panic!("no answer") };
    let mut octets = Vec::new();
    response.write(message, &mut octets);
    (response.reason, octets)
}

fn with_opcode(mut message: Vec<u8>, opcode: u8) -> Vec<u8> {
    message[2] |= opcode << 3;
    message
}

#[test]
fn notify_and_update_go_to_the_primary_of_their_zone() {
    for opcode in [message::NOTIFY, message::UPDATE] {
        let forward = forwarded(&with_opcode(query(1, "a.test", 6), opcode));
        assert_eq!(forward.address.to_string(), "192.0.2.3:53", "opcode {opcode}");
        assert!(!forward.is_for_any, "nobody else would do");
        let forward = forwarded(&with_opcode(query(1, "other.test", 6), opcode));
        assert_eq!(forward.address.to_string(), "192.0.2.9:53", "a pool without a primary");
    }
    for opcode in [0, 1, 2, 3, 7, 15] {
        for number in 0..20 {
            let forward = forwarded(&with_opcode(query(1, &format!("n{number}.a.test"), 1), opcode));
            assert_ne!(forward.address.to_string(), "192.0.2.3:53", "opcode {opcode}, weight 0");
            assert_eq!(forward.address.ip().to_string()[..8], *"192.0.2.");
        }
    }
}

#[test]
fn no_question_is_the_roots_and_of_two_the_first_counts() {
    let header = query(1, "", 1)[..12].to_vec();
    let none = [&header[..5], &[0], &header[6..]].concat();
    let forward = forwarded(&none);
    assert_eq!((forward.address.to_string().as_str(), forward.question_length), ("192.0.2.9:53", 0));

    let mut two = query(1, "a.test", 1);
    two[5] = 2;
    two.extend_from_slice(&query(1, "no.test", 1)[12..]);
    let forward = forwarded(&two);
    assert!(*forward.address.to_string() < *"192.0.2.3");
    assert_eq!(forward.question_length, query(1, "a.test", 1).len() - 12);

    let mut two = query(1, "no.test", 1);
    two[5] = 2;
    two.extend_from_slice(&query(1, "a.test", 1)[12..]);
    let (reason, answer) = answered(TEXT, &two, false);
    assert_eq!((reason, answer[3] & 0x0f), (Reason::AnsweredFormerr, 1));
}

#[test]
fn stateful_operations_are_not_implemented() {
    let (reason, answer) = answered(TEXT, &with_opcode(query(1, "a.test", 1), 6), true);
    assert_eq!((reason, answer[3] & 0x0f, answer[2]), (Reason::AnsweredNotimp, 4, 0x80 | 6 << 3 | 1));
}

#[test]
fn truncation_is_for_udp() {
    let message = query(1, "tc.test", 1);
    let (reason, answer) = answered(TEXT, &message, false);
    assert_eq!((reason, answer[2] & 2, answer[3] & 0x0f), (Reason::AnsweredTruncate, 2, 0));
    let (_, answer) = answered(TEXT, &message, true);
    assert_eq!((answer[2] & 2, answer[3] & 0x0f), (0, 5));
}

#[test]
fn transfers_are_told_from_queries_over_tcp_only() {
    for (rr_type, is_transfer) in [(252, true), (251, true), (1, false), (255, false)] {
        let message = query(1, "a.test", rr_type);
        let Decision::Forward(over_tcp) = decide_about(TEXT, &message, true) else { panic!("not forwarded") };
        assert_eq!(over_tcp.is_transfer, is_transfer, "{rr_type}");
        assert!(!forwarded(&message).is_transfer, "{rr_type}");
    }
}

fn drop_of(reason: Reason) -> Decision {
    Decision::Drop(reason, Subject { listener: 0, ..Subject::UNKNOWN })
}

#[test]
fn what_is_no_query_is_dropped_with_its_reason() {
    let good = query(1, "a.test", 1);
    let mut response = good.clone();
    response[2] |= 0x80;
    let mut bad_label = good.clone();
    bad_label[12] = 0xc0;
    for (message, reason) in [
        (&good[..11], Reason::NotDns),
        (&good[..good.len() - 1], Reason::QuestionCut),
        (&response[..], Reason::UnexpectedResponse),
        (&bad_label[..], Reason::BadName),
    ] {
        assert_eq!(decide_about(TEXT, message, false), drop_of(reason));
    }
}

#[test]
fn another_backend_is_one_that_can_be_reached() {
    let listener = "192.0.2.53:53".parse().unwrap();
    let text = "[pools.p]\nbackends = [\"192.0.2.1:53\", \"192.0.2.2:53\", \"192.0.2.3:53\"]\n[routes]\n\".\" = \"p\"";
    let mut view = view(&config(&[listener], text));
    let (mut decider, message) = (Decider::new(1), query(1, "a.test", 1));
    let asked =
        Asked { message: &message, client: "198.51.100.1:1".parse().unwrap(), listener: 0, over_tcp: false };
    let Decision::Forward(first) = decider.decide(&view, &asked) else { panic!("not forwarded") };
    let second = decider.another(&view, &first).unwrap();
    assert_ne!(second.address, first.address);
    let lost = second.address.ip();
    let at = view.clone();
    view.set_lives(|id| live(at.address(id).unwrap().ip() != lost));
    for _ in 0..5 {
        let third = decider.another(&view, &first).unwrap();
        assert!(third.address != first.address && third.address != second.address);
    }
    view.set_lives(|id| live(at.address(id) == Some(first.address)));
    assert_eq!(decider.another(&view, &first), None);
    view.set_lives(|_| live(false));
    let Decision::Answer(response) = decider.decide(&view, &asked) else { panic!("not answered") };
    assert_eq!(response.reason, Reason::ServfailUnreachable);
}

#[test]
fn who_is_open_is_found_among_many_who_are_not() {
    let backends: Vec<String> = (1..=50).map(|number| format!("\"192.0.2.{number}:53\"")).collect();
    let text = format!("[pools.p]\nbackends = [{}]\n[routes]\n\".\" = \"p\"", backends.join(", "));
    let mut view = view(&config(&["192.0.2.53:53".parse().unwrap()], &text));
    let at = view.clone();
    let open = "192.0.2.7:53".parse().unwrap();
    view.set_lives(|id| live(at.address(id) == Some(open)));
    let mut decider = Decider::new(1);
    for number in 0..200 {
        let message = query(1, &format!("n{number}.test"), 1);
        let client = "198.51.100.1:1".parse().unwrap();
        let asked = Asked { message: &message, client, listener: 0, over_tcp: false };
        let Decision::Forward(forward) = decider.decide(&view, &asked) else {
            panic!("{number}: not forwarded")
        };
        assert_eq!(forward.address, open);
    }
}

#[test]
fn a_pool_that_is_down_does_as_it_is_told() {
    let listener = "192.0.2.53:53".parse().unwrap();
    let text = "[pools]\na = { backends = [\"192.0.2.1:53\"], when_down = \"pool rest\" }\n\
                b = { backends = [\"192.0.2.1:53\"], when_down = \"drop\" }\n\
                c = { backends = [\"192.0.2.1:53\"] }\n\
                rest = { backends = [\"192.0.2.9:53\"], when_down = \"pool a\" }\n\
                [routes]\n\"a.test\" = \"a\"\n\"b.test\" = \"b\"\n\"c.test\" = \"c\"";
    let mut view = view(&config(&[listener], text));
    let decide = |view: &View, name: &str| {
        let message = query(1, name, 1);
        let client = "198.51.100.1:1".parse().unwrap();
        Decider::new(1).decide(view, &Asked { message: &message, client, listener: 0, over_tcp: false })
    };
    let at = view.clone();
    let down: std::net::IpAddr = "192.0.2.1".parse().unwrap();
    view.set_lives(|id| live(at.address(id).unwrap().ip() != down));
    let Decision::Forward(forward) = decide(&view, "a.test") else { panic!("not forwarded") };
    assert_eq!(forward.address, "192.0.2.9:53".parse().unwrap());
    let Decision::Drop(reason, _) = decide(&view, "b.test") else { panic!("not dropped") };
    assert_eq!(reason, Reason::PoolDownDrop);
    let Decision::Answer(response) = decide(&view, "c.test") else { panic!("not answered") };
    assert_eq!(response.reason, Reason::ServfailUnreachable);
    view.set_lives(|_| live(false));
    let Decision::Answer(response) = decide(&view, "a.test") else { panic!("not answered") };
    assert_eq!(response.reason, Reason::ServfailUnreachable, "one pool further, and no other");
}

const fn live(is_usable: bool) -> BackendLive {
    if is_usable { BackendLive::reachable(0) } else { BackendLive::UNRESOLVED }
}
