//! A network in memory.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use dproxy_common::abi::NextHop;
use dproxy_common::wire::{Mac, Macs};
use futures_util::future::LocalBoxFuture;
use tokio::sync::Notify;

use super::INTERFACE;
use crate::daemon::network::{Network, Resolving};
use crate::network::{Bypass, Resolution, View, Why};

/// A network in memory, where all is reachable that nothing else is said about. Clones are handles to one.
#[derive(Clone, Default)]
pub(crate) struct FakeNetwork(Arc<Facts>);

#[derive(Default)]
struct Facts {
    resolutions: Mutex<BTreeMap<IpAddr, Resolution>>,
    bypass: Mutex<Bypass>,
    changed: Notify,
}

impl FakeNetwork {
    /// Says how an address is reached from now on.
    pub(crate) fn set(&self, address: &str, resolution: Resolution) {
        self.0.resolutions.lock().unwrap().insert(address.parse().unwrap(), resolution);
        self.0.changed.notify_one();
    }

    /// Says that this host's packets leave past the fast path.
    pub(crate) fn set_bypass(&self, bypass: Bypass) {
        *self.0.bypass.lock().unwrap() = bypass;
        self.0.changed.notify_one();
    }
}

impl Network for FakeNetwork {
    fn changed(&mut self) -> LocalBoxFuture<'_, ()> {
        Box::pin(self.0.changed.notified())
    }

    fn resolve<'n>(&'n self, addresses: &'n [IpAddr], interfaces: &'n [u32]) -> Resolving<'n> {
        assert_eq!(interfaces, [INTERFACE]);
        let said = self.0.resolutions.lock().unwrap();
        let resolve = |address: &IpAddr| {
            let source = if address.is_ipv4() { "192.168.1.1" } else { "2001:db8:1::1" };
            said.get(address).cloned().unwrap_or_else(|| reachable(source))
        };
        let resolutions = addresses.iter().map(|address| (*address, resolve(address))).collect();
        let bypass = self.0.bypass.lock().unwrap().clone();
        Box::pin(async { Ok(View { resolutions, bypass }) })
    }
}

/// Reachable from this address of ours.
pub(crate) fn reachable(source: &str) -> Resolution {
    Resolution::Reachable(NextHop {
        source: source.parse::<IpAddr>().unwrap().into(),
        interface: INTERFACE,
        macs: Macs::new(Mac::from_octets([2, 0, 0, 0, 0, 9]), Mac::default()),
        ..NextHop::default()
    })
}

/// The neighbour is being asked.
pub(crate) fn asked(address: &str) -> Resolution {
    let (neighbour, interface) = (address.parse().unwrap(), "eth0".to_owned());
    Resolution::Unreachable(Why::Asked { neighbour, interface })
}

/// The neighbour does not answer.
pub(crate) fn silent(address: &str) -> Resolution {
    let (neighbour, interface) = (address.parse().unwrap(), "eth0".to_owned());
    Resolution::Unreachable(Why::Silent { neighbour, interface })
}

/// On this very host.
pub(crate) fn local(address: &str) -> Resolution {
    Resolution::Unreachable(Why::Local(address.parse().unwrap()))
}

/// By an interface that the fast path is not attached to.
pub(crate) fn elsewhere(interface: &str) -> Resolution {
    Resolution::Unreachable(Why::NotAttached { interface: interface.to_owned() })
}
