//! Makes a check: asks a backend over TCP, and says what the ends of a check mean. [`udp`](super::udp) asks over UDP.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::time::timeout;
use tracing::debug;

use super::cause::{Failure, Void};
use super::checks::Report;
use super::member::Outcome;
use super::question::{Question, Said};
use crate::config::Transport;

/// What became of asking over one transport.
#[derive(Debug)]
pub enum Ended {
    /// The reply is right.
    Right(Said),
    /// It is not, or there is none.
    Wrong(Failure),
    /// Nobody can say.
    Void(Void),
}

/// What a check was worth that ended so over UDP and over TCP, after so long, if it was made so. It took as long as it
/// did over UDP, if it was made so: TCP takes longer, and is not always asked.
pub fn report(target: SocketAddr, udp: Option<(Ended, Duration)>, tcp: Option<(Ended, Duration)>) -> Report {
    let took = udp.as_ref().or(tcp.as_ref()).map(|(_, took)| *took).unwrap_or_default();
    let mut report = Report { outcome: Outcome::Success(took), said: Said::default() };
    for (ended, took) in udp.into_iter().chain(tcp) {
        match (ended, &report.outcome) {
            (Ended::Right(said), _) => report.said.serial = report.said.serial.or(said.serial),
            (Ended::Wrong(_) | Ended::Void(_), Outcome::Failure(..)) => {}
            (Ended::Wrong(failure), _) => report.outcome = Outcome::Failure(failure, took),
            (Ended::Void(why), _) => {
                debug!("the check of {target} says nothing: {why}");
                report.outcome = Outcome::Void;
            }
        }
    }
    report
}

/// Asks a backend over TCP, from this address of ours if it is known which, and says how that ended, and how long it
/// took.
pub async fn over_tcp(target: SocketAddr, source: Option<IpAddr>, question: &Question) -> (Ended, Duration) {
    let begin = Instant::now();
    let ended = match timeout(question.patience, ask_tcp(target, source, question)).await {
        Ok(ended) => ended,
        Err(_) if is_stalled(begin.elapsed(), question.patience) => Ended::Void(Void::Stalled),
        Err(_) => Ended::Wrong(Failure::Timeout(Transport::Tcp, question.patience)),
    };
    (ended, begin.elapsed())
}

/// Was it this daemon that came late, after so long without a reply, and not the backend?
pub fn is_stalled(waited: Duration, patience: Duration) -> bool {
    waited > patience + patience / 2 + SLACK
}

/// A processor that is busy wakes us so much late at times.
const SLACK: Duration = Duration::from_millis(20);

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

/// What a response is worth.
pub fn judged(question: &Question, response: &[u8], transport: Transport) -> Ended {
    question.judge(response, transport).map_or_else(Ended::Wrong, Ended::Right)
}

/// The address to ask from.
pub fn local(target: SocketAddr, source: Option<IpAddr>) -> SocketAddr {
    let any = match target {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    SocketAddr::new(source.unwrap_or(any), 0)
}

/// Why there is no socket with that address.
pub fn not_ours(error: io::Error, source: Option<IpAddr>) -> Void {
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
pub fn failed(transport: Transport, error: &io::Error) -> Ended {
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
