//! The backend: it reflects queries, far faster than any balancer hands them on. Over UDP an XDP program
//! does, over TCP we do.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::time::Duration;

use anyhow::{Context, Result};
use dproxy_lab::{Namespace, XdpReflector};

use crate::chain::{BACKEND, Chain, Reflecting};
use crate::load::{MessageStream, Peer};
use crate::scenario::Transport;

/// Answers over one transport, until it is dropped.
#[derive(Debug)]
pub enum Backend {
    /// In XDP.
    Udp {
        /// Until it is dropped.
        _reflecting: Reflecting,
    },
    /// Turn by turn.
    Tcp(TcpReflector),
}

impl Backend {
    /// Prepares the chain for queries over this transport, and answers.
    pub fn start(chain: &Chain, transport: Transport) -> Result<Self> {
        Ok(match transport {
            Transport::Udp => Self::Udp { _reflecting: chain.reflect()? },
            Transport::Tcp => {
                chain.set_offloads(true)?;
                Self::Tcp(TcpReflector::start(&chain.backend)?)
            }
        })
    }
}

impl Peer for Backend {
    fn turn(&mut self, now: Duration) -> Result<()> {
        match self {
            Self::Udp { .. } => Ok(()),
            Self::Tcp(reflector) => reflector.turn(now),
        }
    }
}

/// Answers every query on every connection, in order, at once.
#[derive(Debug)]
pub struct TcpReflector {
    listener: TcpListener,
    connections: Vec<MessageStream>,
}

impl TcpReflector {
    /// Listens in the backend's namespace.
    pub fn start(backend: &Namespace) -> Result<Self> {
        let listener = backend.enter(|| TcpListener::bind(BACKEND))?.context("listen as the backend")?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener, connections: Vec::new() })
    }
}

impl Peer for TcpReflector {
    fn turn(&mut self, _now: Duration) -> Result<()> {
        match self.listener.accept() {
            Ok((socket, _)) => self.connections.push(MessageStream::new(socket)?),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error).context("accept as the backend"),
        }
        // A connection that breaks is the balancer's loss: its queries go unanswered, and are counted.
        self.connections.retain_mut(|connection| reflect(connection).unwrap_or(false));
        Ok(())
    }
}

/// Whether the connection goes on.
fn reflect(connection: &mut MessageStream) -> std::io::Result<bool> {
    // Whoever does not read its answers gets no more of them.
    let open = !connection.output.is_empty() || connection.receive()?;
    while let Some(message) = connection.input.next_message() {
        let Some((id, flags)) = message.first_chunk().map(|[a, b, c, d]| ([*a, *b], [*c, *d])) else {
            return Ok(false);
        };
        let flags = u16::from_be_bytes(flags) | XdpReflector::MARK;
        message[2..4].copy_from_slice(&flags.to_be_bytes());
        connection.output.push(u16::from_be_bytes(id), message);
    }
    connection.flush()?;
    Ok(open)
}
