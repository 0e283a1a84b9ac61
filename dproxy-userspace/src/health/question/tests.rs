use hickory_proto::op::{MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, SOA, TXT};
use hickory_proto::rr::{DNSClass, Record, RecordType as Type};

use super::*;
use crate::config::RecordType;

fn check(text: &str) -> Check {
    toml::from_str(text).unwrap()
}

fn question(text: &str) -> Question {
    Question::new(&check(text), [].iter())
}

/// A response to a question, with records in its answer.
fn response(question: &Question, code: ResponseCode, data: &[RData]) -> Vec<u8> {
    let query = Message::from_vec(&question.message(7)).unwrap();
    let mut message = Message::new(7, MessageType::Response, OpCode::Query);
    message.metadata.response_code = code;
    message.add_query(query.queries[0].clone());
    let name = query.queries[0].name.clone();
    message.add_answers(data.iter().map(|data| Record::from_rdata(name.clone(), 60, data.clone())));
    message.to_vec().unwrap()
}

fn soa(serial: u32) -> RData {
    let name = |text: &str| text.parse().unwrap();
    RData::SOA(SOA::new(name("a."), name("b."), serial, 1, 1, 1, 1))
}

#[test]
fn the_query_is_as_configured() {
    let message = question("query = 'Health.example TXT CH'\nflags = ['cd', 'do']").message(0x1234);
    let read = Message::from_vec(&message).unwrap();
    assert_eq!(read.metadata.id, 0x1234);
    let flags = &read.metadata;
    assert_eq!(
        (flags.recursion_desired, flags.checking_disabled, flags.authentic_data),
        (false, true, false)
    );
    let query = Query::query("health.example.".parse().unwrap(), Type::TXT);
    assert_eq!(read.queries[0].name, query.name);
    assert_eq!((read.queries[0].query_type, read.queries[0].query_class), (Type::TXT, DNSClass::CH));
    assert!(read.edns.unwrap().flags().dnssec_ok);
}

#[test]
fn without_a_query_the_first_route_is_asked_for() {
    let usual = |patterns: &[&str]| {
        let patterns: Vec<Pattern> = patterns.iter().map(|text| text.parse().unwrap()).collect();
        Question::new(&Check::default(), patterns.iter()).text().to_owned()
    };
    assert_eq!(usual(&[]), ". NS");
    assert_eq!(usual(&["."]), ". NS");
    assert_eq!(usual(&[".", "a.example", "b.example"]), "a.example SOA");
    assert_eq!(usual(&["=www.example"]), "www.example SOA");
    assert_eq!(usual(&["*.dev.example"]), "dproxy-check.dev.example SOA", "the name itself may be another's");
    let query = CheckQuery { record_type: RecordType(1), ..CheckQuery::soa(Name::root()) };
    let named = Check { query: Some(query), ..Check::default() };
    assert_eq!(Question::new(&named, ["a.example".parse().unwrap()].iter()).text(), ". A");
}

#[test]
fn a_response_has_the_id_and_the_question() {
    let question = question("query = 'a.example SOA'");
    let good = response(&question, ResponseCode::NoError, &[soa(1)]);
    assert!(question.is_response(&good, 7));
    assert!(!question.is_response(&good, 8));
    assert!(!question.is_response(&question.message(7), 7), "that is the query");
    let mut other = good.clone();
    other[13] = b'b';
    assert!(!question.is_response(&other, 7));
    other[13] = b'A';
    assert!(question.is_response(&other, 7));
    assert!((0..30).all(|length| !question.is_response(&good[..length.min(20)], 7)));
    let formerr = [0, 7, 0x80, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    assert!(question.is_response(&formerr, 7));
    let mut noerror = formerr;
    noerror[3] &= 0xf0;
    assert!(!question.is_response(&noerror, 7), "only an error may come without the question");
}

#[test]
fn servfail_is_never_well_unless_it_is_wanted() {
    let usual = question("query = 'a.example SOA'");
    let judge = |question: &Question, code| {
        question.judge(&response(question, code, &[]), Transport::Udp).map_err(|failure| failure.to_string())
    };
    assert_eq!(judge(&usual, ResponseCode::NXDomain), Ok(Said::default()));
    assert_eq!(
        judge(&usual, ResponseCode::ServFail).unwrap_err(),
        "answers SERVFAIL over UDP instead of NOERROR or NXDOMAIN"
    );
    assert!(judge(&usual, ResponseCode::Refused).is_err());
    let wanted = question("query = 'a.example SOA'\nexpect = ['servfail']");
    assert!(judge(&wanted, ResponseCode::ServFail).is_ok());
    assert!(judge(&wanted, ResponseCode::NoError).is_err());
}

#[test]
fn an_answer_has_the_data_expected() {
    let question = question("query = 'a.example A'\nanswer = '192.0.2.1'");
    let judge =
        |data: &[RData]| question.judge(&response(&question, ResponseCode::NoError, data), Transport::Udp);
    let a = |last| RData::A(A::new(192, 0, 2, last));
    assert!(judge(&[a(9), a(1)]).is_ok());
    let failure = judge(&[a(8), a(9)]).unwrap_err();
    assert_eq!(failure.to_string(), "answers 192.0.2.8, 192.0.2.9 instead of 192.0.2.1");
    assert_eq!(judge(&[]).unwrap_err().to_string(), "answers with no record instead of 192.0.2.1");
    let text = Question::new(&check("query = 'a. TXT CH'\nanswer = 'Hello'"), [].iter());
    let hello = RData::TXT(TXT::new(vec!["hello".to_owned()]));
    assert!(text.judge(&response(&text, ResponseCode::NoError, &[hello]), Transport::Tcp).is_ok());
}

#[test]
fn a_serial_is_read_if_it_is_wanted() {
    let question = question("query = 'a.example SOA'\nserial_lag = 0");
    let judge =
        |data: &[RData]| question.judge(&response(&question, ResponseCode::NoError, data), Transport::Udp);
    assert_eq!(judge(&[soa(2026)]), Ok(Said { serial: Some(2026) }));
    assert_eq!(judge(&[]), Err(Failure::NoSerial));
    let mut damaged = response(&question, ResponseCode::NoError, &[soa(1)]);
    damaged.truncate(40);
    assert_eq!(question.judge(&damaged, Transport::Tcp), Err(Failure::NoResponse(Transport::Tcp)));
}
