//! A zone whose records change at run time, by an HTTP request as cryodns takes them.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock};

use anyhow::Result;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::{Router, routing};
use futures_util::future::join_all;
use hickory_proto::rr::{Name, RData};
use serde::Deserialize;
use tokio::net::TcpListener;

use super::service::{Service, bind};
use super::{Records, Zone};
use crate::Namespace;

/// A zone that is empty at first. Its addresses can be set here, or through [`HttpUpdate`].
#[derive(Debug)]
pub struct DynamicZone {
    origin: Name,
    records: RwLock<Records>,
}

impl DynamicZone {
    /// An empty zone of this name.
    pub fn new(origin: Name) -> Self {
        Self { origin, records: RwLock::default() }
    }

    /// Gives `name` this address, in place of those of the same family.
    pub fn set(&self, name: Name, address: IpAddr) {
        self.records.write().unwrap_or_else(PoisonError::into_inner).set_address(name, address);
    }

    /// Removes `name`.
    pub fn remove(&self, name: &Name) {
        self.records.write().unwrap_or_else(PoisonError::into_inner).remove(name);
    }
}

impl Zone for DynamicZone {
    fn origin(&self) -> &Name {
        &self.origin
    }

    fn records(&self, name: &Name) -> Option<Vec<RData>> {
        self.records.read().unwrap_or_else(PoisonError::into_inner).get(name)
    }
}

/// `GET` or `POST http://<address>/update?name=home.dyn.test&address=192.0.2.7`; stops on drop.
#[derive(Debug)]
pub struct HttpUpdate {
    _service: Service,
}

impl HttpUpdate {
    /// Lets the `zone` be changed at these addresses.
    pub fn start(namespace: &Namespace, addresses: &[SocketAddr], zone: Arc<DynamicZone>) -> Result<Self> {
        let addresses = addresses.to_owned();
        let service = Service::start(namespace, "HTTP update", move || open(&addresses, zone))?;
        Ok(Self { _service: service })
    }
}

fn open(addresses: &[SocketAddr], zone: Arc<DynamicZone>) -> Result<impl Future<Output = ()> + use<>> {
    let methods = routing::get(update).post(update);
    let router = Router::new().route("/update", methods).with_state(zone);
    let mut servers = Vec::new();
    for address in addresses {
        let listener = bind(*address, std::net::TcpListener::bind)?;
        listener.set_nonblocking(true)?;
        servers.push(axum::serve(TcpListener::from_std(listener)?, router.clone()).into_future());
    }
    Ok(async move { drop(join_all(servers).await) })
}

#[derive(Deserialize)]
struct Update {
    name: String,
    address: IpAddr,
}

async fn update(
    State(zone): State<Arc<DynamicZone>>,
    Query(Update { name, address }): Query<Update>,
) -> (StatusCode, String) {
    let parsed = Name::from_ascii(&name).map(|mut name| {
        name.set_fqdn(true);
        name
    });
    match parsed {
        Ok(parsed) if zone.origin.zone_of(&parsed) => {
            zone.set(parsed, address);
            (StatusCode::OK, format!("{name} is now {address}\n"))
        }
        _ => (StatusCode::BAD_REQUEST, format!("{name} is not a name in {}\n", zone.origin)),
    }
}
