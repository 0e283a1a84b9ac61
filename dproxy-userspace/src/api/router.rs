//! Which request does what.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::routing::{get, patch, post};
use axum::{Json, Router};
use serde::Deserialize;
use tokio::time::timeout;

use super::answer::{Answer, Created, Engine, find, look};
use super::body::Body;
use super::editor::Editor;
use super::parameters::{Asking, At};
use super::parse::{
    parse_backend, parse_changes, parse_client, parse_name, parse_pattern, parse_pool, parse_socket_address,
    parse_target,
};
use super::{
    ApiError, Backends, ChangedBackend, ChangedPool, Code, Edited, Events, Explanation, NameRoutes,
    NewBackend, NewPool, NewRoute, NewSwitch, NewTarget, Pool, Pools, Route, Routes, Stats, Status, whole,
};
use crate::config::{Quoted, Refusal};
use crate::daemon::{Edit, Handle, PoolChange, Question};

pub(super) fn router(engine: Handle) -> Router {
    let v1 = Router::new()
        .route("/status", get(status))
        .route("/routes", get(routes).post(add_route))
        .route("/routes/{pattern}", get(route).put(set_route).delete(remove_route))
        .route("/names/{name}", get(name))
        .route("/pools", get(pools).post(add_pool))
        .route("/pools/{pool}", get(pool).patch(change_pool).delete(remove_pool))
        .route("/pools/{pool}/switch", post(switch))
        .route("/backends", get(all_backends))
        .route("/pools/{pool}/backends", get(backends).post(add_backend))
        .route("/pools/{pool}/backends/{address}", patch(change_backend).delete(remove_backend))
        .route("/plan", post(whole::plan))
        .route("/apply", post(whole::apply))
        .route("/confirm", post(whole::confirm))
        .route("/rollback", post(whole::rollback))
        .route("/generations", get(whole::generations))
        .route("/configuration", get(whole::configuration))
        .route("/explain", get(explain))
        .route("/stats", get(stats))
        .route("/events", get(events));
    Router::new()
        .nest("/v1", v1)
        .fallback(async |request: Request| not_found(request.uri().path()))
        .method_not_allowed_fallback(async |request: Request| method_not_allowed(&request))
        .with_state(engine)
}

fn not_found(path: &str) -> ApiError {
    ApiError::new(Code::NotFound, format!("there is no {}", Quoted(path))).place("path")
}

fn method_not_allowed(request: &Request) -> ApiError {
    let (method, path) = (request.method(), Quoted(request.uri().path()));
    ApiError::new(Code::MethodNotAllowed, format!("{method} cannot be done to {path}")).place("path")
}

async fn status(State(engine): Engine) -> Answer<Status> {
    find(&engine, |engine| engine.status()).await
}

async fn routes(State(engine): Engine) -> Answer<Routes> {
    look(&engine, |engine| engine.routes()).await
}

async fn route(State(engine): Engine, At(pattern): At<String>) -> Answer<Route> {
    let pattern = parse_pattern(&pattern)?;
    find(&engine, move |engine| engine.route(&pattern)).await
}

async fn add_route(editor: Editor, Body(new): Body<NewRoute>) -> Created<Edited> {
    let pattern = parse_pattern(&new.pattern)?;
    let target = parse_target(new.pool, new.answer)?;
    editor.add(Edit::AddRoute { pattern, target }).await
}

async fn set_route(At(pattern): At<String>, editor: Editor, Body(new): Body<NewTarget>) -> Answer<Edited> {
    let pattern = parse_pattern(&pattern)?;
    let target = parse_target(new.pool, new.answer)?;
    editor.edit(Edit::SetRoute { pattern, target }).await
}

async fn remove_route(At(pattern): At<String>, editor: Editor) -> Answer<Edited> {
    let pattern = parse_pattern(&pattern)?;
    editor.edit(Edit::RemoveRoute { pattern }).await
}

async fn name(State(engine): Engine, At(name): At<String>) -> Answer<NameRoutes> {
    let name = parse_name(&name)?;
    look(&engine, move |engine| engine.name_routes(&name)).await
}

async fn pools(State(engine): Engine) -> Answer<Pools> {
    look(&engine, |engine| engine.pools()).await
}

async fn pool(State(engine): Engine, At(name): At<String>) -> Answer<Pool> {
    find(&engine, move |engine| engine.pool(&name)).await
}

async fn add_pool(editor: Editor, Body(new): Body<NewPool>) -> Created<Edited> {
    let (name, pool) = parse_pool(new)?;
    editor.add(Edit::AddPool { name, pool }).await
}

