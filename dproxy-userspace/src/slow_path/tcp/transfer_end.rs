//! Where a zone transfer ends: nothing but its records says so.

use crate::slow_path::message::{self, HEADER};

/// The type of the record that begins and ends a zone (RFC 1035 §3.3.13).
const SOA: u16 = 6;
/// The query type of incremental transfers (RFC 1995).
const IXFR: u16 = 251;

/// How far a transfer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// More messages follow.
    More,
    /// That was the last one.
    Complete,
}

/// Watches the SOA records of a transfer go by.
///
/// It begins with the SOA of the version it leads to, and ends with the same record. Between the two an
/// incremental one has, for each step, the SOA before and the SOA after (RFC 5936 §2.2, RFC 1995 §4): so it
/// ends where the SOA *before* would be and is the first one again. A whole zone may have other SOA records
/// between the two, of names below.
#[derive(Debug)]
pub(super) struct TransferEnd {
    /// May it consist of steps?
    is_incremental: bool,
    /// The serial number that the client has, if it asks for the changes since.
    has_serial: Option<u32>,
    serial: Option<u32>,
    /// SOA records after the first.
    later: u64,
}

impl TransferEnd {
    /// For a query with a question of so many octets.
    pub(super) fn new(query: &[u8], question_length: usize) -> Self {
        let end = HEADER + question_length;
        let is_incremental = query_type(query, end) == Some(IXFR);
        let has_serial =
            if is_incremental { Reader { message: query, at: end }.record().flatten() } else { None };
        Self { is_incremental, has_serial, serial: None, later: 0 }
    }

    /// Looks at the next message. `None`: it cannot be read.
    pub(super) fn see(&mut self, message: &[u8]) -> Option<Progress> {
        let dns = message::header(message)?;
        if dns.rcode() != 0 {
            return Some(Progress::Complete);
        }
        let mut reader = Reader { message, at: HEADER };
        for _ in 0..dns.questions.get() {
            reader.skip_name()?;
            reader.skip(4)?;
        }
        let is_first = self.serial.is_none();
        let answers = u16::from_be_bytes([message[6], message[7]]);
        for _ in 0..answers {
            if let Some(serial) = reader.record()?
                && self.is_last(serial)
            {
                return Some(Progress::Complete);
            }
        }
        // A single SOA: there is nothing newer than what the client has.
        let is_newer = |serial: u32, has: u32| serial.wrapping_sub(has).cast_signed() > 0;
        let is_current = match (self.serial, self.has_serial) {
            (Some(serial), Some(has)) => is_first && answers == 1 && !is_newer(serial, has),
            (None, _) => true,
            (Some(_), None) => false,
        };
        Some(if is_current { Progress::Complete } else { Progress::More })
    }

    /// Is this SOA the last one?
    fn is_last(&mut self, serial: u32) -> bool {
        let Some(first) = self.serial else {
            self.serial = Some(serial);
            return false;
        };
        self.later += 1;
        serial == first && (self.later % 2 == 1 || !self.is_incremental)
    }
}

/// The type in a question that ends there. What an IXFR query has next is the SOA of the version that its
/// client has (RFC 1995 §3).
fn query_type(query: &[u8], end: usize) -> Option<u16> {
    query.get(end.checked_sub(4)?..)?.first_chunk().map(|octets| u16::from_be_bytes(*octets))
}

struct Reader<'m> {
    message: &'m [u8],
    at: usize,
}

impl Reader<'_> {
    fn skip(&mut self, octets: usize) -> Option<()> {
        self.at += octets;
        (self.at <= self.message.len()).then_some(())
    }

    /// Skips a name, which may end in a pointer (RFC 1035 §4.1.4).
    fn skip_name(&mut self) -> Option<()> {
        loop {
            let length = usize::from(*self.message.get(self.at)?);
            match length {
                0 => return self.skip(1),
                0xc0.. => return self.skip(2),
                _ => self.skip(1 + length)?,
            }
        }
    }

    fn u16(&mut self) -> Option<u16> {
        let octets = *self.message.get(self.at..)?.first_chunk()?;
        self.at += 2;
        Some(u16::from_be_bytes(octets))
    }

    /// Skips a record; if it is an SOA, returns its serial number.
    fn record(&mut self) -> Option<Option<u32>> {
        self.skip_name()?;
        let rr_type = self.u16()?;
        self.skip(6)?;
        let length = usize::from(self.u16()?);
        let begin = self.at;
        let mut serial = None;
        if rr_type == SOA {
            self.skip_name()?;
            self.skip_name()?;
            serial = Some(u32::from_be_bytes(*self.message.get(self.at..)?.first_chunk()?));
        }
        self.at = begin;
        self.skip(length)?;
        Some(serial)
    }
}
