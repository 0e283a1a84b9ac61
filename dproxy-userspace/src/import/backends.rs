//! From the original's `address` and `port` to a backend.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::note::{Mistake, Origin};
use crate::config::Quoted;

/// Looks a host name up: its addresses, or why there are none.
pub type Resolve<'a> = &'a dyn Fn(&str) -> Result<Vec<IpAddr>, String>;

/// Where queries for an entry go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Destination {
    /// To this backend.
    Backend(SocketAddr),
    /// Nowhere: the original answers SERVFAIL.
    Servfail,
}

/// A destination, and what is to be said about it.
pub(super) type Found = (Destination, Option<String>);

const ADDRESS: &str = "an IP address, or a host name that can be looked up";
const PORT: &str = "1 to 65535";

/// The server at `address` and `port`. An address that is not there is empty, and so is a port.
pub(super) fn find(
    address: (&str, &Origin),
    port: (&str, &Origin),
    resolve: Resolve<'_>,
) -> Result<Found, Mistake> {
    let ((host, host_origin), (port, port_origin)) = (address, port);
    if port.is_empty() {
        let text = "has no port, so that the original answers SERVFAIL; so does this. If it was to be 53, let \
                    the route lead to a pool.";
        return Ok((Destination::Servfail, Some(text.to_owned())));
    }
    let number = port.parse().ok().filter(|port| *port != 0);
    let number: u16 =
        number.ok_or_else(|| Mistake::new(port_origin, format!("port is {}", Quoted(port)), PORT))?;
    let backend = |ip: IpAddr| Destination::Backend(SocketAddr::new(ip, number));
    if matches!(host, "" | "0.0.0.0") {
        let text = format!("address is {}, by which the original reaches its own host.", Quoted(host));
        return Ok((backend(Ipv4Addr::LOCALHOST.into()), Some(text)));
    }
    if let Ok(ip) = host.parse::<IpAddr>() {
        // It dials `address:port`, and an IPv6 address would need brackets there, which it takes out.
        let text = "is an IPv6 address, which the original cannot reach: it answers SERVFAIL; this asks the \
                    backend.";
        return Ok((backend(ip), ip.is_ipv6().then(|| text.to_owned())));
    }
    named(host, host_origin, resolve).map(|(ip, text)| (backend(ip), Some(text)))
}

/// The server `host:port`, as `masterupstream` is written; IPv6 addresses stand in brackets.
pub(super) fn find_dialled(text: &str, origin: &Origin, resolve: Resolve<'_>) -> Result<Found, Mistake> {
    let Some((host, port)) = text.rsplit_once(':') else {
        let text = format!(
            "masterupstream is {}, without a port, so that the original answers SERVFAIL; so does this.",
            Quoted(text)
        );
        return Ok((Destination::Servfail, Some(text)));
    };
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let (destination, text) = find((bracketed.unwrap_or(host), origin), (port, origin), resolve)?;
    let works = bracketed.is_some_and(|host| host.parse::<IpAddr>().is_ok());
    Ok((destination, text.filter(|_| !works)))
}

fn named(host: &str, origin: &Origin, resolve: Resolve<'_>) -> Result<(IpAddr, String), Mistake> {
    let found = resolve(host).map_err(|why| {
        Mistake::new(origin, format!("{} cannot be looked up: {why}", Quoted(host)), ADDRESS)
    })?;
    // The original takes the first one that it can open a socket for, IPv4 before IPv6 on most hosts.
    let first = found.iter().find(|ip| ip.is_ipv4()).or(found.first()).copied();
    let ip =
        first.ok_or_else(|| Mistake::new(origin, format!("{} has no address", Quoted(host)), ADDRESS))?;
    let others: Vec<String> = found.iter().filter(|other| **other != ip).map(IpAddr::to_string).collect();
    let others = match others.is_empty() {
        true => String::new(),
        false => format!(" (also {})", others.join(", ")),
    };
    let text = format!(
        "host name {} was looked up for this file: {ip}{others}. The original looks it up for each query.",
        Quoted(host)
    );
    Ok((ip, text))
}
