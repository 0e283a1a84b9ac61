//! The network as the engine sees it.

use std::net::IpAddr;

use futures_util::future::LocalBoxFuture;

use crate::network::{NetworkError, Observer, View};

/// What the engine wants to know of the network.
pub trait Network {
    /// Waits until something may have changed.
    fn changed(&mut self) -> LocalBoxFuture<'_, ()>;

    /// How each address is reached by a fast path on these interfaces. To be called every few seconds,
    /// because it also looks after neighbours.
    fn resolve<'n>(&'n self, addresses: &'n [IpAddr], interfaces: &'n [u32]) -> Resolving<'n>;
}

/// Nothing of the network matters: without a fast path, the kernel's own stack finds the ways.
#[derive(Clone, Copy, Debug)]
pub struct NoNetwork;

impl Network for NoNetwork {
    fn changed(&mut self) -> LocalBoxFuture<'_, ()> {
        Box::pin(std::future::pending())
    }

    fn resolve<'n>(&'n self, _addresses: &'n [IpAddr], _interfaces: &'n [u32]) -> Resolving<'n> {
        Box::pin(async { Ok(View::default()) })
    }
}

/// A view to come.
pub type Resolving<'n> = LocalBoxFuture<'n, Result<View, NetworkError>>;

impl Network for Observer {
    fn changed(&mut self) -> LocalBoxFuture<'_, ()> {
        Box::pin(self.changed())
    }

    fn resolve<'n>(&'n self, addresses: &'n [IpAddr], interfaces: &'n [u32]) -> Resolving<'n> {
        Box::pin(self.resolve(addresses, interfaces))
    }
}
