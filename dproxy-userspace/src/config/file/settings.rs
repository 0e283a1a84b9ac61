//! `[fast_path]` and `[control]`.

use std::path::PathBuf;

use toml::de::DeTable;

use super::reader::Reader;
use crate::config::model::{Control, FastPath};
use crate::config::port_range::PORT_RANGE;
use crate::config::problem::Place;
use crate::config::rules::{ROUTE_CAPACITY, SLOTS};

pub(super) fn fast_path(reader: &mut Reader<'_>, document: &DeTable<'_>) -> FastPath {
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

pub(super) fn control(reader: &mut Reader<'_>, document: &DeTable<'_>) -> Control {
    let mut control = Control::default();
    let Some(section) = document.get("control") else { return control };
    let Some(table) = reader.table("control", section, "a table: [control]") else { return control };
    reader.keys("[control]", table, &["socket", "bpffs"]);
    path(reader, table, "socket", Place::Socket, &mut control.socket);
    path(reader, table, "bpffs", Place::Bpffs, &mut control.bpffs);
    control
}

fn path(reader: &mut Reader<'_>, table: &DeTable<'_>, key: &str, place: Place, path: &mut PathBuf) {
    let Some(value) = table.get(key) else { return };
    let allowed = format!("a path: \"{}\"", path.display());
    if let Some(text) = reader.string(&place.to_string(), value, &allowed) {
        *path = text.into();
    }
    reader.remember(place, value.span().start);
}
