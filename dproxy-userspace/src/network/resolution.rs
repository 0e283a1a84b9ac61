//! From facts to a next hop. Pure.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;

use dproxy_common::{
    abi::NextHop,
    wire::{Be16, Mac, Macs, VlanTags},
};

use super::facts::{Entry, Exit, Facts, Link, Neighbour, Route, Standing, Vlan};
use super::why::Why;

/// How many devices the kernel allows on top of each other.
const MAX_NESTING: usize = 8;

/// How an address is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// By this next hop.
    Reachable(NextHop),
    /// Not at all, at present, by the fast path.
    Unreachable(Why),
}

impl Resolution {
    /// The resolution when the kernel refused to ask for the neighbour: nobody will make it reachable.
    pub(super) fn although_not_asked(self, error: &io::Error) -> Self {
        let Self::Unreachable(Why::Asked { neighbour, interface } | Why::Silent { neighbour, interface }) =
            self
        else {
            return self;
        };
        let remedy = match (error.raw_os_error(), neighbour) {
            (Some(libc::ENOBUFS), IpAddr::V4(_)) => "; raise net.ipv4.neigh.default.gc_thresh3",
            (Some(libc::ENOBUFS), IpAddr::V6(_)) => "; raise net.ipv6.neigh.default.gc_thresh3",
            (Some(libc::EPERM), _) => "; run dproxy as root",
            _ => "",
        };
        Self::Unreachable(Why::CannotAsk { neighbour, interface, error: format!("{error}{remedy}") })
    }
}

/// What the kernel's network stack says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// How each address is reached.
    pub resolutions: BTreeMap<IpAddr, Resolution>,
    /// Where this host's own packets may leave past the fast path. Only known when one of the addresses is
    /// this host's.
    pub bypass: Bypass,
}

/// For each IP version, an interface that the fast path is not attached to, but that a gateway is behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "named by IP version")]
pub struct Bypass {
    pub v4: Option<String>,
    pub v6: Option<String>,
}

impl Bypass {
    /// That of an address's IP version.
    pub fn of(&self, address: IpAddr) -> Option<&str> {
        match address {
            IpAddr::V4(_) => self.v4.as_deref(),
            IpAddr::V6(_) => self.v6.as_deref(),
        }
    }
}

/// A resolution, and what would make it better or keep it true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub resolution: Resolution,
    /// The neighbour that the kernel should ask for.
    pub ask: Option<Neighbour>,
}

/// The way out of this host, short of the neighbour's address.
struct Way<'a> {
    /// The interface that the kernel's stack sends by.
    egress: &'a Link,
    neighbour: Neighbour,
    /// Where we send from, and all else that is known already.
    hop: NextHop,
}

impl Facts {
    /// How `address` is reached by a fast path that is attached to the interfaces `attached`.
    pub fn verdict(&self, address: IpAddr, attached: &[u32]) -> Verdict {
        match self.way(address, attached) {
            Ok(way) => self.meet(&way),
            Err(why) => Verdict { resolution: Resolution::Unreachable(why), ask: None },
        }
    }

    /// Where packets of this host may leave past a fast path that is attached to the interfaces `attached`.
    pub fn bypass(&self, attached: &[u32]) -> Bypass {
        let of = |is_ipv4: bool| {
            let exits = self.exits.iter().filter(|exit| exit.is_ipv4 == is_ipv4);
            let past = |exit: &&Exit| !self.passes(exit.interface, attached);
            exits.filter(past).map(|exit| self.describe(exit.interface)).next()
        };
        Bypass { v4: of(true), v6: of(false) }
    }

    /// Does what leaves by an interface pass one of those `attached`: itself, or what it is a VLAN of?
    fn passes(&self, mut index: u32, attached: &[u32]) -> bool {
        for _ in 0..MAX_NESTING {
            if attached.contains(&index) {
                return true;
            }
            let vlan = self.links.get(&index).and_then(|link| link.vlan);
            let Some(parent) = vlan.and_then(|vlan| vlan.parent) else { return false };
            index = parent;
        }
        false
    }

    /// Completes a way with the neighbour's address.
    fn meet(&self, way: &Way<'_>) -> Verdict {
        let unknown = Entry { standing: Standing::Asked, ask: true };
        let Entry { standing, ask } = *self.neighbours.get(&way.neighbour).unwrap_or(&unknown);
        let (neighbour, interface) = (way.neighbour.address, way.egress.name.clone());
        let resolution = match standing {
            Standing::Usable(mac) => {
                Resolution::Reachable(NextHop { macs: Macs::new(mac, way.hop.macs.source()), ..way.hop })
            }
            Standing::Asked => Resolution::Unreachable(Why::Asked { neighbour, interface }),
            Standing::Silent => Resolution::Unreachable(Why::Silent { neighbour, interface }),
        };
        Verdict { resolution, ask: ask.then_some(way.neighbour) }
    }

