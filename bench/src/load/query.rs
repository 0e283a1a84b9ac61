//! What is asked, and whether an answer is the backend's answer to it.

use dproxy_lab::XdpReflector;

/// RFC 1035 §4.1.1.
const HEADER: usize = 12;
/// RD, as a stub resolver sends it.
const FLAGS: u16 = 0x0100;
/// RFC 6891 §6.1.2: root name, type OPT, a UDP size of 1232, no flags, no options.
const OPT: [u8; 11] = [0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0];
/// Type A, class IN.
const TYPE_AND_CLASS: [u8; 4] = [0, 1, 0, 1];

/// Queries for different names below one zone, prebuilt but for the ID.
#[derive(Debug)]
pub struct Queries(Vec<Vec<u8>>);

/// Why a message is not the backend's answer to a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// It is a query, or too short for a header.
    NoResponse,
    /// QR is set, but the backend's mark is not, or the backend's flags were changed: the flags word.
    Flags(u16),
    /// What follows the flags is not what was asked.
    Question,
}

impl Queries {
    /// `count` names below `zone` ("bench.example"): `www0`, `www1` and so on.
    pub fn below(zone: &str, count: u16) -> Self {
        Self((0..count).map(|number| query(&format!("www{number}.{zone}"))).collect())
    }

    /// A single query.
    pub fn one(name: &str) -> Self {
        Self(vec![query(name)])
    }

    /// How many there are.
    pub fn count(&self) -> u16 {
        self.0.len() as u16
    }

    /// The message, with ID 0.
    pub fn message(&self, number: u16) -> &[u8] {
        &self.0[usize::from(number)]
    }

    /// Whether `response` is what the backend makes of this query. The ID is compared by who knows it.
    pub fn check(&self, number: u16, response: &[u8]) -> Result<(), Wrong> {
        let query = self.message(number);
        let (Some(&[high, low]), Some(rest)) = (response.get(2..4), response.get(4..)) else {
            return Err(Wrong::NoResponse);
        };
        match u16::from_be_bytes([high, low]) {
            flags if flags == FLAGS | XdpReflector::MARK => {}
            flags if flags & 0x8000 == 0 => return Err(Wrong::NoResponse),
            flags => return Err(Wrong::Flags(flags)),
        }
        if rest == &query[4..] { Ok(()) } else { Err(Wrong::Question) }
    }
}

fn query(name: &str) -> Vec<u8> {
    let mut message = Vec::with_capacity(HEADER + name.len() + 2 + TYPE_AND_CLASS.len() + OPT.len());
    message.extend([0, 0]);
    for word in [FLAGS, 1, 0, 0, 1] {
        message.extend(word.to_be_bytes());
    }
    for label in name.split('.') {
        message.push(label.len() as u8);
        message.extend(label.as_bytes());
    }
    message.push(0);
    message.extend(TYPE_AND_CLASS);
    message.extend(OPT);
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(queries: &Queries) -> Vec<u8> {
        let mut answer = queries.message(0).to_vec();
        answer[2] |= 0x84;
        answer
    }

    #[test]
    fn a_query_is_a_message() {
        let query = dproxy_lab::dns::op::Message::from_vec(&query("www7.bench.example")).unwrap();
        assert_eq!(query.queries[0].to_string(), "www7.bench.example. IN A");
        assert_eq!(query.edns.unwrap().max_payload(), 1232);
    }

    #[test]
    fn only_the_backends_answer_is_right() {
        let queries = Queries::below("bench.example", 2);
        let right = answer(&queries);
        assert_eq!(queries.check(0, &right), Ok(()));
        assert_eq!(queries.check(1, &right), Err(Wrong::Question));
        assert_eq!(queries.check(0, queries.message(0)), Err(Wrong::NoResponse));
        assert_eq!(queries.check(0, &right[..3]), Err(Wrong::NoResponse));
        assert_eq!(queries.check(0, &right[..right.len() - 1]), Err(Wrong::Question));

        let mut refused = right;
        refused[2..4].copy_from_slice(&[0x81, 0x05]);
        assert_eq!(queries.check(0, &refused), Err(Wrong::Flags(0x8105)));
    }
}
