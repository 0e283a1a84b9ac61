//! Addresses of listeners and backends.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::problem::Refusal;
use super::wording::Quoted;

/// The port of DNS (RFC 1035 §4.2).
pub const DNS_PORT: u16 = 53;

/// How an address may be written.
pub(super) const ADDRESS: &str = "an IP address, and a port from 1 to 65535 if it is not 53: 192.0.2.53, \
                                  192.0.2.53:5353, 2001:db8::53 or [2001:db8::53]:5353";

/// Parses `192.0.2.53`, `192.0.2.53:5353`, `2001:db8::53`, `[2001:db8::53]` or `[2001:db8::53]:5353`.
/// A port that is left out is [`DNS_PORT`].
pub fn parse_address(text: &str) -> Result<SocketAddr, Refusal> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let ip = match bare {
        Some(text) => text.parse::<Ipv6Addr>().map(IpAddr::from),
        None => text.parse::<IpAddr>(),
    };
    let address = match ip {
        Ok(ip) => Ok(SocketAddr::new(ip, DNS_PORT)),
        Err(_) => text.parse::<SocketAddr>(),
    };
    match address {
        // `[fe80::1%2]:53`: what a number means as an interface changes with every boot.
        Ok(SocketAddr::V6(v6)) if v6.scope_id() != 0 => Err(refused(text)),
        Ok(address) => Ok(address),
        Err(_) => Err(refused(text)),
    }
}

fn refused(text: &str) -> Refusal {
    Refusal {
        what: format!("address {} is not an IP address, alone or with a port", Quoted(text)),
        allowed: ADDRESS.to_owned(),
    }
}

/// What an address is beside an ordinary unicast address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Special {
    Unspecified,
    Loopback,
    Multicast,
    Broadcast,
    /// `::ffff:192.0.2.1`: an IPv4 address in the clothes of IPv6, never seen on the wire.
    V4Mapped(Ipv4Addr),
    /// `fe80::/10`: means nothing without an interface. IPv4's 169.254/16 is routed like any other.
    LinkLocal,
}

impl Special {
    pub(super) fn of(ip: IpAddr) -> Option<Self> {
        let mapped = match ip {
            IpAddr::V4(_) => None,
            IpAddr::V6(v6) => v6.to_ipv4_mapped(),
        };
        let link_local = matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local());
        match mapped {
            Some(v4) => Some(Self::V4Mapped(v4)),
            None if ip.is_unspecified() => Some(Self::Unspecified),
            None if ip.is_loopback() => Some(Self::Loopback),
            None if ip.is_multicast() => Some(Self::Multicast),
            None if ip == Ipv4Addr::BROADCAST => Some(Self::Broadcast),
            None if link_local => Some(Self::LinkLocal),
            None => None,
        }
    }
}
