//! Random names, routes and frames.
//!
//! Names are made of few labels, so that they meet: most random names would match nothing.

use dproxy_common::abi::{BackendLive, Pool};
use dproxy_userspace::config::Config;
use proptest::{collection::vec, prelude::*, sample::select, strategy::ValueTree, test_runner::TestRunner};

use crate::{
    cases,
    frames::{Frame, Question},
    world::World,
};

/// Labels with what makes trouble in them: case, dots, asterisks, high octets, full length.
fn label() -> impl Strategy<Value = Vec<u8>> {
    let fixed: Vec<Vec<u8>> =
        [&b"a"[..], b"b", b"A", b"com", b"COM", b"example", b"exAmple", b"www", b"*", b"a.b", b"\0\xff"]
            .iter()
            .map(|label| label.to_vec())
            .chain([vec![b'l'; 63], vec![b'm'; 40]])
            .collect();
    prop_oneof![9 => select(fixed), 1 => vec(any::<u8>(), 1..=63)]
}

/// A name in wire form, root octet included; at most 255 octets.
pub fn wire_name() -> impl Strategy<Value = Vec<u8>> {
    vec(label(), 0..8).prop_map(|labels| {
        let mut name = Vec::new();
        for label in labels {
            if name.len() + label.len() + 2 <= 255 {
                name.push(label.len() as u8);
                name.extend(label);
            }
        }
        name.push(0);
        name
    })
}

/// A route in the file's words: pattern and pool or answer.
pub fn route() -> impl Strategy<Value = (String, &'static str)> {
    let kind = select(vec!["", "=", "*."]);
    let target = select(vec!["\"a\"", "\"b\"", "\"c\"", "\"d\"", "{ answer = \"nxdomain\" }"]);
    (kind, wire_name(), target).prop_map(|(kind, name, target)| {
        let text = presentation(&name);
        // `*.` in front of the root is `*.`, not `*..`.
        let text = if kind == "*." && text == "." { String::new() } else { text };
        (format!("{kind}{text}"), target)
    })
}

/// Tables with random routes to three pools. Those of "b" are drawn at random.
pub fn random_world(runner: &mut TestRunner) -> World {
    let routes = vec(route(), 10..60);
    loop {
        let routes = routes.new_tree(runner).unwrap_or_else(|error| panic!("{error}")).current();
        if let Some(world) = world(&routes) {
            return world;
        }
    }
}

/// Tables with these routes; `None` if they contradict each other, as random ones may. Of the backends,
/// 192.0.2.53:5300 is on this host and 203.0.113.5 reached through the slow path, as all of pool `d` is.
pub fn world(routes: &[(String, &str)]) -> Option<World> {
    let mut text = String::from(
        r#"
[listen]
interfaces = ["client"]
addresses  = ["192.0.2.53", "[2001:db8::53]:53"]
[pools]
a = { backends = ["203.0.113.1:1001"] }
b = { backends = ["203.0.113.2:1002", "203.0.113.4:1004", "203.0.113.5:1005"], policy = "random" }
c = { backends = ["[2001:db8:f::3]:1003", "203.0.113.3:1003", "192.0.2.53:5300"], hash = "qname+client" }
d = { backends = ["203.0.113.4:1004"] }
[routes]
"#,
    );
    for (pattern, target) in routes {
        text.push_str(&format!("'{pattern}' = {target}\n"));
    }
    Config::parse(&text, "random").ok()?;
    let mut world = World::with_locals(&text, [1, 2], &[("192.0.2.53:5300", "192.0.2.53:53")]);
    let slow = world.backend_id("203.0.113.5:1005");
    world.lives.insert(slow, BackendLive::SLOW);
    world.snapshot.pools[3].flags = Pool::SLOW_PATH;
    Some(world)
}

/// Presentation format with every octet escaped that is not a letter or digit.
fn presentation(wire: &[u8]) -> String {
    let mut text = String::new();
    let mut rest = wire;
    while let [length @ 1..=63, tail @ ..] = rest {
        let (label, behind) = tail.split_at(usize::from(*length));
        for octet in label {
            match octet {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => text.push(char::from(*octet)),
                other => text.push_str(&format!("\\{other:03}")),
            }
        }
        text.push('.');
        rest = behind;
    }
    if text.is_empty() { ".".to_owned() } else { text }
}

/// A well-formed query over either family.
pub fn query() -> impl Strategy<Value = Frame> {
    (wire_name(), any::<bool>(), any::<u16>(), any::<u16>(), proptest::option::of(any::<u16>())).prop_map(
        |(name, over_v6, id, qtype, udp_size)| {
            let mut question = Question { id, qtype, ..Question::of_wire(name) };
            if let Some(udp_size) = udp_size {
                question = question.with_opt(udp_size, id & 1 == 1);
            }
            if over_v6 { cases::query_v6(&question) } else { cases::query_v4(&question) }
        },
    )
}

/// A frame that went wrong: one of the golden table or a random query, with octets changed, cut or added.
pub fn damaged_frame() -> impl Strategy<Value = Vec<u8>> {
    let golden: Vec<Vec<u8>> = cases::cases().into_iter().map(|case| case.frame).collect();
    damage(prop_oneof![select(golden), query().prop_map(|frame| frame.octets())])
}

/// A frame with octets changed, cut or added, or none of this.
pub fn damage(base: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    (base, vec((any::<prop::sample::Index>(), any::<u8>()), 0..4), any::<prop::sample::Index>(), 0..6u8)
        .prop_map(|(mut frame, changes, cut, how)| {
            for (index, value) in changes {
                // Most octets near the front, where the headers are.
                let at = index.index(frame.len());
                frame[at] = value;
            }
            match how {
                0 => frame.truncate(14.max(cut.index(frame.len()))),
                1 => frame.extend(std::iter::repeat_n(0xc0, cut.index(64))),
                _ => {}
            }
            frame
        })
}
