//! What tests of the slow path have in common.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use dproxy_common::abi::BackendLive;

use super::{Counters, Limits, Options, Reason, SlowPath, View};
use crate::config::Config;
use crate::control::{Capacity, Host, Ids, compile};

/// Much longer than anything on one machine takes.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// A configuration from its text, `[listen]` aside.
pub(super) fn config(listeners: &[SocketAddr], text: &str) -> Config {
    let addresses: Vec<String> = listeners.iter().map(|address| format!("{address:?}")).collect();
    let addresses: Vec<String> = addresses.iter().map(|address| format!("\"{address}\"")).collect();
    let text = format!("[listen]\nxdp = \"off\"\naddresses = [{}]\n{text}", addresses.join(", "));
    Config::parse(&text, "test.toml").unwrap_or_else(|error| panic!("{error}"))
}

/// Its tables, as if every backend could be reached.
pub(super) fn view(config: &Config) -> View {
    let capacity = capacity();
    let snapshot = compile(config, &Host::default(), &Ids::new(&capacity), 1, &capacity).unwrap();
    let names = Arc::new(snapshot.names.clone());
    View::of(config, snapshot.into(), names, |_| BackendLive::reachable(0))
}

fn capacity() -> Capacity {
    Capacity::for_routes(1024, 10)
}

/// A slow path that serves a configuration.
pub(super) fn serve(config: &Config, limits: Limits) -> SlowPath {
    let slow_path = SlowPath::start(&options(config, limits)).unwrap_or_else(|error| panic!("{error}"));
    slow_path.publish(view(config));
    slow_path
}

/// What it needs to know to start.
pub(super) fn options(config: &Config, limits: Limits) -> Options {
    Options { limits, ..Options::new(config, capacity()) }
}

/// An address of the loopback interface for this test alone: a free port could be given to another test's
/// connection a moment later.
pub(super) fn free_address() -> SocketAddr {
    static TAKEN: AtomicU16 = AtomicU16::new(0);
    let [high, low] = (std::process::id() as u16).to_be_bytes();
    let number = TAKEN.fetch_add(1, Ordering::Relaxed);
    SocketAddr::from(([127, high, low, 1], 10_000 + number))
}

/// Waits until a counter has a value.
pub(super) fn wait_for(slow_path: &SlowPath, reason: Reason, number: u64) -> Counters {
    let start = Instant::now();
    loop {
        let counters = slow_path.counters();
        let counted = counters.reasons[reason as usize];
        if counted == number {
            return counters;
        }
        assert!(start.elapsed() < PATIENCE, "{} is {counted}, not {number}", reason.label());
        std::thread::yield_now();
    }
}

/// A query for a name, without EDNS.
pub(super) fn query(id: u16, name: &str, rr_type: u16) -> Vec<u8> {
    let mut message = id.to_be_bytes().to_vec();
    message.extend_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.').filter(|label| !label.is_empty()) {
        message.push(label.len() as u8);
        message.extend_from_slice(label.as_bytes());
    }
    message.push(0);
    message.extend_from_slice(&rr_type.to_be_bytes());
    message.extend_from_slice(&1u16.to_be_bytes());
    message
}

/// The response to it: NOERROR, without records.
pub(super) fn response(query: &[u8]) -> Vec<u8> {
    let mut message = query.to_vec();
    message[2] |= 0x80;
    message
}
