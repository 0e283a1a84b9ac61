//! From a query to its response, as an authoritative server of one zone gives it. No sockets here.

use std::net::IpAddr;
use std::sync::atomic::Ordering;

use hickory_proto::op::{Edns, Message, MessageType, Metadata, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{NS, SOA, TXT};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};

use super::{Fault, Identity};

/// How the query came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    Udp,
    Tcp,
}

/// The largest UDP response, whatever the client allows: enough to show whether the size in a query
/// was lowered on its way (RFC 6891 §6.2.5).
const MAX_UDP_SIZE: u16 = 4096;
/// RFC 1035 §4.2.1: what a client without EDNS can take.
const MIN_UDP_SIZE: u16 = 512;
const TTL: u32 = 60;

/// The response to `query`; `None` if it deserves none.
pub(super) fn respond(identity: &Identity, query: &[u8], transport: Transport) -> Option<Vec<u8>> {
    let query = match Message::from_vec(query) {
        Ok(message) => message,
        Err(_) => return form_error(query),
    };
    if query.message_type == MessageType::Response {
        return None;
    }
    match transport {
        Transport::Udp => identity.udp.fetch_add(1, Ordering::Relaxed),
        Transport::Tcp => identity.tcp.fetch_add(1, Ordering::Relaxed),
    };
    let response = answer(identity, &query);
    let bytes = response.to_vec().ok()?;
    let limit = match transport {
        Transport::Udp => udp_limit(&query),
        Transport::Tcp => u16::MAX,
    };
    if bytes.len() <= usize::from(limit) { Some(bytes) } else { response.truncate().to_vec().ok() }
}

/// RFC 1035 §4.1.1: a header and nothing else, to a query that cannot be read.
fn form_error(query: &[u8]) -> Option<Vec<u8>> {
    let [id_high, id_low, flags, ..] = *query else { return None };
    let is_response = flags & 0x80 != 0;
    if query.len() < 12 || is_response {
        return None;
    }
    let opcode = OpCode::from_u8((flags >> 3) & 0xf);
    let id = u16::from_be_bytes([id_high, id_low]);
    Message::error_msg(id, opcode, ResponseCode::FormErr).to_vec().ok()
}

fn udp_limit(query: &Message) -> u16 {
    query.edns.as_ref().map_or(MIN_UDP_SIZE, |edns| edns.max_payload().clamp(MIN_UDP_SIZE, MAX_UDP_SIZE))
}

/// A whole response; the question is echoed in the case in which it came.
fn answer(identity: &Identity, query: &Message) -> Message {
    let mut response = Message::response(query.id, query.op_code);
    response.metadata = Metadata::response_from_request(&query.metadata);
    response.queries = query.queries.clone();
    if let Some(asked) = &query.edns {
        let mut edns = Edns::new();
        edns.set_max_payload(MAX_UDP_SIZE).set_dnssec_ok(asked.flags().dnssec_ok);
        response.set_edns(edns);
    }
    response.metadata.response_code = match check(query) {
        Ok(question) if is_failing(identity, question) => ResponseCode::ServFail,
        Err(code) => code,
        Ok(question) if question.query_class() == DNSClass::CH => chaos(identity, question, &mut response),
        Ok(question) => internet(identity, question, &mut response),
    };
    response
}

/// Is it to go wrong?
fn is_failing(identity: &Identity, question: &Query) -> bool {
    let is_soa = question.query_type() == RecordType::SOA;
    let is_fault = |fault| identity.fault.load(Ordering::Relaxed) == fault as u8;
    is_fault(Fault::Servfail) || is_fault(Fault::ServfailSoa) && is_soa
}

/// The one question of a query that we understand.
fn check(query: &Message) -> Result<&Query, ResponseCode> {
    if query.edns.as_ref().is_some_and(|edns| edns.version() > 0) {
        return Err(ResponseCode::BADVERS);
    }
    if query.op_code != OpCode::Query {
        return Err(ResponseCode::NotImp);
    }
    match query.queries.as_slice() {
        [question] => Ok(question),
        _ => Err(ResponseCode::FormErr),
    }
}

