//! A DNS client: one question, one answer.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use hickory_proto::op::{Edns, Message, Query};
use hickory_proto::rr::{DNSClass, Name, RecordType};
use thiserror::Error;

use crate::Namespace;

/// A question to a DNS server; [`ask`](Self::ask) sends it once.
#[derive(Debug, Clone)]
pub struct Question {
    query: Query,
    edns: Option<Edns>,
    tcp: bool,
    timeout: Duration,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The message, read.
    pub message: Message,
    /// The message as it came.
    pub raw: Vec<u8>,
    /// From sending to receiving.
    pub time: Duration,
}

/// Why there is no reply.
#[derive(Debug, Error)]
pub enum AskError {
    /// The server did not reply in time.
    #[error("no reply from {server} within {timeout:?}")]
    Timeout {
        /// Who was asked.
        server: SocketAddr,
        /// How long we waited.
        timeout: Duration,
    },
    /// The system refused, or the way to the server did: an ICMP error, or a closed connection.
    #[error("ask {server}")]
    Io {
        /// Who was asked.
        server: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Something came from the server that is no DNS message.
    #[error("the reply is not a DNS message: {0}")]
    Malformed(String),
}

impl Question {
    /// A question in class IN, over UDP, without EDNS, that waits two seconds.
    pub fn new(name: Name, record_type: RecordType) -> Self {
        let query = Query::query(name, record_type);
        Self { query, edns: None, tcp: false, timeout: Duration::from_secs(2) }
    }

    /// Asks in another class.
    pub fn class(mut self, class: DNSClass) -> Self {
        self.query.set_query_class(class);
        self
    }

    /// Adds an OPT record that allows responses of this size over UDP.
    pub fn edns(mut self, udp_size: u16) -> Self {
        let mut edns = Edns::new();
        edns.set_max_payload(udp_size);
        self.edns = Some(edns);
        self
    }

    /// Asks over TCP.
    pub fn tcp(mut self) -> Self {
        self.tcp = true;
        self
    }

    /// Waits this long.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sends the question to `server` from inside `namespace`, and waits for the reply with its ID.
    pub fn ask(&self, namespace: &Namespace, server: SocketAddr) -> Result<Reply, AskError> {
        let mut message = Message::query();
        message.metadata.recursion_desired = true;
        message.add_query(self.query.clone());
        message.edns = self.edns.clone();
        let query = message.to_vec().map_err(|error| AskError::Malformed(error.to_string()))?;

        let exchange = || if self.tcp { self.ask_tcp(&query, server) } else { self.ask_udp(&query, server) };
        let exchanged = namespace.enter(exchange).unwrap_or_else(|error| Err(io::Error::other(error)));
        let (raw, time) = exchanged.map_err(|source| {
            if matches!(source.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock) {
                AskError::Timeout { server, timeout: self.timeout }
            } else {
                AskError::Io { server, source }
            }
        })?;
        let message = Message::from_vec(&raw).map_err(|error| AskError::Malformed(error.to_string()))?;
        Ok(Reply { message, raw, time })
    }

    fn ask_udp(&self, query: &[u8], server: SocketAddr) -> io::Result<(Vec<u8>, Duration)> {
        let socket = match server {
            SocketAddr::V4(_) => UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?,
            SocketAddr::V6(_) => UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))?,
        };
        socket.connect(server)?;
        let start = Instant::now();
        socket.send(query)?;
        let mut buffer = vec![0; usize::from(u16::MAX)];
        loop {
            let left = self.timeout.checked_sub(start.elapsed()).filter(|left| !left.is_zero());
            socket.set_read_timeout(Some(left.ok_or(ErrorKind::TimedOut)?))?;
            let length = socket.recv(&mut buffer)?;
            if buffer[..length].get(..2) == query.get(..2) {
                return Ok((buffer[..length].to_vec(), start.elapsed()));
            }
        }
    }

    fn ask_tcp(&self, query: &[u8], server: SocketAddr) -> io::Result<(Vec<u8>, Duration)> {
        let start = Instant::now();
        let mut stream = TcpStream::connect_timeout(&server, self.timeout)?;
        stream.set_read_timeout(Some(self.timeout))?;
        let length = u16::try_from(query.len()).map_err(io::Error::other)?;
        stream.write_all(&[&length.to_be_bytes(), query].concat())?;
        let mut length = [0; 2];
        stream.read_exact(&mut length)?;
        let mut raw = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut raw)?;
        Ok((raw, start.elapsed()))
    }
}
