//! What the daemon is asked for.

use std::path::PathBuf;

use axum::http::Method;
use serde::Serialize;
use tokio::runtime;

use super::args::{Backend, Explain, Format, Member, Pool, Remote, Route, Stats};
use super::show::{self, StatsView};
use super::style::Style;
use super::{Failure, print, print_text, watch};
use crate::api::{
    self, ChangedBackend, Client, Edited, NewBackend, NewPool, NewRoute, NewTarget, encode, query,
};
use crate::config::{Control, Target};

/// Asks the daemon.
pub(super) fn run(command: Remote, socket: Option<PathBuf>) -> Result<(), Failure> {
    let client = Client::new(socket.unwrap_or_else(|| Control::default().socket));
    let runtime = runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::Start)?;
    runtime.block_on(async {
        match command {
            Remote::Status(format) => {
                let status: api::Status = client.get("/v1/status").await?;
                output(&format, &status, show::status)
            }
            Remote::Route(verb) => route(&client, verb).await,
            Remote::Pool(verb) => pool(&client, verb).await,
            Remote::Backend(verb) => backend(&client, verb).await,
            Remote::Explain(arguments) => explain(&client, &arguments).await,
            Remote::Stats(arguments) => stats(&client, &arguments).await,
        }
    })
}

async fn route(client: &Client, verb: Route) -> Result<(), Failure> {
    match verb {
        Route::List(format) => {
            let routes: api::Routes = client.get("/v1/routes").await?;
            output(&format, &routes, show::routes)
        }
        Route::Show { name, format } => {
            let routes: api::NameRoutes = client.get(&format!("/v1/names/{}", encode(&name))).await?;
            output(&format, &routes, show::name_routes)
        }
        Route::Add { pattern, target, replace, format } => {
            let (pool, answer) = match Target::from_word(&target) {
                Target::Pool(pool) => (Some(pool.to_string()), None),
                Target::Answer(answer) => (None, Some(answer.to_string())),
            };
            let edited = if replace {
                client.send(Method::PUT, &route_path(&pattern), &NewTarget { pool, answer }).await?
            } else {
                let new = NewRoute { pattern: pattern.clone(), pool, answer };
                client.send(Method::POST, "/v1/routes", &new).await?
            };
            done(&format, &edited, &format!("route {pattern} leads to {target}"))
        }
        Route::Remove { pattern, format } => {
            let edited = client.delete(&route_path(&pattern)).await?;
            done(&format, &edited, &format!("route {pattern} removed"))
        }
    }
}

async fn pool(client: &Client, verb: Pool) -> Result<(), Failure> {
    match verb {
        Pool::List(format) => {
            let pools: api::Pools = client.get("/v1/pools").await?;
            output(&format, &pools, show::pools)
        }
        Pool::Show { pool, format } => {
            let pool: api::Pool = client.get(&pool_path(&pool)).await?;
            output(&format, &pool, show::pool)
        }
        Pool::Add { pool, backend, policy, hash, primary, proxy_protocol, format } => {
            let member = |Member { address, weight }| NewBackend { address, weight };
            let backends = backend.into_iter().map(member).collect();
            let new = NewPool { name: pool.clone(), policy, hash, primary, proxy_protocol, backends };
            let edited = client.send(Method::POST, "/v1/pools", &new).await?;
            done(&format, &edited, &format!("pool {pool} added"))
        }
        Pool::Remove { pool, format } => {
            let edited = client.delete(&pool_path(&pool)).await?;
            done(&format, &edited, &format!("pool {pool} removed"))
        }
    }
}

async fn backend(client: &Client, verb: Backend) -> Result<(), Failure> {
    match verb {
        Backend::List { pool, format } => {
            let path = pool.map_or("/v1/backends".to_owned(), |pool| backends_path(&pool));
            let backends: api::Backends = client.get(&path).await?;
            output(&format, &backends, show::backends)
        }
        Backend::Add { pool, address, weight, format } => {
            let new = NewBackend { address: address.clone(), weight: Some(weight) };
            let edited = client.send(Method::POST, &backends_path(&pool), &new).await?;
            done(&format, &edited, &format!("backend {address} added to pool {pool}, weight {weight}"))
        }
        Backend::Remove { pool, address, format } => {
            let edited = client.delete(&backend_path(&pool, &address)).await?;
            done(&format, &edited, &format!("backend {address} removed from pool {pool}"))
        }
        Backend::Weight { pool, address, weight, format } => {
            let path = backend_path(&pool, &address);
            let change = ChangedBackend { weight: Some(weight), ..ChangedBackend::default() };
            let edited = client.send(Method::PATCH, &path, &change).await?;
            done(&format, &edited, &format!("backend {address} of pool {pool} has weight {weight}"))
        }
    }
}

async fn explain(client: &Client, arguments: &Explain) -> Result<(), Failure> {
    let Explain { name, record_type, from, listener, format } = arguments;
    let asked = [
        ("name", Some(name.as_str())),
        ("type", Some(record_type)),
        ("from", from.as_deref()),
        ("listener", listener.as_deref()),
    ];
    let explanation: api::Explanation = client.get(&query("/v1/explain", &asked)).await?;
    output(format, &explanation, show::explanation)
}

async fn stats(client: &Client, arguments: &Stats) -> Result<(), Failure> {
    let Stats { watch, interval, all, format } = arguments;
    if *watch {
        return watch::stats(client, *interval, *all).await;
    }
    let stats: api::Stats = client.get("/v1/stats").await?;
    let view = |stats: &api::Stats, style| StatsView { all: *all, height: None, style }.lines(stats, None);
    output(format, &stats, view)
}

/// Prints what was asked for: as JSON, or for people.
fn output<T: Serialize>(
    format: &Format,
    answer: &T,
    show: impl FnOnce(&T, Style) -> Vec<String>,
) -> Result<(), Failure> {
    if format.json {
        let json = serde_json::to_string_pretty(answer).map_err(|error| Failure::Output(error.into()))?;
        return print_text(&format!("{json}\n"));
    }
    print(&show(answer, Style::of_stdout()))
}

/// Says that an edit was made.
fn done(format: &Format, edited: &Edited, what: &str) -> Result<(), Failure> {
    output(format, edited, |Edited { generation, changed }, _| {
        let already = if *changed { "" } else { " already" };
        vec![super::style::printable(&format!("{what}{already} (generation {generation})"))]
    })
}

fn route_path(pattern: &str) -> String {
    format!("/v1/routes/{}", encode(pattern))
}

fn pool_path(pool: &str) -> String {
    format!("/v1/pools/{}", encode(pool))
}

fn backends_path(pool: &str) -> String {
    format!("{}/backends", pool_path(pool))
}

fn backend_path(pool: &str, address: &str) -> String {
    format!("{}/{}", backends_path(pool), encode(address))
}
