use std::net::UdpSocket as StdUdp;

use std::sync::Arc;

use tokio::net::{TcpListener, UdpSocket};

use super::super::udp::Udp;
use super::*;
use crate::config::Check;

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn question(text: &str) -> Question {
    let check: Check =
        toml::from_str(&format!("query = 'a.example SOA'\ntimeout = '200ms'\n{text}")).unwrap();
    Question::new(&check, [].iter())
}

/// A server of both transports that answers with this response code; the number is how many wrong messages come before
/// the right one.
async fn server(code: u8, wrong: usize) -> SocketAddr {
    let tcp = TcpListener::bind((LOCALHOST, 0)).await.unwrap();
    let address = tcp.local_addr().unwrap();
    let udp = UdpSocket::bind(address).await.unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 512];
        while let Ok((length, client)) = udp.recv_from(&mut buffer).await {
            for _ in 0..wrong {
                udp.send_to(&buffer[..length], client).await.unwrap();
            }
            udp.send_to(&respond(&buffer[..length], code), client).await.unwrap();
        }
    });
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = tcp.accept().await {
            let mut query = vec![0; usize::from(stream.read_u16().await.unwrap())];
            stream.read_exact(&mut query).await.unwrap();
            let response = respond(&query, code);
            stream.write_u16(response.len() as u16).await.unwrap();
            stream.write_all(&response).await.unwrap();
        }
    });
    address
}

fn respond(query: &[u8], code: u8) -> Vec<u8> {
    let mut response = query.to_vec();
    response[2] |= 0x80;
    response[3] = code;
    response
}

/// What the thread does.
async fn ask(target: SocketAddr, source: Option<IpAddr>, question: &Question, with_tcp: bool) -> Report {
    let (mut udp, mut over_udp) = (Udp::new(), None);
    if question.transports.contains(&Transport::Udp) {
        let question = Arc::new(question.clone());
        let mut answers = Vec::from_iter(udp.ask(("pool".into(), target), source, question, Instant::now()));
        answers.extend(udp.flush());
        while answers.is_empty() {
            udp.ready().await;
            answers = udp.receive();
        }
        over_udp = answers.pop().map(|answer| (answer.ended, answer.took));
    }
    let with_tcp = with_tcp && question.transports.contains(&Transport::Tcp) || over_udp.is_none();
    let tcp = if with_tcp { Some(over_tcp(target, source, question).await) } else { None };
    report(target, over_udp, tcp)
}

async fn outcome(target: SocketAddr, question: &Question, with_tcp: bool) -> String {
    match ask(target, Some(LOCALHOST), question, with_tcp).await.outcome {
        Outcome::Success(_) => "well".to_owned(),
        Outcome::Failure(failure, _) => failure.to_string(),
        Outcome::Void => "void".to_owned(),
    }
}

#[tokio::test]
async fn a_server_that_answers_is_well() {
    let target = server(0, 3).await;
    assert_eq!(outcome(target, &question(""), true).await, "well", "whatever else comes before");
    assert_eq!(outcome(target, &question("transports = ['tcp']"), false).await, "well");
}

#[tokio::test]
async fn a_server_that_fails_is_not() {
    let target = server(2, 0).await;
    let says = "answers SERVFAIL over UDP instead of NOERROR or NXDOMAIN";
    assert_eq!(outcome(target, &question(""), true).await, says);
}

#[tokio::test]
async fn nobody_listens() {
    let closed = StdUdp::bind((LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let of = |transport| question(&format!("transports = ['{transport}']"));
    assert_eq!(outcome(closed, &of("udp"), false).await, "nobody listens on its port (UDP)");
    assert_eq!(outcome(closed, &of("tcp"), false).await, "nobody listens on its port (TCP)");
}

#[tokio::test]
async fn tcp_alone_is_dead() {
    let udp = UdpSocket::bind((LOCALHOST, 0)).await.unwrap();
    let target = udp.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 512];
        while let Ok((length, client)) = udp.recv_from(&mut buffer).await {
            udp.send_to(&respond(&buffer[..length], 0), client).await.unwrap();
        }
    });
    assert_eq!(outcome(target, &question(""), false).await, "well", "not asked this time");
    assert_eq!(outcome(target, &question(""), true).await, "nobody listens on its port (TCP)");
    assert_eq!(outcome(target, &question("transports = ['udp']"), true).await, "well", "not wanted");
}

#[tokio::test]
async fn silence_lasts_as_long_as_the_patience() {
    let silent = StdUdp::bind((LOCALHOST, 0)).unwrap();
    let (target, begin) = (silent.local_addr().unwrap(), Instant::now());
    let only = question("transports = ['udp']");
    assert_eq!(outcome(target, &only, false).await, "no reply over UDP within 200 ms");
    assert!(begin.elapsed() >= Duration::from_millis(200));
}

#[tokio::test]
async fn what_this_host_cannot_do_is_held_against_nobody() {
    let target = server(0, 0).await;
    let elsewhere = Some("192.0.2.1".parse().unwrap());
    let report = ask(target, elsewhere, &question(""), true).await;
    assert_eq!(report.outcome, Outcome::Void);
}