    fn way(&self, to: IpAddr, attached: &[u32]) -> Result<Way<'_>, Why> {
        let (index, gateway, source) = self.exit(to, attached)?;
        let egress = self.links.get(&index).ok_or(Why::NoInterface(index))?;
        let (interface, tags) = self.device(index, egress, attached)?;
        for link in [egress, self.links.get(&interface).unwrap_or(egress)] {
            if !link.up {
                return Err(Why::Down(link.name.clone()));
            }
            if !link.carrier {
                return Err(Why::NoCarrier(link.name.clone()));
            }
        }
        // A VLAN may have another address than the interface that it is a VLAN of.
        let source_mac = egress.mac.ok_or_else(|| Why::NotEthernet(egress.name.clone()))?;
        // No answer would come back through a gateway to a link-local address.
        let source = source.filter(|source| gateway.is_none() || !is_link_local(*source));
        let source = source.ok_or_else(|| Why::NoSource { to, interface: egress.name.clone() })?;

        let macs = Macs::new(Mac::default(), source_mac);
        let hop = NextHop { source: source.into(), interface, tags, macs, ..NextHop::default() };
        let neighbour = Neighbour { interface: index, address: gateway.unwrap_or(to) };
        Ok(Way { egress, neighbour, hop })
    }

    /// Interface, gateway and source of the route, if it leads to another host.
    fn exit(&self, to: IpAddr, attached: &[u32]) -> Result<(u32, Option<IpAddr>, Option<IpAddr>), Why> {
        match self.routes.get(&to) {
            Some(&Route::Via { interface, gateway, source }) => Ok((interface, gateway, source)),
            None | Some(Route::Missing) => Err(Why::NoRoute { to, down: self.down(attached) }),
            Some(&Route::Refusing(kind)) => Err(Why::Refusing { to, kind }),
            Some(Route::Local) => Err(Why::Local(to)),
            Some(&Route::NotUnicast(kind)) => Err(Why::NotUnicast { to, kind }),
            Some(Route::Encapsulated) => Err(Why::Encapsulated(to)),
            Some(Route::Unknown(error)) => Err(Why::RouteUnknown { to, error: error.clone() }),
        }
    }

    /// The interface to hand frames to, and the tags they need there: the lowest device below `egress` that
    /// the fast path is attached to, since native XDP is to be had at the bottom only.
    fn device(&self, index: u32, egress: &Link, attached: &[u32]) -> Result<(u32, VlanTags), Why> {
        let (mut index, mut link) = (index, egress);
        let mut found = Err(Why::NotAttached { interface: self.describe(index) });
        let mut vlans = Vec::new();
        for _ in 0..MAX_NESTING {
            if attached.contains(&index) {
                match tags(&vlans) {
                    Some(tags) => found = Ok((index, tags)),
                    None if found.is_ok() => {}
                    None => found = Err(Why::TooManyTags { interface: egress.name.clone() }),
                }
            }
            let Some(vlan) = link.vlan else { break };
            let Some((parent, below)) = vlan.parent.and_then(|parent| self.links.get_key_value(&parent))
            else {
                break;
            };
            vlans.push(vlan);
            (index, link) = (*parent, below);
        }
        found
    }

    /// An interface's name, and what it is made of: "eth1.7 (VLAN 7 of eth1)", "br0 (bridge of eth0, eth1)".
    fn describe(&self, index: u32) -> String {
        let Some(link) = self.links.get(&index) else { return format!("interface number {index}") };
        let name = &link.name;
        if let Some(Vlan { parent, id, .. }) = link.vlan {
            return match parent {
                Some(parent) => format!("{name} (VLAN {id} of {})", self.describe(parent)),
                None => format!("{name} (VLAN {id} of an interface in another network namespace)"),
            };
        }
        let ports = self.links.values().filter(|port| port.controller == Some(index));
        let ports: Vec<&str> = ports.map(|port| port.name.as_str()).collect();
        match &link.kind {
            Some(kind) if !ports.is_empty() => format!("{name} ({kind} of {})", ports.join(", ")),
            _ => name.clone(),
        }
    }

    /// Those of our interfaces that are down: the kernel has removed their routes.
    fn down(&self, attached: &[u32]) -> Vec<String> {
        let ours = attached.iter().filter_map(|index| self.links.get(index));
        ours.filter(|link| !link.up).map(|link| link.name.clone()).collect()
    }
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

/// The tags of frames for VLANs upon each other, innermost first; we write two at the most.
fn tags(vlans: &[Vlan]) -> Option<VlanTags> {
    let outer = |vlan: &Vlan| VlanTags {
        outer_tpid: Be16::new(vlan.tpid),
        outer_tci: Be16::new(vlan.id),
        ..VlanTags::NONE
    };
    match vlans {
        [] => Some(VlanTags::NONE),
        [only] => Some(outer(only)),
        [inner, first] => {
            let (inner_tpid, inner_tci) = (Be16::new(inner.tpid), Be16::new(inner.id));
            Some(VlanTags { inner_tpid, inner_tci, ..outer(first) })
        }
        [_, _, _, ..] => None,
    }
}
