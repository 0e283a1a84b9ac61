//! `[fast_path]`, `[slow_path]` and `[control]`.

use std::path::PathBuf;

use toml::de::DeTable;

use super::reader::Reader;
use crate::config::duration::parse_duration;
use crate::config::model::{Control, FastPath, SlowPath};
use crate::config::port_range::PORT_RANGE;
use crate::config::problem::Place;
use crate::config::rules::{
    CONNECTIONS, IDLE_TIMEOUT, QUERIES_IN_FLIGHT, ROUTE_CAPACITY, SLOTS, TIMEOUT, WORKERS,
};

pub(super) fn fast_path(reader: &mut Reader, document: &DeTable<'_>) -> FastPath {
    let mut fast_path = FastPath::default();
    let Some(section) = document.get("fast_path") else { return fast_path };
    let Some(table) = reader.table("fast_path", section, "a table: [fast_path]") else { return fast_path };
    reader.keys("[fast_path]", table, &["slots", "nat_ports", "routes"]);
    if let Some(value) = table.get("slots") {
        reader.remember(Place::Slots, value.span().start);
        if let Some(slots) = reader.integer("fast_path.slots", value, 0..=u32::MAX, SLOTS) {
            fast_path.slots = slots;
        }
    }
    if let Some(value) = table.get("nat_ports") {
        reader.remember(Place::NatPorts, value.span().start);
        match reader.parsed("fast_path.nat_ports", value, PORT_RANGE, str::parse) {
            Some(ports) => fast_path.nat_ports = ports,
            None => reader.spoil(Place::NatPorts),
        }
    }
    if let Some(value) = table.get("routes") {
        reader.remember(Place::RouteCapacity, value.span().start);
        match reader.integer("fast_path.routes", value, 0..=u32::MAX, ROUTE_CAPACITY) {
            Some(routes) => fast_path.routes = routes,
            None => reader.spoil(Place::RouteCapacity),
        }
    }
    fast_path
}

const SLOW_PATH_KEYS: [&str; 6] = [
    "workers",
    "timeout",
    "idle_timeout",
    "tcp_connections",
    "tcp_connections_per_client",
    "queries_in_flight",
];

pub(super) fn slow_path(reader: &mut Reader, document: &DeTable<'_>) -> SlowPath {
    let default = SlowPath::default();
    let Some(section) = document.get("slow_path") else { return default };
    let Some(table) = reader.table("slow_path", section, "a table: [slow_path]") else { return default };
    reader.keys("[slow_path]", table, &SLOW_PATH_KEYS);
    let mut number = |key, allowed| {
        let value = table.get(key)?;
        let place = Place::SlowPath(key);
        let number = reader.integer(&place.to_string(), value, 0..=u32::MAX, allowed);
        reader.remember(place, value.span().start);
        number
    };
    let workers = number("workers", WORKERS);
    let tcp_connections = number("tcp_connections", CONNECTIONS);
    let tcp_connections_per_client = number("tcp_connections_per_client", CONNECTIONS);
    let queries_in_flight = number("queries_in_flight", QUERIES_IN_FLIGHT);
    let mut duration = |key, allowed| {
        let value = table.get(key)?;
        let place = Place::SlowPath(key);
        let duration = reader.parsed(&place.to_string(), value, allowed, parse_duration);
        reader.remember(place, value.span().start);
        duration
    };
    SlowPath {
        workers,
        timeout: duration("timeout", TIMEOUT).unwrap_or(default.timeout),
        idle_timeout: duration("idle_timeout", IDLE_TIMEOUT).unwrap_or(default.idle_timeout),
        tcp_connections: tcp_connections.unwrap_or(default.tcp_connections),
        tcp_connections_per_client: tcp_connections_per_client.unwrap_or(default.tcp_connections_per_client),
        queries_in_flight: queries_in_flight.unwrap_or(default.queries_in_flight),
    }
}

pub(super) fn control(reader: &mut Reader, document: &DeTable<'_>) -> Control {
    let mut control = Control::default();
    let Some(section) = document.get("control") else { return control };
    let Some(table) = reader.table("control", section, "a table: [control]") else { return control };
    reader.keys("[control]", table, &["socket", "bpffs"]);
    path(reader, table, "socket", Place::Socket, &mut control.socket);
    path(reader, table, "bpffs", Place::Bpffs, &mut control.bpffs);
    control
}

fn path(reader: &mut Reader, table: &DeTable<'_>, key: &str, place: Place, path: &mut PathBuf) {
    let Some(value) = table.get(key) else { return };
    let allowed = format!("a path: \"{}\"", path.display());
    if let Some(text) = reader.string(&place.to_string(), value, &allowed) {
        *path = text.into();
    }
    reader.remember(place, value.span().start);
}
