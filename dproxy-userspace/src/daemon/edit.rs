//! What an operator may change about a running configuration. Pure.

use std::collections::btree_map::Entry;
use std::fmt;
use std::net::SocketAddr;

use crate::api::{ApiError, Code, Detail};
use crate::config::{self, Config, Pattern, Place, Pool, Quoted, Target, WeightedBackend, counted, listed};
use crate::control::CompileError;
use crate::datapath::DatapathError;

/// One edit.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields say themselves what they are")]
pub enum Edit {
    /// Adds a route; refused if the pattern has one.
    AddRoute { pattern: Pattern, target: Target },
    /// Adds a route or changes where it leads.
    SetRoute { pattern: Pattern, target: Target },
    /// Removes a route.
    RemoveRoute { pattern: Pattern },
    /// Adds a pool.
    AddPool { name: String, pool: Pool },
    /// Removes a pool that no route leads to.
    RemovePool { name: String },
    /// Adds a backend to a pool.
    AddBackend { pool: String, backend: WeightedBackend },
    /// Removes a backend from a pool.
    RemoveBackend { pool: String, address: SocketAddr },
    /// Sets the weight of a pool's backend.
    SetWeight { pool: String, address: SocketAddr, weight: u16 },
}

/// Why an edit was refused. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each message says it")]
pub enum EditError {
    #[error("there is no {0}")]
    NotThere(Place),
    #[error("there is no backend {address} in pool {}", Quoted(.pool))]
    NoSuchBackend { pool: String, address: SocketAddr },
    #[error("{place} is there already{leads}")]
    Exists { place: Place, leads: String },
    #[error("pool {} is in use by {}: {}", Quoted(.pool), counted(.routes.len(), "route"), shown(.routes))]
    InUse { pool: String, routes: Vec<Pattern> },
    #[error("backend {address} is the primary of pool {}", Quoted(.pool))]
    IsPrimary { pool: String, address: SocketAddr },
    #[error("{}", .0.first().map(ToString::to_string).unwrap_or_default())]
    Invalid(Vec<config::Problem>),
    #[error(transparent)]
    DoesNotFit(#[from] CompileError),
    #[error(transparent)]
    Datapath(#[from] DatapathError),
}

impl Edit {
    /// Makes the edit in `config`. What comes out need not be valid yet.
    pub fn apply(&self, config: &mut Config) -> Result<(), EditError> {
        match self {
            Self::AddRoute { pattern, target } => match config.routes.entry(pattern.clone()) {
                Entry::Vacant(vacant) => {
                    vacant.insert(target.clone());
                    Ok(())
                }
                Entry::Occupied(taken) => Err(EditError::Exists {
                    place: Place::Route(pattern.clone()),
                    leads: format!(" and leads to {}", Leads(taken.get())),
                }),
            },
            Self::SetRoute { pattern, target } => {
                config.routes.insert(pattern.clone(), target.clone());
                Ok(())
            }
            Self::RemoveRoute { pattern } => match config.routes.remove(pattern) {
                Some(_) => Ok(()),
                None => Err(EditError::NotThere(Place::Route(pattern.clone()))),
            },
            Self::AddPool { name, pool } => match config.pools.entry(name.clone()) {
                Entry::Vacant(vacant) => {
                    vacant.insert(pool.clone());
                    Ok(())
                }
                Entry::Occupied(_) => Err(exists(Place::Pool(name.clone()))),
            },
            Self::RemovePool { name } => remove_pool(config, name),
            Self::AddBackend { pool: name, backend } => {
                let pool = pool(config, name)?;
                let index = pool.backends.len();
                if pool.backends.iter().any(|there| there.address == backend.address) {
                    return Err(exists(Place::Backend(name.clone(), index, backend.address)));
                }
                pool.backends.push(*backend);
                Ok(())
            }
            Self::RemoveBackend { pool: name, address } => {
                let pool = pool(config, name)?;
                let index = position(pool, name, *address)?;
                if pool.primary == Some(*address) {
                    return Err(EditError::IsPrimary { pool: name.clone(), address: *address });
                }
                pool.backends.remove(index);
                Ok(())
            }
            Self::SetWeight { pool: name, address, weight } => {
                let pool = pool(config, name)?;
                let index = position(pool, name, *address)?;
                pool.backends[index].weight = *weight;
                Ok(())
            }
        }
    }
}

fn exists(place: Place) -> EditError {
    EditError::Exists { place, leads: String::new() }
}

fn pool<'c>(config: &'c mut Config, name: &str) -> Result<&'c mut Pool, EditError> {
    config.pools.get_mut(name).ok_or_else(|| EditError::NotThere(Place::Pool(name.to_owned())))
}

