//! Embedded DNS servers: real answers from a DNS library, inside a namespace, counted.

mod dynamic;
mod listen;
mod plain;
mod records;
mod respond;
mod service;
mod synthetic;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use anyhow::Result;
use hickory_proto::rr::{Name, RData};

pub use self::dynamic::{DynamicZone, HttpUpdate};
pub use self::plain::PlainZone;
pub use self::records::Records;
pub use self::synthetic::SyntheticZone;

use self::service::Service;
use crate::Namespace;

/// What a server has to tell about one zone.
pub trait Zone: Send + Sync + 'static {
    /// The name of the zone. Its SOA and NS records are the server's business.
    fn origin(&self) -> &Name;

    /// All record data at `name`, which is in the zone; `None`: there is no such name.
    fn records(&self, name: &Name) -> Option<Vec<RData>>;
}

/// A running DNS server, UDP and TCP; it stops on drop.
///
/// Besides its zone it answers `whoami.<zone> TXT`, any name below that and, in class CH, `id.server. TXT` and
/// `hostname.bind. TXT` with its own name.
#[derive(Debug)]
pub struct Server {
    _service: Service,
    identity: Arc<Identity>,
}

/// How many queries a server got; a message that is no query at all does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Queries {
    /// Over UDP.
    pub udp: u64,
    /// Over TCP.
    pub tcp: u64,
}

/// What a server knows, shared with its thread.
struct Identity {
    name: String,
    addresses: Vec<SocketAddr>,
    zone: Arc<dyn Zone>,
    udp: AtomicU64,
    tcp: AtomicU64,
    fault: AtomicU8,
}

/// What a server does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// It answers SERVFAIL to everything.
    Servfail,
    /// The same to whoever asks for an SOA record, as checks of health do.
    ServfailSoa,
}

impl Server {
    /// Starts a server that calls itself `name`; when this returns, its `addresses` are open.
    pub fn start(
        namespace: &Namespace,
        name: &str,
        addresses: &[SocketAddr],
        zone: Arc<dyn Zone>,
    ) -> Result<Self> {
        let identity = Arc::new(Identity {
            name: name.to_owned(),
            addresses: addresses.to_owned(),
            zone,
            udp: AtomicU64::new(0),
            tcp: AtomicU64::new(0),
            fault: AtomicU8::new(Fault::None as u8),
        });
        let served = Arc::clone(&identity);
        let service = Service::start(namespace, name, move || listen::open(served))?;
        Ok(Self { _service: service, identity })
    }

    /// The name with which it answers `whoami`.
    pub fn name(&self) -> &str {
        &self.identity.name
    }

    /// Where it listens.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.identity.addresses
    }

    /// Lets it go wrong from now on.
    pub fn set_fault(&self, fault: Fault) {
        self.identity.fault.store(fault as u8, Ordering::Relaxed);
    }

    /// The queries it got since it started. A query is counted before it is answered.
    pub fn queries(&self) -> Queries {
        let Identity { udp, tcp, .. } = &*self.identity;
        Queries { udp: udp.load(Ordering::Relaxed), tcp: tcp.load(Ordering::Relaxed) }
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} ({})", self.name, self.zone.origin())
    }
}
