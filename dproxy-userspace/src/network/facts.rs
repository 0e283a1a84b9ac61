//! What the kernel reported, in our words.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use dproxy_common::wire::Mac;

/// All that a resolution depends on.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    /// Interfaces by index.
    pub links: BTreeMap<u32, Link>,
    /// The neighbour table.
    pub neighbours: BTreeMap<Neighbour, Entry>,
    /// How the kernel routes, by destination.
    pub routes: BTreeMap<IpAddr, Route>,
    /// The ways out of this host, if somebody wants to know.
    pub exits: BTreeSet<Exit>,
}

/// A way out of this host: an interface that a route through a gateway, or one to half the world, leaves by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Exit {
    pub is_ipv4: bool,
    pub interface: u32,
}

/// An interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub name: String,
    /// What kind of device, if it is virtual: "vlan", "bridge", "bond", …
    pub kind: Option<String>,
    /// Its address, if it speaks Ethernet.
    pub mac: Option<Mac>,
    pub up: bool,
    pub carrier: bool,
    /// If it is a VLAN of another interface.
    pub vlan: Option<Vlan>,
    /// The bridge, bond or VRF that it is a port of.
    pub controller: Option<u32>,
}

/// What makes an interface a VLAN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Vlan {
    /// The interface that it is a VLAN of, if that is in our network namespace.
    pub parent: Option<u32>,
    /// TPID of its frames' tag.
    pub tpid: u16,
    /// Its number.
    pub id: u16,
}

/// Somebody on a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Neighbour {
    pub interface: u32,
    pub address: IpAddr,
}

/// What the kernel knows of a neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub standing: Standing,
    /// Whether it is time that somebody asks, and it is up to us.
    pub ask: bool,
}

impl Entry {
    /// The address that frames can be sent to.
    pub fn mac(self) -> Option<Mac> {
        match self.standing {
            Standing::Usable(mac) => Some(mac),
            Standing::Asked | Standing::Silent => None,
        }
    }
}

/// Whether frames can be sent to a neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Its address is known. It may be due for re-validation: the kernel goes on sending meanwhile, and so
    /// do we, or there would be an outage every half minute.
    Usable(Mac),
    /// The kernel is asking.
    Asked,
    /// It was asked and did not answer.
    Silent,
}

/// The kernel's answer to where a packet would go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// Out of an interface.
    Via {
        interface: u32,
        /// Whom the frame goes to; the destination itself, if `None`.
        gateway: Option<IpAddr>,
        /// The source address that the kernel would choose.
        source: Option<IpAddr>,
    },
    /// Nowhere: there is no route.
    Missing,
    /// Nowhere: the route says so. Its type as `ip route` shows it.
    Refusing(&'static str),
    /// To this very host.
    Local,
    /// To many, or to the nearest of some: what kind of address it is.
    NotUnicast(&'static str),
    /// Into a tunnel or label-switched path that the route itself builds.
    Encapsulated,
    /// The kernel would not say: its error.
    Unknown(String),
}
