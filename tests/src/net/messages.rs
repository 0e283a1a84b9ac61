//! Messages that are not just a question, octet by octet.

use crate::frames::{Question, opt, wire_name};

/// IXFR (RFC 1995).
const IXFR: u16 = 251;
/// AXFR (RFC 5936).
const AXFR: u16 = 252;
const SOA: u16 = 6;
const TXT: u16 = 16;
/// EDNS option Padding (RFC 7830).
const PADDING: u16 = 12;
/// NOTIFY with AA=1 (RFC 1996 §3.6).
const NOTIFY_FLAGS: u16 = 4 << 11 | 1 << 10;
const UPDATE_FLAGS: u16 = 5 << 11;

/// A question with so many octets of padding behind it.
pub fn padded(question: &Question, octets: u16) -> Question {
    let mut option = [PADDING.to_be_bytes(), octets.to_be_bytes()].concat();
    option.resize(option.len() + usize::from(octets), 0);
    let mut question = question.clone();
    question.counts[3] += 1;
    question.rest.extend(opt(1232, 0, 0, false, &option));
    question
}

/// A message with two questions, which are both well known.
pub fn two_questions(name: &str) -> Question {
    let mut question = Question::new(name);
    question.counts[0] = 2;
    // The name of the first one (RFC 1035 §4.1.4), AAAA, IN.
    question.rest = vec![0xc0, 12, 0, 28, 0, 1];
    question
}

/// Nothing but a header.
pub fn no_question(flags: u16) -> Vec<u8> {
    [&[0xbe, 0xef][..], &flags.to_be_bytes(), &[0; 8]].concat()
}

/// NOTIFY: the zone has changed.
pub fn notify(zone: &str) -> Question {
    Question { flags: NOTIFY_FLAGS, qtype: SOA, ..Question::new(zone) }
}

/// UPDATE: so many TXT records are to be added at a name (RFC 2136).
pub fn update(zone: &str, name: &str, records: u8) -> Question {
    let mut update = Question { flags: UPDATE_FLAGS, qtype: SOA, ..Question::new(zone) };
    update.counts = [1, 0, records.into(), 0];
    for number in 0..records {
        let text = [number; 200].map(|octet| b'a' + octet % 26);
        update.rest.extend(wire_name(name));
        update.rest.extend([TXT, 1].map(u16::to_be_bytes).concat());
        update.rest.extend(300u32.to_be_bytes());
        update.rest.extend([0, 201, 200]);
        update.rest.extend(text);
    }
    update
}

/// AXFR: the whole zone.
pub fn axfr(zone: &str) -> Question {
    Question { flags: 0, qtype: AXFR, ..Question::new(zone) }
}

/// IXFR: what has changed since a serial number.
pub fn ixfr(zone: &str, serial: u32) -> Question {
    let mut question = Question { flags: 0, qtype: IXFR, ..Question::new(zone) };
    question.counts[2] = 1;
    // The question's name, SOA, IN, TTL; then both names, which are the root's, and five numbers.
    question.rest = vec![0xc0, 12, 0, 6, 0, 1, 0, 0, 0, 0, 0, 22, 0, 0];
    question.rest.extend([serial, 0, 0, 0, 0].map(u32::to_be_bytes).concat());
    question
}
