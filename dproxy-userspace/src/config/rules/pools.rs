//! Rules for `[pools]`.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::ops::RangeInclusive;

use crate::config::address::Special;
use crate::config::model::{Config, Pool, Switch, WeightedBackend};
use crate::config::problem::{Place, Problem};
use crate::config::wording::{Quoted, did_you_mean, listed};
use crate::config::words::Answer;

/// Longest name of a pool, in characters.
const MAX_POOL_NAME: usize = 63;
/// What [`Switch::percent`] may be.
pub(in crate::config) const SWITCH_PERCENT: RangeInclusive<u8> = 1..=100;

pub(super) fn check(config: &Config, found: &mut Vec<Problem>) {
    for (name, pool) in &config.pools {
        check_name(name, found);
        check_weights(name, pool, found);
        check_primary(name, pool, found);
        check_switch(name, config, pool.switch.as_ref(), found);
        let mut first = HashMap::new();
        for (index, backend) in pool.backends.iter().enumerate() {
            let place = Place::Backend(name.clone(), index, backend.address);
            match first.get(&backend.address) {
                None => check_backend(place, backend, &config.listen.addresses, found),
                Some(&first) => found.push(
                    Problem::new(
                        place,
                        "is listed twice",
                        "each backend once, with a weight for a larger share",
                    )
                    .against(Place::Backend(name.clone(), first, backend.address)),
                ),
            }
            first.entry(backend.address).or_insert(index);
        }
    }
}

fn check_name(name: &str, found: &mut Vec<Problem>) {
    let place = || Place::Pool(name.to_owned());
    let allowed_character = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let well_formed = name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(allowed_character)
        && name.len() <= MAX_POOL_NAME;
    if !well_formed {
        let allowed =
            format!("1 to {MAX_POOL_NAME} letters (a-z, A-Z), digits, - and _, a letter or digit first");
        found.push(Problem::new(place(), "has a name that is not allowed", allowed));
    }
    if Answer::WORDS.contains(&name) {
        let allowed = format!("any other name than those of the answers ({})", Answer::WORDS.join(", "));
        found.push(Problem::new(place(), "has the name of an answer", allowed));
    }
}

fn check_weights(name: &str, pool: &Pool, found: &mut Vec<Problem>) {
    let place = Place::Pool(name.to_owned());
    if pool.backends.is_empty() {
        found.push(Problem::new(place, "has no backend", "at least one: backends = [\"192.0.2.1:53\"]"));
    } else if pool.backends.iter().all(|backend| backend.weight == 0) {
        let allowed = "a weight of at least 1 for at least one backend";
        found.push(Problem::new(
            place,
            "has weight 0 for every backend, so that none can be chosen",
            allowed,
        ));
    } else if pool.backends.iter().all(|backend| backend.share() == 0) {
        let says = "has every backend with a weight drained, so that none would get queries";
        let allowed = "at least one backend that has a weight and is not drained";
        found.push(Problem::new(place, says, allowed));
    }
}

/// A switch of a switch is not followed: it would mean one thing for who reads the configuration, and another
/// for the packet.
fn check_switch(name: &str, config: &Config, switch: Option<&Switch>, found: &mut Vec<Problem>) {
    let Some(Switch { to, percent }) = switch else { return };
    let place = || Place::Switch(name.to_owned());
    if !SWITCH_PERCENT.contains(percent) {
        let (least, most) = SWITCH_PERCENT.into_inner();
        found.push(Problem::new(place(), format!("has percent {percent}"), format!("{least} to {most}")));
    }
    let fit = |(other, pool): &(&String, &Pool)| *other != name && pool.switch.is_none();
    let others = || config.pools.iter().filter(fit).map(|(other, _)| other.as_str());
    let allowed = || match others().next() {
        Some(_) => format!("another pool that is not on a switch itself: {}", listed(others())),
        None => "another pool that is not on a switch itself; there is none".to_owned(),
    };
    match config.pools.get(&**to) {
        None => {
            let says = format!("leads to pool {}, which does not exist", Quoted(to));
            let problem = Problem::new(place(), says, allowed() + &did_you_mean(to, others()));
            found.push(problem.against(Place::Pools));
        }
        Some(_) if **to == *name => found.push(Problem::new(place(), "leads to that very pool", allowed())),
        Some(pool) if pool.switch.is_some() => {
            let says = format!("leads to pool {}, which is on a switch itself", Quoted(to));
            found.push(Problem::new(place(), says, allowed()).against(Place::Switch(to.to_string())));
        }
        Some(_) => {}
    }
}

fn check_primary(name: &str, pool: &Pool, found: &mut Vec<Problem>) {
    let backends = || pool.backends.iter().map(|backend| backend.address);
    let Some(primary) = pool.primary.filter(|primary| !backends().any(|address| address == *primary)) else {
        return;
    };
    let backends: Vec<String> = backends().map(|address| address.to_string()).collect();
    let allowed = format!(
        "one of them ({}), with weight 0 if it is to get NOTIFY and UPDATE only",
        listed(backends.iter().map(String::as_str))
    );
    let place = Place::Primary(name.to_owned(), primary);
    let problem = Problem::new(place, "is not among the backends", allowed);
    found.push(problem.against(Place::Pool(name.to_owned())));
}

fn check_backend(
    place: Place,
    &WeightedBackend { address, weight, drained: _, tier: _ }: &WeightedBackend,
    listeners: &[SocketAddr],
    found: &mut Vec<Problem>,
) {
    if address.port() == 0 {
        found.push(Problem::new(place.clone(), "has port 0", "port 1 to 65535"));
    }
    if weight > WeightedBackend::MAX_WEIGHT {
        let allowed = format!("0 to {}", WeightedBackend::MAX_WEIGHT);
        found.push(Problem::new(place.clone(), format!("has weight {weight}"), allowed));
    }
    match objection(address) {
        Some((says, allowed)) => found.push(Problem::new(place, says, allowed)),
        None => found.extend(conflict(place, address, listeners)),
    }
}

/// A listener that the backend would be confused with. Another port of a listener's address is another
/// server on this host.
fn conflict(place: Place, address: SocketAddr, listeners: &[SocketAddr]) -> Option<Problem> {
    let index = listeners.iter().position(|listener| *listener == address)?;
    let says = "is a listener too, so that queries would go round in a loop";
    let problem = Problem::new(place, says, "an address that is no listener");
    Some(problem.against(Place::Listener(index, address)))
}

/// What speaks against an address, whatever else is configured, and what would be right.
fn objection(address: SocketAddr) -> Option<(&'static str, String)> {
    let unicast = "a unicast address".to_owned();
    match Special::of(address.ip())? {
        Special::Unspecified => Some(("has an address that is no host's", unicast)),
        Special::Multicast => Some(("has a multicast address", unicast)),
        Special::Broadcast => Some(("has the broadcast address", unicast)),
        Special::Loopback => None,
        Special::LinkLocal => {
            Some(("has a link-local address, which means nothing without an interface", unicast))
        }
        Special::V4Mapped(v4) => Some((
            "has an IPv4 address in IPv6 form",
            format!("the IPv4 address: {}", SocketAddr::new(v4.into(), address.port())),
        )),
    }
}
