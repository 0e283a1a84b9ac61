//! The queries that are asked here, and the replies to them.

/// RFC 1035 §4.1.1.
const HEADER: usize = 12;
/// Type SOA.
const SOA: u16 = 6;

/// What a query asks for.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// Octets of header and question.
    length: usize,
    record_type: u16,
}

/// What is said to a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// An address, or an SOA record with this serial.
    Answer(u32),
    /// That something is wrong.
    Servfail,
}

impl Asked {
    /// Reads a query with one question.
    pub fn read(message: &[u8]) -> Option<Self> {
        let mut at = HEADER;
        let is_query = message.get(2)? & 0x80 == 0;
        loop {
            match *message.get(at)? {
                0 => break,
                length @ 1..=63 => at += 1 + usize::from(length),
                64.. => return None,
            }
        }
        let record_type = u16::from_be_bytes([*message.get(at + 1)?, *message.get(at + 2)?]);
        let length = at + 5;
        (is_query && length <= message.len()).then_some(Self { length, record_type })
    }

    /// Is it a check, and not a client's query? Those are for addresses.
    pub fn is_check(self) -> bool {
        self.record_type == SOA
    }

    /// The reply to `query`.
    pub fn reply(self, query: &[u8], reply: Reply) -> Vec<u8> {
        let mut message = query[..self.length].to_vec();
        // QR and AA.
        message[2] |= 0x84;
        message[3] = u8::from(reply == Reply::Servfail) * 2;
        let Reply::Answer(serial) = reply else {
            message[6..12].fill(0);
            return message;
        };
        message[6..12].copy_from_slice(&[0, 1, 0, 0, 0, 0]);
        // The name asked for, its type, class IN, a TTL of a minute.
        message.extend([0xc0, 0x0c]);
        message.extend(self.record_type.to_be_bytes());
        message.extend([0, 1, 0, 0, 0, 60]);
        if self.is_check() {
            // Two root names, and five numbers.
            message.extend([0, 22, 0, 0]);
            [serial, 3600, 600, 86400, 60].iter().for_each(|number| message.extend(number.to_be_bytes()));
        } else {
            message.extend([0, 4, 192, 0, 2, 1]);
        }
        message
    }
}

/// A client's query.
pub fn query(name: &str) -> Vec<u8> {
    let mut message = vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        message.push(label.len() as u8);
        message.extend(label.as_bytes());
    }
    message.extend([0, 0, 1, 0, 1]);
    message
}

/// Is it a good answer?
pub fn is_answer(message: &[u8]) -> bool {
    message.get(3).is_some_and(|flags| flags & 0x0f == 0) && message.get(7) == Some(&1)
}

#[cfg(test)]
mod tests {
    use dproxy_lab::dns::op::{Message, ResponseCode};
    use dproxy_lab::dns::rr::RData;

    use super::*;

    #[test]
    fn replies_can_be_read_by_others() {
        let mut query = query("www.example");
        let asked = Asked::read(&query).unwrap();
        let reply = asked.reply(&query, Reply::Answer(7));
        assert!(is_answer(&reply) && !asked.is_check());
        let read = Message::from_vec(&reply).unwrap();
        assert_eq!(read.answers[0].to_string(), "www.example. 60 IN A 192.0.2.1");
        let reply = asked.reply(&query, Reply::Servfail);
        assert!(!is_answer(&reply));
        assert_eq!(Message::from_vec(&reply).unwrap().metadata.response_code, ResponseCode::ServFail);

        let end = query.len() - 3;
        query[end] = SOA as u8;
        let asked = Asked::read(&query).unwrap();
        assert!(asked.is_check());
        let read = Message::from_vec(&asked.reply(&query, Reply::Answer(7))).unwrap();
        assert!(matches!(&read.answers[0].data, RData::SOA(soa) if soa.serial == 7), "{read:?}");
        assert!(Asked::read(&query[..end]).is_none() && Asked::read(&reply).is_none());
    }
}
