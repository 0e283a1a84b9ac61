//! What the daemon is asked for.

use std::path::PathBuf;

use axum::http::Method;
use serde::Serialize;
use tokio::runtime;

use super::args::{Backend, Editing, Explain, Format, Member, Pool, Remote, Route, Settings, Stats};
use super::show::{self, StatsView};
use super::style::Style;
use super::{Failure, events, print, print_text, save, watch, whole};
use crate::api::{
    self, ChangedBackend, ChangedPool, Client, Edited, NewBackend, NewPool, NewRoute, NewSwitch, NewTarget,
    encode, query,
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
            Remote::Plan(arguments) => whole::plan(&client, arguments).await,
            Remote::Apply(arguments) => whole::apply(&client, arguments).await,
            Remote::Confirm(editing) => whole::confirm(&client, &editing).await,
            Remote::Rollback(arguments) => whole::rollback(&client, arguments).await,
            Remote::History(format) => whole::history(&client, &format).await,
            Remote::Save(arguments) => save::save(&client, arguments).await,
            Remote::Explain(arguments) => explain(&client, &arguments).await,
            Remote::Events(arguments) => events::events(&client, &arguments).await,
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
        Route::Add { pattern, target, replace, editing } => {
            let client = client.made_for(editing.generation);
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
            done(&editing.format, &edited, &format!("route {pattern} leads to {target}"))
        }
        Route::Remove { pattern, editing } => {
            let edited = client.made_for(editing.generation).delete(&route_path(&pattern)).await?;
            done(&editing.format, &edited, &format!("route {pattern} removed"))
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
        Pool::Add { pool, backend, policy, hash, primary, proxy_protocol, editing } => {
            let member = |Member { address, weight }| NewBackend { address, weight };
            let backends = backend.into_iter().map(member).collect();
            let new = NewPool { name: pool.clone(), policy, hash, primary, proxy_protocol, backends };
            let edited = client.made_for(editing.generation).send(Method::POST, "/v1/pools", &new).await?;
            done(&editing.format, &edited, &format!("pool {pool} added"))
        }
        Pool::Set { pool, settings, editing } => {
            let Settings { policy, hash, panic_threshold, when_down, slow_start, bounded_load } = settings;
            let change = ChangedPool { policy, hash, panic_threshold, when_down, slow_start, bounded_load };
            let client = client.made_for(editing.generation);
            let edited = client.send(Method::PATCH, &pool_path(&pool), &change).await?;
            done(&editing.format, &edited, &format!("pool {pool} is set"))
        }
        Pool::Switch { from, to, percent, back, force, editing } => {
            let client = client.made_for(editing.generation);
            let path = format!("{}/switch", pool_path(&from));
            let new = NewSwitch { to: to.clone(), percent, back, force };
            let edited = client.send(Method::POST, &path, &new).await?;
            let what = match (back, percent) {
                (true, _) => format!("the switch of pool {from} to {to} is taken back"),
                (false, None) => format!("all routes of pool {from} lead to {to}"),
                (false, Some(percent)) => format!("{percent} % of the clients of pool {from} go to {to}"),
            };
            done(&editing.format, &edited, &what)
        }
        Pool::Remove { pool, editing } => {
            let edited = client.made_for(editing.generation).delete(&pool_path(&pool)).await?;
            done(&editing.format, &edited, &format!("pool {pool} removed"))
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
        Backend::Add { pool, address, weight, editing } => {
            let client = client.made_for(editing.generation);
            let new = NewBackend { address: address.clone(), weight: Some(weight) };
            let edited = client.send(Method::POST, &backends_path(&pool), &new).await?;
            done(
                &editing.format,
                &edited,
                &format!("backend {address} added to pool {pool}, weight {weight}"),
            )
        }
        Backend::Remove { pool, address, editing } => {
            let edited = client.made_for(editing.generation).delete(&backend_path(&pool, &address)).await?;
            done(&editing.format, &edited, &format!("backend {address} removed from pool {pool}"))
        }
        Backend::Weight { pool, address, weight, editing } => {
            let change = ChangedBackend { weight: Some(weight), ..ChangedBackend::default() };
            let edited = change_backend(client, &pool, &address, &change, &editing).await?;
            done(&editing.format, &edited, &format!("backend {address} of pool {pool} has weight {weight}"))
        }
        Backend::Drain { pool, address, editing } => drain(client, &pool, &address, true, &editing).await,
        Backend::Enable { pool, address, editing } => drain(client, &pool, &address, false, &editing).await,
    }
}

async fn drain(
    client: &Client,
    pool: &str,
    address: &str,
    drained: bool,
    editing: &Editing,
) -> Result<(), Failure> {
    let change = ChangedBackend { drained: Some(drained), ..ChangedBackend::default() };
    let edited = change_backend(client, pool, address, &change, editing).await?;
    let state = if drained { "drained" } else { "enabled" };
    done(&editing.format, &edited, &format!("backend {address} of pool {pool} is {state}"))
}

async fn change_backend(
    client: &Client,
    pool: &str,
    address: &str,
    change: &ChangedBackend,
    editing: &Editing,
) -> Result<Edited, Failure> {
    let client = client.made_for(editing.generation);
    Ok(client.send(Method::PATCH, &backend_path(pool, address), change).await?)
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
pub(super) fn output<T: Serialize>(
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
pub(super) fn done(format: &Format, edited: &Edited, what: &str) -> Result<(), Failure> {
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
