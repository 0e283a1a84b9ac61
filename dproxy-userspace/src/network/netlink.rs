//! The few questions that we have for the kernel.

use std::io;
use std::net::IpAddr;
use std::pin::pin;

use futures_util::TryStreamExt;
use rtnetlink::{
    Handle,
    packet_route::{
        AddressFamily,
        link::LinkExtentMask,
        neighbour::{NeighbourFlags, NeighbourState},
        route::{RouteAttribute, RouteMessage},
    },
};

use super::error::NetworkError;
use super::facts::{Facts, Neighbour, Route};
use super::read;

const UDP: u8 = 17;

/// Asks for all that the resolution of `addresses` depends on.
pub(super) async fn facts(handle: &Handle, addresses: &[IpAddr]) -> Result<Facts, NetworkError> {
    let mut facts = Facts::default();
    for &address in addresses {
        facts.routes.insert(address, route(handle, address).await?);
    }

    if facts.routes.values().any(|route| *route == Route::Local) {
        for family in [AddressFamily::Inet, AddressFamily::Inet6] {
            exits(handle, family, &mut facts).await?;
        }
    }

    let request = handle.link().get().set_filter_mask(AddressFamily::Unspec, vec![LinkExtentMask::SkipStats]);
    let mut links = pin!(request.execute());
    while let Some(message) = links.try_next().await.map_err(failure("interfaces"))? {
        let (index, link) = read::link(&message);
        facts.links.insert(index, link);
    }

    let mut neighbours = pin!(handle.neighbours().get().execute());
    while let Some(message) = neighbours.try_next().await.map_err(failure("neighbours"))? {
        facts.neighbours.extend(read::neighbour(&message));
    }
    Ok(facts)
}

/// Asks how the kernel would route a UDP packet of this host to `to`.
async fn route(handle: &Handle, to: IpAddr) -> Result<Route, NetworkError> {
    let mut question = RouteMessage::default();
    (question.header.address_family, question.header.destination_prefix_length) = match to {
        IpAddr::V4(_) => (AddressFamily::Inet, 32),
        IpAddr::V6(_) => (AddressFamily::Inet6, 128),
    };
    question.attributes.push(RouteAttribute::Destination(to.into()));
    // Rules may single out UDP.
    question.attributes.push(RouteAttribute::IpProto(UDP));

    let mut answers = pin!(handle.route().get(question).execute());
    match answers.try_next().await {
        Ok(Some(answer)) => Ok(read::route(&answer)),
        Ok(None) => Err(NetworkError::Broken),
        Err(rtnetlink::Error::NetlinkError(error)) => Ok(read::route_error(&error.to_io())),
        Err(error) => Err(failure("routes")(error)),
    }
}

/// Asks for all routes of a family. Only replies of backends on this host go by them.
async fn exits(handle: &Handle, family: AddressFamily, facts: &mut Facts) -> Result<(), NetworkError> {
    let mut question = RouteMessage::default();
    question.header.address_family = family;
    let mut routes = pin!(handle.route().get(question).execute());
    while let Some(message) = routes.try_next().await.map_err(failure("routes"))? {
        facts.exits.extend(read::exits(&message));
    }
    Ok(())
}

/// Makes the kernel ask for a neighbour, as `ip neigh replace … use` does. It asks at once if it does not
/// know the neighbour's address; if the address is stale, it uses it and sees that it is confirmed.
pub(super) async fn ask(handle: &Handle, neighbour: Neighbour) -> Result<(), io::Error> {
    let Neighbour { interface, address } = neighbour;
    let request = handle.neighbours().add(interface, address).replace();
    // Any state but "none" would exempt the entry from garbage collection, or make it permanent.
    let request = request.state(NeighbourState::None).flags(NeighbourFlags::Use);
    request.execute().await.map_err(os_error)
}

/// Says what we were asking for when it failed.
fn failure(what: &'static str) -> impl Fn(rtnetlink::Error) -> NetworkError {
    move |error| {
        if error == rtnetlink::Error::RequestFailed {
            return NetworkError::Broken;
        }
        NetworkError::Refused { what, error: os_error(error) }
    }
}

fn os_error(error: rtnetlink::Error) -> io::Error {
    if let rtnetlink::Error::NetlinkError(error) = error {
        return error.to_io();
    }
    io::Error::other(error)
}