async fn change_pool(
    At(name): At<String>,
    editor: Editor,
    Body(change): Body<ChangedPool>,
) -> Answer<Edited> {
    let change = parse_changes(change)?;
    if change == PoolChange::default() {
        return Err(ApiError::new(Code::Malformed, "nothing is to be changed").place("body").allowed(
            "\"policy\", \"hash\", \"panic_threshold\", \"when_down\", \"slow_start\", \"bounded_load\"",
        ));
    }
    editor.edit(Edit::SetPool { name, change }).await
}

async fn remove_pool(At(name): At<String>, editor: Editor) -> Answer<Edited> {
    editor.edit(Edit::RemovePool { name }).await
}

async fn switch(At(from): At<String>, editor: Editor, Body(new): Body<NewSwitch>) -> Answer<Edited> {
    let NewSwitch { to, percent, back, force } = new;
    let edit = match (back, percent) {
        (false, percent) => Edit::Switch { from, to, percent, force },
        (true, None) => Edit::SwitchBack { from, to },
        (true, Some(_)) => {
            return Err(ApiError::new(Code::Malformed, "what is taken back is all of it")
                .place("body")
                .allowed("either \"percent\" or \"back\""));
        }
    };
    editor.edit(edit).await
}

async fn all_backends(State(engine): Engine) -> Answer<Backends> {
    find(&engine, |engine| engine.backends(None)).await
}

async fn backends(State(engine): Engine, At(pool): At<String>) -> Answer<Backends> {
    find(&engine, move |engine| engine.backends(Some(&pool))).await
}

async fn add_backend(At(pool): At<String>, editor: Editor, Body(new): Body<NewBackend>) -> Created<Edited> {
    let backend = parse_backend(new)?;
    editor.add(Edit::AddBackend { pool, backend }).await
}

async fn change_backend(
    At((pool, address)): At<(String, String)>,
    editor: Editor,
    Body(ChangedBackend { weight, drained }): Body<ChangedBackend>,
) -> Answer<Edited> {
    let address = parse_socket_address("address", &address)?;
    let weigh = weight.map(|weight| Edit::SetWeight { pool: pool.clone(), address, weight });
    let drain = drained.map(|drained| Edit::Drain { pool, address, drained });
    let edit = match (weigh, drain) {
        (Some(weigh), Some(drain)) => Edit::All(vec![weigh, drain]),
        (Some(edit), None) | (None, Some(edit)) => edit,
        (None, None) => {
            return Err(ApiError::new(Code::Malformed, "nothing is to be changed")
                .place("body")
                .allowed("\"weight\", \"drained\" or both"));
        }
    };
    editor.edit(edit).await
}

async fn remove_backend(At((pool, address)): At<(String, String)>, editor: Editor) -> Answer<Edited> {
    let address = parse_socket_address("address", &address)?;
    editor.edit(Edit::RemoveBackend { pool, address }).await
}

/// The query of `GET /v1/explain`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    name: String,
    #[serde(rename = "type")]
    record_type: Option<String>,
    from: Option<String>,
    listener: Option<String>,
}

async fn explain(State(engine): Engine, Asking(asked): Asking<Asked>) -> Answer<Explanation> {
    let question = Question {
        name: parse_name(&asked.name)?,
        record_type: match asked.record_type {
            Some(text) => text.parse().map_err(|refusal: Refusal| ApiError::refused("type", refusal))?,
            None => Default::default(),
        },
        from: asked.from.map(|text| parse_client(&text)).transpose()?,
        listener: asked.listener.map(|text| parse_socket_address("listener", &text)).transpose()?,
    };
    find(&engine, move |engine| engine.explain(&question)).await
}

/// The query of `GET /v1/events`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Since {
    #[serde(default)]
    after: u64,
    /// How long to wait for one, in seconds.
    #[serde(default)]
    wait: u64,
}

/// How long a request for events may wait.
const LONGEST_WAIT: u64 = 60;

async fn events(State(engine): Engine, Asking(since): Asking<Since>) -> Json<Events> {
    let Since { after, wait } = since;
    let wait = Duration::from_secs(wait.min(LONGEST_WAIT));
    // Without one, the answer is that there is none.
    let _ = timeout(wait, engine.events.wait(after)).await;
    Json(engine.events.after(after))
}

async fn stats(State(engine): Engine) -> Answer<Stats> {
    find(&engine, |engine| engine.stats()).await
}
