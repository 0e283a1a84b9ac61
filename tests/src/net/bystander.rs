//! Somebody who asks while others make trouble.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use dproxy_lab::Namespace;

use super::{Asker, TcpAsker};

/// Queries over each of UDP, one TCP connection, and a new TCP connection for each.
const QUERIES: usize = 200;

/// How long answers took.
#[derive(Clone, Copy, Debug)]
pub struct Latency {
    /// Half of them took no longer.
    pub median: Duration,
    /// 99 of a hundred took no longer.
    pub p99: Duration,
}

impl Latency {
    /// Asks the same query often, over UDP and TCP; each must be answered in the same way.
    pub fn measure(client: &Namespace, server: SocketAddr, query: &[u8]) -> Self {
        let udp = Asker::new(client, server);
        let mut tcp = TcpAsker::new(client, server);
        let expected = udp.exchange(query).unwrap();
        let mut times = Vec::new();
        let mut time = |exchange: &mut dyn FnMut() -> Vec<u8>| {
            let start = Instant::now();
            assert_eq!(exchange(), expected, "a bystander's answer");
            times.push(start.elapsed());
        };
        for _ in 0..QUERIES {
            time(&mut || udp.exchange(query).unwrap());
            time(&mut || tcp.exchange(query).unwrap());
            time(&mut || TcpAsker::new(client, server).exchange(query).unwrap());
        }
        times.sort_unstable();
        Self { median: times[times.len() / 2], p99: times[times.len() * 99 / 100] }
    }

    /// Nobody was delayed: compared with what it was before, but for what a busy machine does by itself.
    pub fn assert_like(self, before: Self) {
        let bound = Duration::from_millis(100) + 10 * before.p99;
        assert!(self.p99 < bound, "a bystander is delayed: {self:?}, before {before:?}");
    }
}
