//! `[listen]`.

use std::net::SocketAddr;

use toml::de::DeTable;

use super::reader::{Reader, Value};
use crate::config::address::{ADDRESS, parse_address};
use crate::config::model::Listen;
use crate::config::problem::Place;
use crate::config::rules::EDNS_UDP_SIZE;
use crate::config::words::XdpMode;

pub(super) fn read(reader: &mut Reader, document: &DeTable<'_>) -> Listen {
    let mut listen = Listen::default();
    let Some(section) = document.get("listen") else { return listen };
    for place in [Place::Interfaces, Place::Listeners] {
        reader.remember(place, section.span().start);
    }
    let Some(table) = reader.table("listen", section, "a table: [listen]") else {
        reader.spoil(Place::Interfaces);
        reader.spoil(Place::Listeners);
        return listen;
    };
    reader.keys("[listen]", table, &["interfaces", "addresses", "xdp", "edns_udp_size"]);
    if let Some(value) = table.get("interfaces") {
        listen.interfaces = interfaces(reader, value);
    }
    if let Some(value) = table.get("addresses") {
        listen.addresses = addresses(reader, value);
    }
    if let Some(mode) = table.get("xdp").and_then(|value| xdp(reader, value)) {
        listen.xdp = mode;
    }
    if let Some(value) = table.get("edns_udp_size") {
        listen.edns_udp_size = edns_udp_size(reader, value);
    }
    listen
}

fn interfaces(reader: &mut Reader, value: &Value<'_>) -> Vec<String> {
    const ALLOWED: &str = "a list of interface names: [\"eth0\"]";
    let mut interfaces = Vec::new();
    reader.remember(Place::Interfaces, value.span().start);
    let Some(list) = reader.list("listen.interfaces", value, ALLOWED) else {
        reader.spoil(Place::Interfaces);
        return interfaces;
    };
    for (index, item) in list.iter().enumerate() {
        let subject = format!("entry {} of listen.interfaces", index + 1);
        match reader.string(&subject, item, "the name of an interface: \"eth0\"") {
            Some(name) => {
                reader.remember(Place::Interface(interfaces.len(), name.to_owned()), item.span().start);
                interfaces.push(name.to_owned());
            }
            None => reader.spoil(Place::Interfaces),
        }
    }
    interfaces
}

fn addresses(reader: &mut Reader, value: &Value<'_>) -> Vec<SocketAddr> {
    const ALLOWED: &str = "a list of addresses: [\"192.0.2.53\", \"[2001:db8::53]:53\"]";
    let mut addresses = Vec::new();
    reader.remember(Place::Listeners, value.span().start);
    let Some(list) = reader.list("listen.addresses", value, ALLOWED) else {
        reader.spoil(Place::Listeners);
        return addresses;
    };
    for (index, item) in list.iter().enumerate() {
        let subject = format!("entry {} of listen.addresses", index + 1);
        match reader.parsed(&subject, item, ADDRESS, parse_address) {
            Some(address) => {
                reader.remember(Place::Listener(addresses.len(), address), item.span().start);
                addresses.push(address);
            }
            None => reader.spoil(Place::Listeners),
        }
    }
    addresses
}

fn xdp(reader: &mut Reader, value: &Value<'_>) -> Option<XdpMode> {
    let words = XdpMode::WORDS.join(", ");
    reader.parsed("listen.xdp", value, &words, str::parse)
}

fn edns_udp_size(reader: &mut Reader, value: &Value<'_>) -> Option<u16> {
    if value.get_ref().as_str() == Some("off") {
        return None;
    }
    reader.remember(Place::EdnsUdpSize, value.span().start);
    reader
        .integer("listen.edns_udp_size", value, 0..=u16::MAX, EDNS_UDP_SIZE)
        .or(Some(Listen::DEFAULT_EDNS_UDP_SIZE))
}
