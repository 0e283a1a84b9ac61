//! A client that looks where a name leads.

use std::io::ErrorKind;
use std::net::UdpSocket;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::chain::{Chain, LISTENER};
use crate::load::{Queries, Wrong};

/// How long an answer may take. None is lost on this way.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where a name leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lead {
    /// A route leads it to the backend.
    Backend,
    /// A route answers it so.
    Nxdomain,
    /// No route is for it.
    Nowhere,
}

/// A client's socket.
#[derive(Debug)]
pub struct Asker {
    socket: UdpSocket,
    id: u16,
}

impl Asker {
    /// One of the chain's client.
    pub fn new(chain: &Chain) -> Result<Self> {
        let socket = chain.client.enter(|| UdpSocket::bind("0.0.0.0:0"))??;
        socket.connect(LISTENER)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { socket, id: 0 })
    }

    /// Asks for a name.
    pub fn ask(&mut self, name: &str) -> Result<Lead> {
        self.id = self.id.wrapping_add(1);
        let queries = Queries::one(name);
        let mut query = queries.message(0).to_vec();
        query[..2].copy_from_slice(&self.id.to_be_bytes());
        self.socket.send(&query).context("ask")?;
        let mut buffer = [0; 512];
        loop {
            let length = match self.socket.recv(&mut buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => bail!("{name}: no answer"),
                received => received.context("wait for an answer")?,
            };
            let response = &buffer[..length];
            if !response.starts_with(&self.id.to_be_bytes()) {
                continue;
            }
            return match queries.check(0, response) {
                Ok(()) => Ok(Lead::Backend),
                Err(Wrong::Flags(flags)) if flags & 0xf == 3 => Ok(Lead::Nxdomain),
                Err(Wrong::Flags(flags)) if flags & 0xf == 5 => Ok(Lead::Nowhere),
                Err(wrong) => bail!("{name}: {wrong:?}"),
            };
        }
    }
}
