//! A client over TCP.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use dproxy_lab::Namespace;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, bind, connect, socket};

/// Much longer than any answer in one machine takes, but for the largest ones.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection over which any messages are sent, and received.
pub struct TcpAsker {
    stream: TcpStream,
}

impl TcpAsker {
    /// Connects to `server` out of `namespace`.
    pub fn new(namespace: &Namespace, server: SocketAddr) -> Self {
        Self::try_new(namespace, server).unwrap_or_else(|error| panic!("connect to {server}: {error}"))
    }

    /// Connects to `server` out of `namespace`, from an address.
    pub fn from(namespace: &Namespace, from: IpAddr, server: SocketAddr) -> Self {
        let connected = || -> nix::Result<OwnedFd> {
            let family = if from.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
            let stream = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
            bind(stream.as_raw_fd(), &SockaddrStorage::from(SocketAddr::new(from, 0)))?;
            connect(stream.as_raw_fd(), &SockaddrStorage::from(server))?;
            Ok(stream)
        };
        let stream = namespace.enter(connected).unwrap();
        let stream = stream.unwrap_or_else(|error| panic!("connect from {from} to {server}: {error}"));
        Self::on(stream.into()).unwrap()
    }

    /// The same as [`new`](Self::new), if it can be.
    pub fn try_new(namespace: &Namespace, server: SocketAddr) -> io::Result<Self> {
        let stream = namespace.enter(|| TcpStream::connect_timeout(&server, PATIENCE)).unwrap()?;
        Self::on(stream)
    }

    fn on(stream: TcpStream) -> io::Result<Self> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream })
    }

    /// The connection itself.
    pub fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// Sends messages in one piece.
    pub fn send<'m>(&mut self, messages: impl IntoIterator<Item = &'m [u8]>) {
        let octets: Vec<u8> = messages.into_iter().flat_map(framed).collect();
        self.stream.write_all(&octets).unwrap();
    }

    /// Ends the connection, and waits until the other side has done so, too.
    pub fn close(mut self) {
        self.end();
        let rest = self.stream.read_to_end(&mut Vec::new());
        rest.unwrap_or_else(|error| panic!("the other side does not close: {error}"));
    }

    /// Sends no more. What is under way still comes.
    pub fn end(&mut self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Receives a message.
    pub fn receive(&mut self) -> Vec<u8> {
        self.try_receive().unwrap_or_else(|error| panic!("no message came: {error}"))
    }

    /// Receives a message, unless the server has closed the connection or is silent.
    pub fn try_receive(&mut self) -> io::Result<Vec<u8>> {
        let mut length = [0; 2];
        self.stream.read_exact(&mut length)?;
        let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
        self.stream.read_exact(&mut message)?;
        Ok(message)
    }

    /// The response to a message, in octets.
    pub fn exchange(&mut self, query: &[u8]) -> Result<Vec<u8>, ErrorKind> {
        self.send([query]);
        self.try_receive().map_err(|error| error.kind())
    }
}

/// A message as it is on a connection (RFC 1035 §4.2.2).
pub fn framed(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u16).to_be_bytes(), message].concat()
}
