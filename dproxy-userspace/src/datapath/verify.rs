//! Asking the loaded program about a generation before it is put in force.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use dproxy_common::{abi::NO_ROUTE, explain::Explain};

use super::{DatapathError, question::query_frame};
use crate::{
    config::{MAX_NAME, Pattern, PatternKind},
    control::SnapshotNames,
};

/// Routes that are asked about, at most.
const SAMPLE: usize = 32;

/// QTYPE A (RFC 1035 §3.2.2).
const TYPE_A: u16 = 1;

/// Asks about every listener, and about a sample of the routes: another one with each number.
///
/// The program must name the listener, and a route that applies to the name and is the one sampled or more
/// specific. This follows from what the operator wrote alone, not from the tables.
pub(super) fn verify(
    names: &SnapshotNames,
    number: u64,
    ask: impl Fn(&[u8]) -> Result<Explain, DatapathError>,
) -> Result<(), DatapathError> {
    let sample = sample(names, number);
    let turns = sample.len().max(names.listeners.len());
    let questions = names.listeners.iter().cycle().zip(sample.iter().cycle()).take(turns);
    for ((&id, &listener), &sampled) in questions {
        let name = sampled.map_or_else(Vec::new, question_name);
        let answer = ask(&query_frame(client_of(listener), listener, &name, TYPE_A)?)?;
        let found = names.routes.get(&answer.subject.route);
        let is_right = match (sampled, found) {
            (Some(sampled), Some(found)) => applies(found, &name) && is_as_specific(found, sampled),
            (None, None) => answer.subject.route == NO_ROUTE,
            (Some(_), None) | (None, Some(_)) => false,
        };
        if !is_right || answer.subject.listener != id {
            return Err(wrong(listener, sampled, found, &answer));
        }
    }
    Ok(())
}

/// Routes spread evenly over all of them; without any, one question about no route.
fn sample(names: &SnapshotNames, number: u64) -> Vec<Option<&Pattern>> {
    let step = names.routes.len().div_ceil(SAMPLE).max(1);
    let first = (number % step as u64) as usize;
    let askable = |pattern: &&Pattern| question_name(pattern).len() < MAX_NAME;
    let patterns: Vec<_> =
        names.routes.values().skip(first).step_by(step).filter(askable).map(Some).collect();
    if names.routes.is_empty() { vec![None] } else { patterns }
}

/// A name to which the pattern applies, in wire form without the root octet.
fn question_name(pattern: &Pattern) -> Vec<u8> {
    match pattern.kind {
        PatternKind::Exact | PatternKind::Subtree => pattern.name.wire().to_vec(),
        PatternKind::Wildcard => [b"\x01x", pattern.name.wire()].concat(),
    }
}

fn applies(pattern: &Pattern, name: &[u8]) -> bool {
    let is_same = pattern.name.wire() == name;
    match pattern.kind {
        PatternKind::Exact => is_same,
        PatternKind::Wildcard => is_below(name, pattern.name.wire()),
        PatternKind::Subtree => is_same || is_below(name, pattern.name.wire()),
    }
}

fn is_below(name: &[u8], parent: &[u8]) -> bool {
    let mut rest = name;
    while let Some((&length, tail)) = rest.split_first() {
        rest = tail.get(usize::from(length)..).unwrap_or_default();
        if rest == parent {
            return true;
        }
    }
    false
}

/// Both apply to one name: then the longer is the more specific one, and of equals the one of the
/// higher precedence.
fn is_as_specific(found: &Pattern, sampled: &Pattern) -> bool {
    let (found_length, length) = (found.name.wire().len(), sampled.name.wire().len());
    found_length > length || found_length == length && found.kind <= sampled.kind
}

/// Somebody (RFC 5737, RFC 3849) who may ask the listener.
fn client_of(listener: SocketAddr) -> SocketAddr {
    let clients: [IpAddr; 2] = match listener {
        SocketAddr::V4(_) => [1, 2].map(|host| Ipv4Addr::new(192, 0, 2, host).into()),
        SocketAddr::V6(_) => [1, 2].map(|host| Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, host).into()),
    };
    let [first, second] = clients;
    SocketAddr::new(if first == listener.ip() { second } else { first }, 1024)
}

fn wrong(
    listener: SocketAddr,
    sampled: Option<&Pattern>,
    found: Option<&Pattern>,
    answer: &Explain,
) -> DatapathError {
    let route =
        |pattern: Option<&Pattern>| pattern.map_or_else(|| "no route".to_owned(), |p| format!("route {p}"));
    DatapathError(format!(
        "the loaded program does not read the new generation as it was written: at {listener}, it finds {} \
         where {} was asked for ({}); the generation before stays in force; please report this with the \
         configuration",
        route(found),
        route(sampled),
        answer.reason().map_or("no reason", |reason| reason.label()),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        text.parse().unwrap()
    }

    #[test]
    fn a_pattern_applies_to_the_name_that_is_asked_about_it() {
        for text in [".", "*.", "=.", "example.org", "*.example.org", "=www.example.org", r"a\.b.example"] {
            let pattern = pattern(text);
            assert!(applies(&pattern, &question_name(&pattern)), "{text}");
        }
    }

    #[test]
    fn patterns_apply_on_label_boundaries() {
        let name = question_name(&pattern("www.example.org"));
        for (text, expected) in [
            ("example.org", true),
            ("*.example.org", true),
            ("org", true),
            ("*.", true),
            ("=www.example.org", true),
            ("*.www.example.org", false),
            ("=example.org", false),
            ("ample.org", false),
            ("a.www.example.org", false),
        ] {
            assert_eq!(applies(&pattern(text), &name), expected, "{text}");
        }
    }

    #[test]
    fn longer_beats_shorter_and_exact_beats_subtree() {
        assert!(is_as_specific(&pattern("a.example"), &pattern("example")));
        assert!(is_as_specific(&pattern("=example"), &pattern("example")));
        assert!(is_as_specific(&pattern("example"), &pattern("example")));
        assert!(!is_as_specific(&pattern("example"), &pattern("=example")));
        assert!(!is_as_specific(&pattern("example"), &pattern("a.example")));
    }
}
