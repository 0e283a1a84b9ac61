//! Why a backend cannot be reached, in words for the operator.

use std::net::IpAddr;

/// Why the fast path cannot send to an address. The text completes "not reachable: …".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// No route.
    #[error("no route to {to}{}", hint(.down))]
    NoRoute {
        /// The address.
        to: IpAddr,
        /// The interfaces of ours that are down, and may be why.
        down: Vec<String>,
    },
    /// A route that refuses.
    #[error("the route to {to} is of type {kind}")]
    Refusing {
        /// The address.
        to: IpAddr,
        /// The route's type: blackhole, unreachable or prohibit.
        kind: &'static str,
    },
    /// The kernel did not tell the route.
    #[error("the kernel does not say how it routes to {to}: {error}")]
    RouteUnknown {
        /// The address.
        to: IpAddr,
        /// What it said instead.
        error: String,
    },
    /// One of our own addresses.
    #[error("{0} is an address of this host")]
    Local(IpAddr),
    /// Not the address of one host.
    #[error("{to} is {kind}, not that of one host")]
    NotUnicast {
        /// The address.
        to: IpAddr,
        /// What kind of address it is, with its article.
        kind: &'static str,
    },
    /// A route with `encap`.
    #[error("the route to {0} encapsulates packets, which the fast path does not")]
    Encapsulated(IpAddr),
    /// The interface is not one of ours.
    #[error("its route leaves by {interface}, which is not among listen.interfaces")]
    NotAttached {
        /// The interface, and what it is made of.
        interface: String,
    },
    /// The interface vanished between two questions to the kernel.
    #[error("its route leaves by interface number {0}, which the kernel does not list")]
    NoInterface(u32),
    /// More VLAN tags than we write.
    #[error("its route leaves by {interface}, whose frames have more than two VLAN tags")]
    TooManyTags {
        /// The interface that the route leaves by.
        interface: String,
    },
    /// The interface is down.
    #[error("interface {0} is down")]
    Down(String),
    /// The interface has no carrier.
    #[error("interface {0} has no carrier")]
    NoCarrier(String),
    /// The interface is not Ethernet.
    #[error("interface {0} has no Ethernet address")]
    NotEthernet(String),
    /// No address to send from.
    #[error("no address of this host can be the source towards {to}: give {interface} one")]
    NoSource {
        /// The address.
        to: IpAddr,
        /// The interface that the route leaves by.
        interface: String,
    },
    /// The neighbour was asked, or is about to be.
    #[error("neighbour {neighbour} on {interface} is being asked for its MAC address")]
    Asked {
        /// The neighbour: the address itself or a gateway.
        neighbour: IpAddr,
        /// The interface that it is on.
        interface: String,
    },
    /// The neighbour did not answer.
    #[error("neighbour {neighbour} on {interface} does not answer (FAILED)")]
    Silent {
        /// The neighbour: the address itself or a gateway.
        neighbour: IpAddr,
        /// The interface that it is on.
        interface: String,
    },
    /// The kernel would not ask the neighbour.
    #[error("the kernel cannot ask for neighbour {neighbour} on {interface}: {error}")]
    CannotAsk {
        /// The neighbour: the address itself or a gateway.
        neighbour: IpAddr,
        /// The interface that it is on.
        interface: String,
        /// What the kernel said, and what to do about it.
        error: String,
    },
}

fn hint(interfaces: &[String]) -> String {
    match interfaces {
        [] => String::new(),
        [one] => format!(" (interface {one} is down)"),
        many => format!(" (interfaces {} are down)", many.join(", ")),
    }
}
