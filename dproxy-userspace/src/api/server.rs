//! Takes requests on the socket and hands them to the engine.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};

use axum::Json;
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::routing::{get, patch};
use axum::{Router, serve as serve_http};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixListener;

use super::{
    ApiError, Backends, Code, Edited, Explanation, NameRoutes, NewBackend, NewPool, NewRoute, NewTarget,
    NewWeight, Pool, Pools, Route, Routes, Stats, Status,
};
use crate::config::{self, Name, Pattern, Policy, Refusal, Target, WeightedBackend, parse_address};
use crate::daemon::{EXAMPLE_PORT, Edit, Handle, Question};

/// Serves the API until `end` is ready and the requests under way are answered.
pub async fn serve(
    listener: UnixListener,
    engine: Handle,
    end: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    serve_http(listener, router(engine)).with_graceful_shutdown(end).await
}

fn router(engine: Handle) -> Router {
    let v1 = Router::new()
        .route("/status", get(status))
        .route("/routes", get(routes).post(add_route))
        .route("/routes/{pattern}", get(route).put(set_route).delete(remove_route))
        .route("/names/{name}", get(name))
        .route("/pools", get(pools).post(add_pool))
        .route("/pools/{pool}", get(pool).delete(remove_pool))
        .route("/backends", get(all_backends))
        .route("/pools/{pool}/backends", get(backends).post(add_backend))
        .route("/pools/{pool}/backends/{address}", patch(set_weight).delete(remove_backend))
        .route("/explain", get(explain))
        .route("/stats", get(stats));
    Router::new()
        .nest("/v1", v1)
        .fallback(async |request: Request| not_found(request.uri().path()))
        .method_not_allowed_fallback(async |request: Request| method_not_allowed(&request))
        .with_state(engine)
}

fn not_found(path: &str) -> ApiError {
    ApiError::new(Code::NotFound, format!("there is no {}", config::Quoted(path))).place("path")
}

fn method_not_allowed(request: &Request) -> ApiError {
    let (method, path) = (request.method(), config::Quoted(request.uri().path()));
    ApiError::new(Code::MethodNotAllowed, format!("{method} cannot be done to {path}")).place("path")
}

type Answer<T> = Result<Json<T>, ApiError>;
type Created<T> = Result<(StatusCode, Json<T>), ApiError>;
type Engine = State<Handle>;

async fn status(State(engine): Engine) -> Answer<Status> {
    Ok(Json(engine.look(|engine| engine.status()).await??))
}

async fn routes(State(engine): Engine) -> Answer<Routes> {
    Ok(Json(engine.look(|engine| engine.routes()).await?))
}

async fn route(State(engine): Engine, At(pattern): At<String>) -> Answer<Route> {
    let pattern = parse_pattern(&pattern)?;
    Ok(Json(engine.look(move |engine| engine.route(&pattern)).await??))
}

async fn add_route(State(engine): Engine, Body(new): Body<NewRoute>) -> Created<Edited> {
    let pattern = parse_pattern(&new.pattern)?;
    let target = parse_target(new.pool, new.answer)?;
    created(engine.edit(Edit::AddRoute { pattern, target }).await?)
}

async fn set_route(
    State(engine): Engine,
    At(pattern): At<String>,
    Body(new): Body<NewTarget>,
) -> Answer<Edited> {
    let pattern = parse_pattern(&pattern)?;
    let target = parse_target(new.pool, new.answer)?;
    Ok(Json(engine.edit(Edit::SetRoute { pattern, target }).await?))
}

async fn remove_route(State(engine): Engine, At(pattern): At<String>) -> Answer<Edited> {
    let pattern = parse_pattern(&pattern)?;
    Ok(Json(engine.edit(Edit::RemoveRoute { pattern }).await?))
}

async fn name(State(engine): Engine, At(name): At<String>) -> Answer<NameRoutes> {
    let name = parse_name(&name)?;
    Ok(Json(engine.look(move |engine| engine.name_routes(&name)).await?))
}

async fn pools(State(engine): Engine) -> Answer<Pools> {
    Ok(Json(engine.look(|engine| engine.pools()).await?))
}

async fn pool(State(engine): Engine, At(name): At<String>) -> Answer<Pool> {
    Ok(Json(engine.look(move |engine| engine.pool(&name)).await??))
}

async fn add_pool(State(engine): Engine, Body(new): Body<NewPool>) -> Created<Edited> {
    let NewPool { name, policy, hash, primary, proxy_protocol, backends } = new;
    let policy = parse_policy(policy.as_deref(), hash.as_deref())?;
    let primary = primary.map(|text| parse_socket_address("primary", &text)).transpose()?;
    let backends = backends.into_iter().map(parse_backend).collect::<Result<_, _>>()?;
    let pool = config::Pool { policy, primary, proxy_protocol, switch: None, backends };
    created(engine.edit(Edit::AddPool { name, pool }).await?)
}

