//! Makes a check: asks a backend over UDP and TCP.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, UdpSocket};
use tokio::time::timeout;
use tracing::debug;

use super::cause::{Failure, Void};
use super::checks::Report;
use super::member::Outcome;
use super::question::{Question, Said};
use crate::config::Transport;

/// What became of asking over one transport.
enum Ended {
    Right(Said),
    Wrong(Failure),
    Void(Void),
}

/// Asks a backend, from this address of ours if it is known which, and says how that ended.
pub async fn ask(target: SocketAddr, source: Option<IpAddr>, question: &Question, with_tcp: bool) -> Report {
    let begin = Instant::now();
    let udp = async {
        let wanted = question.transports.contains(&Transport::Udp);
        if !wanted {
            return (None, begin.elapsed());
        }
        let ended = over(Transport::Udp, question, ask_udp(target, source, question)).await;
        (Some(ended), begin.elapsed())
    };
    let tcp = async {
        let is_only = question.transports == [Transport::Tcp];
        let wanted = question.transports.contains(&Transport::Tcp) && (with_tcp || is_only);
        if wanted {
            Some(over(Transport::Tcp, question, ask_tcp(target, source, question)).await)
        } else {
            None
        }
    };
    let ((udp, udp_time), tcp) = tokio::join!(udp, tcp);
    // Over UDP, if it was asked so: TCP takes longer, and is not always asked.
    let took = if udp.is_some() { udp_time } else { begin.elapsed() };
    let mut report = Report { outcome: Outcome::Success(took), said: Said::default() };
    for ended in udp.into_iter().chain(tcp) {
        match (ended, &report.outcome) {
            (Ended::Right(said), _) => report.said.serial = report.said.serial.or(said.serial),
            (Ended::Wrong(_), Outcome::Failure(..)) | (Ended::Void(_), Outcome::Failure(..)) => {}
            (Ended::Wrong(failure), _) => report.outcome = Outcome::Failure(failure, begin.elapsed()),
            (Ended::Void(why), _) => {
                debug!("the check of {target} says nothing: {why}");
                report.outcome = Outcome::Void;
            }
        }
    }
    report
}

/// Bounds the time; tells a backend that is late from a daemon that is.
async fn over(transport: Transport, question: &Question, ask: impl Future<Output = Ended>) -> Ended {
    let begin = Instant::now();
    match timeout(question.patience, ask).await {
        Ok(ended) => ended,
        Err(_) if begin.elapsed() > question.patience + question.patience / 2 + SLACK => {
            Ended::Void(Void::Stalled)
        }
        Err(_) => Ended::Wrong(Failure::Timeout(transport, question.patience)),
    }
}

/// A processor that is busy wakes us so much late at times.
const SLACK: Duration = Duration::from_millis(20);

async fn ask_udp(target: SocketAddr, source: Option<IpAddr>, question: &Question) -> Ended {
    let socket = match UdpSocket::bind(local(target, source)).await {
        Ok(socket) => socket,
        Err(error) => return Ended::Void(not_ours(error, source)),
    };
    let id = random_id();
    let sent = async {
        socket.connect(target).await?;
        socket.send(&question.message(id)).await
    };
    if let Err(error) = sent.await {
        return failed(Transport::Udp, &error);
    }
    let mut buffer = vec![0; 4096];
    loop {
        match socket.recv(&mut buffer).await {
            // Somebody else may be guessing: what is no response is not waited for any less.
            Ok(length) if !question.is_response(&buffer[..length], id) => {}
            Ok(length) => return judged(question, &buffer[..length], Transport::Udp),
            Err(error) => return failed(Transport::Udp, &error),
        }
    }
}

async fn ask_tcp(target: SocketAddr, source: Option<IpAddr>, question: &Question) -> Ended {
    let socket = if target.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
    let bound = socket.and_then(|socket| {
        if source.is_some() {
            socket.bind(local(target, source))?;
        }
        Ok(socket)
    });
    let socket = match bound {
        Ok(socket) => socket,
        Err(error) => return Ended::Void(not_ours(error, source)),
    };
    let id = random_id();
    let message = question.message(id);
    let asked = async {
        let mut stream = socket.connect(target).await?;
        let framed = [&(message.len() as u16).to_be_bytes()[..], &message].concat();
        stream.write_all(&framed).await?;
        let mut reply = vec![0; usize::from(stream.read_u16().await?)];
        stream.read_exact(&mut reply).await?;
        Ok(reply)
    };
    match asked.await {
        Ok(reply) if !question.is_response(&reply, id) => Ended::Wrong(Failure::NoResponse(Transport::Tcp)),
        Ok(reply) => judged(question, &reply, Transport::Tcp),
        Err(error) => failed(Transport::Tcp, &error),
    }
}

fn judged(question: &Question, response: &[u8], transport: Transport) -> Ended {
    question.judge(response, transport).map_or_else(Ended::Wrong, Ended::Right)
}

fn local(target: SocketAddr, source: Option<IpAddr>) -> SocketAddr {
    let any = match target {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    SocketAddr::new(source.unwrap_or(any), 0)
}

fn not_ours(error: io::Error, source: Option<IpAddr>) -> Void {
    match source {
        Some(source) if error.kind() == ErrorKind::AddrNotAvailable => Void::Source(source),
        Some(_) | None => Void::Local(error.to_string()),
    }
}

/// Errors that say that there is no way to the backend.
const NO_WAY: [ErrorKind; 3] =
    [ErrorKind::HostUnreachable, ErrorKind::NetworkUnreachable, ErrorKind::TimedOut];
/// Errors that say that it has ended the connection.
const BROKEN: [ErrorKind; 3] = [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];

/// What an error says about the backend, if it says anything.
fn failed(transport: Transport, error: &io::Error) -> Ended {
    let kind = error.kind();
    if kind == ErrorKind::ConnectionRefused {
        Ended::Wrong(Failure::Closed(transport))
    } else if NO_WAY.contains(&kind) {
        Ended::Wrong(Failure::NoWay(transport, error.to_string()))
    } else if BROKEN.contains(&kind) {
        Ended::Wrong(Failure::Broken)
    } else {
        // A firewall on this host, no room, no ports.
        Ended::Void(Void::Local(error.to_string()))
    }
}

/// One that nobody can guess.
fn random_id() -> u16 {
    RandomState::new().build_hasher().finish() as u16
}

#[cfg(test)]
mod tests;