fn position(pool: &Pool, name: &str, address: SocketAddr) -> Result<usize, EditError> {
    let index = pool.backends.iter().position(|backend| backend.address == address);
    index.ok_or_else(|| EditError::NoSuchBackend { pool: name.to_owned(), address })
}

fn remove_pool(config: &mut Config, name: &str) -> Result<(), EditError> {
    pool(config, name)?;
    let leads_here = |target: &Target| matches!(target, Target::Pool(pool) if **pool == *name);
    let users = config.routes.iter().filter(|(_, target)| leads_here(target));
    let routes: Vec<Pattern> = users.map(|(pattern, _)| pattern.clone()).collect();
    if !routes.is_empty() {
        return Err(EditError::InUse { pool: name.to_owned(), routes });
    }
    config.pools.remove(name);
    Ok(())
}

fn shown(routes: &[Pattern]) -> String {
    let routes: Vec<String> = routes.iter().map(ToString::to_string).collect();
    listed(routes.iter().map(String::as_str))
}

/// Where a route leads, in words.
struct Leads<'a>(&'a Target);

impl fmt::Display for Leads<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Target::Pool(name) => write!(f, "pool {}", Quoted(name)),
            Target::Answer(answer) => write!(f, "answer {answer}"),
        }
    }
}

impl fmt::Display for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddRoute { pattern, target } => write!(f, "add route {pattern} to {}", Leads(target)),
            Self::SetRoute { pattern, target } => write!(f, "set route {pattern} to {}", Leads(target)),
            Self::RemoveRoute { pattern } => write!(f, "remove route {pattern}"),
            Self::AddPool { name, pool } => {
                write!(f, "add pool {} with {}", Quoted(name), counted(pool.backends.len(), "backend"))
            }
            Self::RemovePool { name } => write!(f, "remove pool {}", Quoted(name)),
            Self::AddBackend { pool, backend } => {
                write!(
                    f,
                    "add backend {} to pool {}, weight {}",
                    backend.address,
                    Quoted(pool),
                    backend.weight
                )
            }
            Self::RemoveBackend { pool, address } => {
                write!(f, "remove backend {address} from pool {}", Quoted(pool))
            }
            Self::SetWeight { pool, address, weight } => {
                write!(f, "set weight of backend {address} of pool {} to {weight}", Quoted(pool))
            }
        }
    }
}

impl From<EditError> for ApiError {
    fn from(error: EditError) -> Self {
        let message = error.to_string();
        match error {
            EditError::NotThere(place) => Self::new(Code::NotFound, message).place(place.to_string()),
            EditError::NoSuchBackend { pool, .. } => {
                Self::new(Code::NotFound, message).place(Place::Pool(pool).to_string())
            }
            EditError::Exists { place, leads } => {
                let error = Self::new(Code::Exists, message).place(place.to_string());
                if leads.is_empty() { error } else { error.allowed(REPLACE) }
            }
            EditError::InUse { pool, .. } => Self::new(Code::InUse, message)
                .place(Place::Pool(pool).to_string())
                .allowed("a pool that no route leads to; let these lead elsewhere, or remove them"),
            EditError::IsPrimary { pool, .. } => Self::new(Code::InUse, message)
                .place(Place::Pool(pool).to_string())
                .allowed("a backend that is not; the primary is set in the file, or when a pool is added"),
            EditError::Invalid(problems) => invalid(problems),
            EditError::DoesNotFit(_) => Self::new(Code::NoRoom, message),
            EditError::Datapath(_) => Self::new(Code::Unavailable, message),
        }
    }
}

const REPLACE: &str =
    "a pattern without a route; to change where this one leads, replace it (--replace, or PUT)";

fn invalid(problems: Vec<config::Problem>) -> ApiError {
    let mut details = problems.into_iter().map(|config::Problem { place, says, allowed, against: _ }| {
        Detail { message: format!("{place} {says}"), place: Some(place.to_string()), allowed: Some(allowed) }
    });
    let error = ApiError::new(Code::Invalid, "");
    match details.next() {
        Some(detail) => ApiError { detail, more: details.collect(), ..error },
        None => error,
    }
}

impl From<DatapathError> for ApiError {
    fn from(error: DatapathError) -> Self {
        Self::new(Code::Unavailable, error.to_string())
    }
}
