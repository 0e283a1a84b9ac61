//! The kernel's announcements of changes.

use std::collections::BTreeMap;
use std::io;

use dproxy_common::wire::Mac;
use futures_util::{StreamExt, stream::Stream};
use rtnetlink::{
    MulticastGroup, new_multicast_connection,
    packet_core::{NetlinkMessage, NetlinkPayload},
    packet_route::RouteNetlinkMessage::{self, DelNeighbour, NewNeighbour},
    proto::{Connection, sys::SocketAddr},
};

use super::super::facts::Neighbour;
use super::super::read;

const GROUPS: [MulticastGroup; 8] = [
    MulticastGroup::Link,
    MulticastGroup::Neigh,
    MulticastGroup::Ipv4Ifaddr,
    MulticastGroup::Ipv4Route,
    MulticastGroup::Ipv4Rule,
    MulticastGroup::Ipv6Ifaddr,
    MulticastGroup::Ipv6Route,
    MulticastGroup::Ipv6Rule,
];

/// A socket that the kernel sends its announcements to. It is read while [`change`](Self::change) is
/// polled; what does not fit into its buffer meanwhile, the kernel drops, and says so.
pub(super) struct Subscription {
    connection: Connection<RouteNetlinkMessage>,
    announcements: Announcements,
    seen: Seen,
}

type Announcements =
    Box<dyn Stream<Item = (NetlinkMessage<RouteNetlinkMessage>, SocketAddr)> + Send + Sync + Unpin>;

impl Subscription {
    pub fn open() -> io::Result<Self> {
        let (connection, _, announcements) = new_multicast_connection(&GROUPS)?;
        Ok(Self { connection, announcements: Box::new(announcements), seen: Seen::default() })
    }

    /// Waits for a change that matters; false if there will be no more. Nothing is lost if the future is
    /// dropped.
    pub async fn change(&mut self) -> bool {
        loop {
            tokio::select! {
                biased;
                Some((message, _)) = self.announcements.next() => {
                    if self.seen.matters(&message.payload) {
                        return true;
                    }
                }
                () = &mut self.connection => return false,
            }
        }
    }
}

/// What was announced of neighbours: the address that frames can be sent to, if there is one.
///
/// An entry in use changes its state a few times a minute, while all that matters stays as it is.
#[derive(Default)]
struct Seen(BTreeMap<Neighbour, Option<Mac>>);

impl Seen {
    /// Whether a resolution may be another one after this announcement.
    fn matters(&mut self, announcement: &NetlinkPayload<RouteNetlinkMessage>) -> bool {
        if let NetlinkPayload::InnerMessage(NewNeighbour(message)) = announcement {
            return read::neighbour(message).is_some_and(|(neighbour, entry)| {
                self.0.insert(neighbour, entry.mac()) != Some(entry.mac())
            });
        }
        if let NetlinkPayload::InnerMessage(DelNeighbour(message)) = announcement {
            // One that we never heard of may have been usable all the time.
            return read::neighbour(message)
                .is_some_and(|(neighbour, _)| self.0.remove(&neighbour) != Some(None));
        }
        if let NetlinkPayload::Overrun(_) = announcement {
            self.0.clear();
        }
        true
    }
}
