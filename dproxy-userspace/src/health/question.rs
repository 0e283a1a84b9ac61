//! The query of a check, and whether what comes is the right answer. Pure.

use std::time::Duration;

use hickory_proto::op::Message;
use hickory_proto::rr::RData;

use super::cause::Failure;
use crate::config::{Check, CheckFlag, CheckQuery, Name, Pattern, PatternKind, QueryClass, Rcode, Transport};

/// Octets of a DNS header (RFC 1035 §4.1.1).
const HEADER: usize = 12;

/// What the members of a pool are asked, and what they should answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// A query, but for its ID.
    message: Vec<u8>,
    /// Octets of its question.
    question_length: usize,
    /// The same for people.
    text: String,
    expect: Vec<Rcode>,
    answer: Option<String>,
    wants_serial: bool,
    /// How it is asked.
    pub transports: Vec<Transport>,
    /// How long a reply may take.
    pub patience: Duration,
}

/// What a reply says, besides that it is right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// The serial of an SOA record in its answer.
    pub serial: Option<u32>,
}

impl Question {
    /// That of a pool to which these routes lead.
    pub fn new<'p>(check: &Check, routes: impl Iterator<Item = &'p Pattern>) -> Self {
        let query = check.query.clone().unwrap_or_else(|| usual(routes));
        let has_do = check.flags.contains(&CheckFlag::Do);
        let has = |flag, bit: u8| if check.flags.contains(&flag) { bit } else { 0 };
        let flags = [has(CheckFlag::Rd, 0x01), has(CheckFlag::Ad, 0x20) | has(CheckFlag::Cd, 0x10)];
        let mut message = vec![0, 0, flags[0], flags[1], 0, 1, 0, 0, 0, 0, 0, u8::from(has_do)];
        message.extend(query.name.wire());
        // The root.
        message.push(0);
        message.extend(query.record_type.0.to_be_bytes());
        message.extend(class(query.class).to_be_bytes());
        let question_length = message.len() - HEADER;
        if has_do {
            // OPT (RFC 6891 §6.1.2) with 1232 octets and DO.
            message.extend([0, 0, 41, 0x04, 0xd0, 0, 0, 0x80, 0, 0, 0]);
        }
        Self {
            message,
            question_length,
            expect: check.expected(&query.name),
            text: query.to_string(),
            answer: check.answer.clone(),
            wants_serial: check.serial_lag.is_some(),
            transports: check.transports.clone(),
            patience: check.patience(),
        }
    }

    /// The query with an ID.
    pub fn message(&self, id: u16) -> Vec<u8> {
        let mut message = self.message.clone();
        message[..2].copy_from_slice(&id.to_be_bytes());
        message
    }

    /// The question for people: `health.example SOA`.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Is a message the response to the query with this ID at all? What else comes is not the backend's fault.
    pub fn is_response(&self, message: &[u8], id: u16) -> bool {
        let question = &self.message[HEADER..HEADER + self.question_length];
        message.len() >= HEADER
            && message[..2] == id.to_be_bytes()
            && message[2] & 0x80 != 0
            // A server that cannot read a question need not repeat it.
            && (message[4..6] == [0, 0] && message[3] & 0x0f != 0
                || message
                    .get(HEADER..HEADER + self.question_length)
                    .is_some_and(|its| its.eq_ignore_ascii_case(question)))
    }

    /// Is a response as it should be?
    pub fn judge(&self, response: &[u8], transport: Transport) -> Result<Said, Failure> {
        let code = response.get(3).map_or(0, |flags| u16::from(flags & 0x0f));
        if !self.expect.iter().any(|expected| expected.number() == code) {
            return Err(Failure::Rcode { transport, got: code, expected: self.expect.clone() });
        }
        let is_truncated = response.get(2).is_some_and(|flags| flags & 0x02 != 0);
        if self.answer.is_none() && !self.wants_serial || is_truncated && transport == Transport::Udp {
            return Ok(Said::default());
        }
        let message = Message::from_vec(response).map_err(|_| Failure::NoResponse(transport))?;
        if let Some(expected) = &self.answer {
            let got: Vec<String> = message.answers.iter().map(|record| record.data.to_string()).collect();
            let is_it =
                |data: &String| data.trim_matches('"').eq_ignore_ascii_case(expected.trim_matches('"'));
            if !got.iter().any(is_it) {
                return Err(Failure::Answer { expected: expected.clone(), got });
            }
        }
        let serial = message
            .answers
            .iter()
            .find_map(|record| if let RData::SOA(soa) = &record.data { Some(soa.serial) } else { None });
        if self.wants_serial && serial.is_none() {
            return Err(Failure::NoSerial);
        }
        Ok(Said { serial })
    }
}

/// The SOA record of what the first route means, the root aside: its server need not know that. Of what is below a name
/// alone, a server need not know the name itself.
fn usual<'p>(routes: impl Iterator<Item = &'p Pattern>) -> CheckQuery {
    let mut others = routes.filter(|pattern| !pattern.name.is_root());
    match others.next() {
        None => CheckQuery { record_type: crate::config::RecordType::NS, ..CheckQuery::soa(Name::root()) },
        Some(Pattern { name, kind: PatternKind::Subtree | PatternKind::Exact }) => {
            CheckQuery::soa(name.clone())
        }
        Some(Pattern { name, kind: PatternKind::Wildcard }) => {
            let below = [b"\x0cdproxy-check".as_slice(), name.wire()].concat();
            CheckQuery::soa(Name::from_wire(&below).unwrap_or_else(|| name.clone()))
        }
    }
}

const fn class(class: QueryClass) -> u16 {
    match class {
        QueryClass::In => 1,
        QueryClass::Ch => 3,
        QueryClass::Hs => 4,
    }
}

#[cfg(test)]
mod tests;
