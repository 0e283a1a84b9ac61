//! What the slow path may use.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZero;
use std::sync::{Mutex, PoisonError};
use std::thread::available_parallelism;
use std::time::Duration;

use crate::config;

/// What the slow path may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Threads, at least 1.
    pub workers: usize,
    /// A client's patience: after a third of it a query over UDP goes to another backend, at its end the
    /// answer is SERVFAIL.
    pub timeout: Duration,
    /// How long a client's TCP connection may be idle.
    pub idle_timeout: Duration,
    /// TCP connections of clients, in all.
    pub tcp_connections: usize,
    /// TCP connections of one client: an IPv4 address, or an IPv6 /64.
    pub tcp_connections_per_client: usize,
    /// Queries in flight, of each worker and over each of UDP and TCP.
    pub queries_in_flight: usize,
}

impl From<&config::SlowPath> for Limits {
    fn from(settings: &config::SlowPath) -> Self {
        let config::SlowPath { workers, timeout, idle_timeout, .. } = *settings;
        let processors = || available_parallelism().map_or(1, NonZero::get);
        Self {
            workers: workers.map_or_else(processors, |workers| workers as usize),
            timeout,
            idle_timeout,
            tcp_connections: settings.tcp_connections as usize,
            tcp_connections_per_client: settings.tcp_connections_per_client as usize,
            queries_in_flight: settings.queries_in_flight as usize,
        }
    }
}

/// The TCP connections of all clients, shared by the workers.
#[derive(Debug)]
pub(super) struct Connections {
    limit: usize,
    limit_per_client: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    total: usize,
    by_client: HashMap<IpAddr, usize>,
}

/// Why a connection is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// Too many in all.
    Total,
    /// Too many of this client.
    Client,
}

impl Connections {
    pub(super) fn new(limits: &Limits) -> Self {
        let Limits { tcp_connections, tcp_connections_per_client, .. } = *limits;
        Self { limit: tcp_connections, limit_per_client: tcp_connections_per_client, open: Mutex::default() }
    }

    /// Takes a connection of a client; to be [released](Self::release).
    pub(super) fn take(&self, client: IpAddr) -> Result<(), Full> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.total >= self.limit {
            return Err(Full::Total);
        }
        let of_client = open.by_client.entry(prefix(client)).or_default();
        if *of_client >= self.limit_per_client {
            return Err(Full::Client);
        }
        *of_client += 1;
        open.total += 1;
        Ok(())
    }

    /// Gives a connection back.
    pub(super) fn release(&self, client: IpAddr) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.total = open.total.saturating_sub(1);
        let client = prefix(client);
        if let Some(of_client) = open.by_client.get_mut(&client) {
            *of_client -= 1;
            if *of_client == 0 {
                open.by_client.remove(&client);
            }
        }
    }

    /// How many there are, in per cent of the limit.
    pub(super) fn percent(&self) -> usize {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.total * 100 / self.limit.max(1)
    }
}

/// What counts as one client: a host has a whole /64 of IPv6 addresses (RFC 7421).
pub(super) fn prefix(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V4(_) => client,
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) >> 64 << 64).into()),
    }
}

#[cfg(test)]
impl Limits {
    /// Small ones.
    pub(super) fn for_tests() -> Self {
        Self {
            workers: 1,
            timeout: Duration::from_millis(300),
            idle_timeout: Duration::from_secs(1),
            tcp_connections: 100,
            tcp_connections_per_client: 50,
            queries_in_flight: 1024,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_limited_by_client_and_in_all() {
        let limits = Limits { tcp_connections: 3, tcp_connections_per_client: 2, ..Limits::for_tests() };
        let connections = Connections::new(&limits);
        let [a, b]: [IpAddr; 2] = ["2001:db8::1", "2001:db8::2"].map(|text| text.parse().unwrap());
        let other: IpAddr = "192.0.2.1".parse().unwrap();
        assert_eq!(connections.take(a), Ok(()));
        assert_eq!(connections.take(b), Ok(()), "another host of the same network");
        assert_eq!(connections.take(a), Err(Full::Client));
        assert_eq!(connections.take(other), Ok(()));
        assert_eq!(connections.take(other), Err(Full::Total));
        connections.release(b);
        assert_eq!(connections.take(a), Ok(()));
    }
}
