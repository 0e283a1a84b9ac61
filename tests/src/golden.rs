//! The golden table, octet by octet, on any machine.

use std::collections::BTreeMap;

use dproxy_common::reason::Reason;

use crate::{
    cases::{Case, Expected, cases},
    frames::Frame,
    machine::Machine,
};

/// Runs the table, each frame as received from an interface, and compares all counters at the end. Says how many
/// frames that were.
pub fn run(machine: &mut impl Machine, interface: u32) -> usize {
    let mut failures = Vec::new();
    let mut expected_counters: BTreeMap<Reason, u64> = BTreeMap::new();
    let cases = cases();
    for case in &cases {
        *expected_counters.entry(reason_of(case)).or_default() += 1;
        if let Err(broken) = check(machine, case, interface) {
            failures.push(format!("{}: {broken}\n    frame {}", case.name, hex(&case.frame)));
        }
    }
    let (counters, received) = machine.counters();
    assert!(
        failures.is_empty(),
        "{} of {} on the {}:\n{}",
        failures.len(),
        cases.len(),
        machine.name(),
        failures.join("\n")
    );
    assert_eq!(counters, expected_counters, "counters by reason");
    assert_eq!(received, cases.len() as u64, "packets received");
    println!("{} frames on the {}", cases.len(), machine.name());
    cases.len()
}

fn reason_of(case: &Case) -> Reason {
    match &case.expected {
        Expected::Pass(reason) | Expected::Drop(reason) | Expected::Answer(reason, _) => *reason,
        Expected::Deliver(_) => Reason::QueryDelivered,
        Expected::Forward(_) => Reason::QueryForwarded,
    }
}

fn check(machine: &mut impl Machine, case: &Case, interface: u32) -> Result<(), String> {
    let outcome = machine.receive(&case.frame, interface);
    if outcome.reason != reason_of(case) {
        return Err(format!("ends with {}, not {}", outcome.reason.label(), reason_of(case).label()));
    }
    let wanted = match &case.expected {
        Expected::Pass(_) | Expected::Drop(_) => case.frame.clone(),
        Expected::Answer(_, answer) if !outcome.sent_back => {
            return Err(format!("answer not sent back: {}", hex(answer)));
        }
        Expected::Answer(_, answer) if answer.len() > case.frame.len() => {
            return Err("is amplified".to_owned());
        }
        Expected::Answer(_, answer) => answer.clone(),
        Expected::Deliver(frame) => frame.clone(),
        Expected::Forward(frame) => with_ticket(frame, &outcome.frame),
    };
    if outcome.frame != wanted {
        return Err(format!("\n    has    {}\n    wanted {}", hex(&outcome.frame), hex(&wanted)));
    }
    Ok(())
}

/// The expected frame with the source port and DNS ID that were chosen. All else, checksums included, has
/// to follow from them.
fn with_ticket(expected: &Frame, actual: &[u8]) -> Vec<u8> {
    let mut expected = expected.clone();
    let udp = if expected.to.is_ipv4() { 34 } else { 54 };
    let word =
        |at: usize| actual.get(at..at + 2).map_or(0, |octets| u16::from_be_bytes([octets[0], octets[1]]));
    let (port, id) = (word(udp), word(udp + 8));
    assert!((16384..32768).contains(&port), "source port {port} is not of the NAT range");
    expected.from.set_port(port);
    expected.payload[..2].copy_from_slice(&id.to_be_bytes());
    expected.octets()
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}