async fn remove_pool(State(engine): Engine, At(name): At<String>) -> Answer<Edited> {
    Ok(Json(engine.edit(Edit::RemovePool { name }).await?))
}

async fn all_backends(State(engine): Engine) -> Answer<Backends> {
    Ok(Json(engine.look(|engine| engine.backends(None)).await??))
}

async fn backends(State(engine): Engine, At(pool): At<String>) -> Answer<Backends> {
    Ok(Json(engine.look(move |engine| engine.backends(Some(&pool))).await??))
}

async fn add_backend(
    State(engine): Engine,
    At(pool): At<String>,
    Body(new): Body<NewBackend>,
) -> Created<Edited> {
    let backend = parse_backend(new)?;
    created(engine.edit(Edit::AddBackend { pool, backend }).await?)
}

async fn set_weight(
    State(engine): Engine,
    At((pool, address)): At<(String, String)>,
    Body(NewWeight { weight }): Body<NewWeight>,
) -> Answer<Edited> {
    let address = parse_socket_address("address", &address)?;
    Ok(Json(engine.edit(Edit::SetWeight { pool, address, weight }).await?))
}

async fn remove_backend(State(engine): Engine, At((pool, address)): At<(String, String)>) -> Answer<Edited> {
    let address = parse_socket_address("address", &address)?;
    Ok(Json(engine.edit(Edit::RemoveBackend { pool, address }).await?))
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
    Ok(Json(engine.look(move |engine| engine.explain(&question)).await??))
}

async fn stats(State(engine): Engine) -> Answer<Stats> {
    Ok(Json(engine.look(|engine| engine.stats()).await??))
}

fn created(edited: Edited) -> Created<Edited> {
    Ok((StatusCode::CREATED, Json(edited)))
}

fn parse_pattern(text: &str) -> Result<Pattern, ApiError> {
    text.parse().map_err(|error: config::NameError| ApiError::refused("pattern", error))
}

fn parse_name(text: &str) -> Result<Name, ApiError> {
    text.parse().map_err(|error: config::NameError| ApiError::refused("name", error))
}

fn parse_socket_address(place: &str, text: &str) -> Result<SocketAddr, ApiError> {
    parse_address(text).map_err(|refusal| ApiError::refused(place, refusal))
}

/// A client's address. Unlike a server's, its port is not 53 if none is given.
fn parse_client(text: &str) -> Result<SocketAddr, ApiError> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    match bare.parse::<IpAddr>() {
        Ok(ip) => Ok(SocketAddr::new(ip, EXAMPLE_PORT)),
        Err(_) => parse_socket_address("from", text),
    }
}

fn parse_target(pool: Option<String>, answer: Option<String>) -> Result<Target, ApiError> {
    match (pool, answer) {
        (Some(pool), None) => Ok(Target::Pool(pool.into())),
        (None, Some(answer)) => {
            let answer = answer.parse().map_err(|refusal: Refusal| ApiError::refused("answer", refusal))?;
            Ok(Target::Answer(answer))
        }
        (None, None) => Err(target_error("the route leads nowhere")),
        (Some(_), Some(_)) => Err(target_error("the route has both a pool and an answer")),
    }
}

fn target_error(message: &str) -> ApiError {
    ApiError::new(Code::Malformed, message).place("body").allowed("either \"pool\" or \"answer\"")
}

fn parse_policy(policy: Option<&str>, hash: Option<&str>) -> Result<Policy, ApiError> {
    let refused = |place: &'static str| move |refusal: Refusal| ApiError::refused(place, refusal);
    let policy: Policy = policy.map(str::parse).transpose().map_err(refused("policy"))?.unwrap_or_default();
    let Some(hash) = hash else { return Ok(policy) };
    let hash = hash.parse().map_err(refused("hash"))?;
    policy.with_hash(hash).map_err(refused("hash"))
}

fn parse_backend(NewBackend { address, weight }: NewBackend) -> Result<WeightedBackend, ApiError> {
    let address = parse_socket_address("address", &address)?;
    Ok(WeightedBackend::new(address, weight.unwrap_or(WeightedBackend::DEFAULT_WEIGHT)))
}

/// Parameters in the path.
struct At<T>(T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for At<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Path(parameters) = Path::from_request_parts(parts, state).await?;
        Ok(Self(parameters))
    }
}

/// Parameters in the query.
struct Asking<T>(T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asking<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Query(parameters) = Query::from_request_parts(parts, state).await?;
        Ok(Self(parameters))
    }
}

/// A JSON body, whatever its content type says: `curl --data` calls everything a form.
struct Body<T>(T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let octets = Bytes::from_request(request, state).await?;
        match serde_json::from_slice(&octets) {
            Ok(value) => Ok(Self(value)),
            Err(error) => {
                Err(ApiError::new(Code::Malformed, format!("the body is not as it must be: {error}"))
                    .place("body"))
            }
        }
    }
}