/// RFC 4892: who are you?
fn chaos(identity: &Identity, question: &Query, response: &mut Message) -> ResponseCode {
    let name = question.name().to_lowercase().to_ascii();
    let asked = matches!(name.as_str(), "id.server." | "hostname.bind.");
    if !asked || question.query_type() != RecordType::TXT {
        return ResponseCode::Refused;
    }
    let mut record = Record::from_rdata(question.name().clone(), 0, whoami(identity));
    record.dns_class = DNSClass::CH;
    response.add_answer(record);
    ResponseCode::NoError
}

fn internet(identity: &Identity, question: &Query, response: &mut Message) -> ResponseCode {
    let origin = identity.zone.origin();
    let transfer = matches!(question.query_type(), RecordType::AXFR | RecordType::IXFR);
    if question.query_class() != DNSClass::IN || !origin.zone_of(question.name()) || transfer {
        return ResponseCode::Refused;
    }
    response.metadata.authoritative = true;
    let found = records(identity, question.name());
    for data in found.iter().flatten() {
        if question.query_type() == RecordType::ANY || question.query_type() == data.record_type() {
            response.add_answer(Record::from_rdata(question.name().clone(), TTL, data.clone()));
        }
    }
    if response.answers.is_empty() {
        // RFC 2308 §3: a negative answer carries the SOA.
        response.add_authority(Record::from_rdata(origin.clone(), TTL, soa(origin)));
    }
    if found.is_some() { ResponseCode::NoError } else { ResponseCode::NXDomain }
}

/// What the server itself adds to its zone, and the zone.
fn records(identity: &Identity, name: &Name) -> Option<Vec<RData>> {
    let origin = identity.zone.origin();
    if name == origin {
        let mut records = vec![soa(origin), RData::NS(NS(below("ns", origin)))];
        records.extend(identity.zone.records(name).unwrap_or_default());
        return Some(records);
    }
    if *name == below("ns", origin) {
        let address = |ip| match ip {
            IpAddr::V4(v4) => RData::A(v4.into()),
            IpAddr::V6(v6) => RData::AAAA(v6.into()),
        };
        return Some(identity.addresses.iter().map(|socket| address(socket.ip())).collect());
    }
    // And any name below it, since who answers may depend on the name.
    if below("whoami", origin).zone_of(name) {
        return Some(vec![whoami(identity)]);
    }
    identity.zone.records(name)
}

fn whoami(identity: &Identity) -> RData {
    RData::TXT(TXT::new(vec![identity.name.clone()]))
}

fn soa(origin: &Name) -> RData {
    let mailbox = below("hostmaster", origin);
    RData::SOA(SOA::new(below("ns", origin), mailbox, 1, 3600, 600, 86400, TTL))
}

/// `label.origin`; the origin itself if that were too long, which no zone of the lab is.
fn below(label: &str, origin: &Name) -> Name {
    origin.prepend_label(label).unwrap_or_else(|_| origin.clone())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU8, AtomicU64};

    use super::*;
    use crate::SyntheticZone;

    fn respond_to(query: &[u8]) -> Option<Vec<u8>> {
        let identity = Identity {
            name: "test".to_owned(),
            addresses: Vec::new(),
            zone: Arc::new(SyntheticZone::new(Name::root())),
            udp: AtomicU64::new(0),
            tcp: AtomicU64::new(0),
            fault: AtomicU8::new(Fault::None as u8),
        };
        respond(&identity, query, Transport::Udp)
    }

    #[test]
    fn a_response_gets_no_response() {
        let mut message = Message::query();
        message.add_query(Query::query(Name::root(), RecordType::SOA));
        assert!(respond_to(&message.to_vec().unwrap()).is_some());
        message.metadata.message_type = MessageType::Response;
        assert_eq!(respond_to(&message.to_vec().unwrap()), None);
    }

    #[test]
    fn what_is_no_message_gets_no_response_or_a_form_error() {
        let header = [0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        assert_eq!(respond_to(&header[..11]), None);
        let response = respond_to(&header).unwrap();
        assert_eq!(response, [0xab, 0xcd, 0x80, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
        let mut truncated_response = header;
        truncated_response[2] |= 0x80;
        assert_eq!(respond_to(&truncated_response), None);
    }
}
