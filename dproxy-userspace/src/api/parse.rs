//! From the words of a request to what they mean.

use std::net::{IpAddr, SocketAddr};

use super::{ApiError, ChangedPool, Code, NewBackend, NewPool};
use crate::config::{
    self, Name, PanicThreshold, Pattern, Policy, Pool, Quoted, Refusal, Target, WeightedBackend,
    parse_address, parse_duration,
};
use crate::daemon::{EXAMPLE_PORT, PoolChange};

pub(super) fn parse_pattern(text: &str) -> Result<Pattern, ApiError> {
    text.parse().map_err(|error: config::NameError| ApiError::refused("pattern", error))
}

pub(super) fn parse_name(text: &str) -> Result<Name, ApiError> {
    text.parse().map_err(|error: config::NameError| ApiError::refused("name", error))
}

pub(super) fn parse_socket_address(place: &str, text: &str) -> Result<SocketAddr, ApiError> {
    parse_address(text).map_err(|refusal| ApiError::refused(place, refusal))
}

/// A client's address. Unlike a server's, its port is not 53 if none is given.
pub(super) fn parse_client(text: &str) -> Result<SocketAddr, ApiError> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    match bare.parse::<IpAddr>() {
        Ok(ip) => Ok(SocketAddr::new(ip, EXAMPLE_PORT)),
        Err(_) => parse_socket_address("from", text),
    }
}

pub(super) fn parse_target(pool: Option<String>, answer: Option<String>) -> Result<Target, ApiError> {
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

pub(super) fn parse_policy(policy: Option<&str>, hash: Option<&str>) -> Result<Policy, ApiError> {
    let refused = |place: &'static str| move |refusal: Refusal| ApiError::refused(place, refusal);
    let policy: Policy = policy.map(str::parse).transpose().map_err(refused("policy"))?.unwrap_or_default();
    let Some(hash) = hash else { return Ok(policy) };
    let hash = hash.parse().map_err(refused("hash"))?;
    policy.with_hash(hash).map_err(refused("hash"))
}

pub(super) fn parse_backend(NewBackend { address, weight }: NewBackend) -> Result<WeightedBackend, ApiError> {
    let address = parse_socket_address("address", &address)?;
    Ok(WeightedBackend::new(address, weight.unwrap_or(WeightedBackend::DEFAULT_WEIGHT)))
}

/// What is to be changed of a pool.
pub(super) fn parse_changes(change: ChangedPool) -> Result<PoolChange, ApiError> {
    let ChangedPool { policy, hash, panic_threshold, when_down, slow_start, bounded_load } = change;
    let refused = |place: &'static str| move |refusal: Refusal| ApiError::refused(place, refusal);
    let bound = |text: String| {
        text.parse().map_err(|_| {
            let what = format!("{} is no number", Quoted(&text));
            refused("bounded_load")(Refusal { what, allowed: format!("101 to 1000, or {OFF}") })
        })
    };
    Ok(PoolChange {
        policy: policy.map(|text| text.parse()).transpose().map_err(refused("policy"))?,
        hash: hash.map(|text| text.parse()).transpose().map_err(refused("hash"))?,
        panic_threshold: panic_threshold.map(PanicThreshold),
        when_down: when_down.map(|text| text.parse()).transpose().map_err(refused("when_down"))?,
        slow_start: unless_off(slow_start, |text| parse_duration(&text).map_err(refused("slow_start")))?,
        bounded_load: unless_off(bounded_load, bound)?,
    })
}

/// What takes away a setting that need not be there.
const OFF: &str = "off";

fn unless_off<T>(
    text: Option<String>,
    parse: impl FnOnce(String) -> Result<T, ApiError>,
) -> Result<Option<Option<T>>, ApiError> {
    match text {
        None => Ok(None),
        Some(text) if text == OFF => Ok(Some(None)),
        Some(text) => parse(text).map(|value| Some(Some(value))),
    }
}

/// A pool, and its name.
pub(super) fn parse_pool(new: NewPool) -> Result<(String, Pool), ApiError> {
    let NewPool { name, policy, hash, primary, proxy_protocol, backends } = new;
    let policy = parse_policy(policy.as_deref(), hash.as_deref())?;
    let primary = primary.map(|text| parse_socket_address("primary", &text)).transpose()?;
    let backends = backends.into_iter().map(parse_backend).collect::<Result<_, _>>()?;
    Ok((name, Pool { policy, primary, proxy_protocol, backends, ..Pool::default() }))
}
