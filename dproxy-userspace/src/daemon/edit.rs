//! What an operator may change about a running configuration. Pure.

use std::collections::btree_map::Entry;
use std::fmt;
use std::net::SocketAddr;

use super::pool_change::PoolChange;
use super::switch;
use crate::config::{
    self, Change, Config, Pattern, Place, Pool, Quoted, Target, WeightedBackend, counted, listed,
};
use crate::control::CompileError;
use crate::datapath::DatapathError;
use crate::slow_path::SlowPathError;
use crate::state::StateError;

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
    /// Changes a pool's settings.
    SetPool { name: String, change: PoolChange },
    /// Removes a pool that no route leads to.
    RemovePool { name: String },
    /// Adds a backend to a pool.
    AddBackend { pool: String, backend: WeightedBackend },
    /// Removes a backend from a pool.
    RemoveBackend { pool: String, address: SocketAddr },
    /// Sets the weight of a pool's backend.
    SetWeight { pool: String, address: SocketAddr, weight: u16 },
    /// Sends a pool's backend no queries for now, or again its share of them.
    Drain { pool: String, address: SocketAddr, drained: bool },
    /// Sends so many of a pool's clients, in percent, to another pool; without a share, moves every route there
    /// for good. Forced: even if no backend of the other pool is up.
    Switch { from: String, to: String, percent: Option<u8>, force: bool },
    /// Takes a switch back.
    SwitchBack { from: String, to: String },
    /// Several edits, as one.
    All(Vec<Edit>),
}

/// Routes that an edit concerns.
enum Concerned<'e> {
    None,
    Pattern(&'e Pattern),
    All,
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
    #[error("pool {} cannot be switched to itself", Quoted(.0))]
    SwitchToItself(String),
    #[error("{0} % is not a share of the clients")]
    Percent(u8),
    #[error("pool {} is on a switch to pool {}", Quoted(.pool), Quoted(.to))]
    OnSwitch { pool: String, to: String },
    #[error("nothing of pool {} is on the switch to pool {}", Quoted(.from), Quoted(.to))]
    NotOnSwitch { from: String, to: String },
    #[error("no backend of pool {} is up", Quoted(.0))]
    NotUp(String),
    #[error("{}", stale(*.made_for, *.in_force, .since))]
    Stale { made_for: u64, in_force: u64, since: Vec<String> },
    #[error(
        "generation {generation} waits for its confirmation until {until}, and would take the edit with it"
    )]
    Unconfirmed { generation: u64, until: String },
    #[error("no generation waits for a confirmation")]
    NothingToConfirm,
    #[error("there is no generation before this one to go back to")]
    NothingBefore,
    #[error("live edits would be undone: {}", listed(.0.iter().map(String::as_str)))]
    WouldUndo(Vec<String>),
    #[error("{}", .0.first().map(ToString::to_string).unwrap_or_default())]
    Invalid(Vec<config::Problem>),
    #[error(transparent)]
    DoesNotFit(#[from] CompileError),
    #[error(transparent)]
    Datapath(#[from] DatapathError),
    #[error(transparent)]
    SlowPath(#[from] SlowPathError),
    #[error(transparent)]
    State(#[from] StateError),
}

impl Edit {
    /// What the edit changes of a configuration. What comes out need not be valid yet.
    pub fn change(&self, config: &Config) -> Result<Change, EditError> {
        let mut before = Config { pools: config.pools.clone(), ..Config::default() };
        match self.routes() {
            Concerned::Pattern(pattern) => {
                let route = config.routes.get_key_value(pattern);
                before.routes.extend(route.map(|(pattern, target)| (pattern.clone(), target.clone())));
            }
            Concerned::All => before.routes.clone_from(&config.routes),
            Concerned::None => {}
        }
        let mut after = before.clone();
        self.apply(&mut after)?;
        Ok(Change::between(&before, &after))
    }

    /// Of which routes the edit has to know.
    fn routes(&self) -> Concerned<'_> {
        match self {
            Self::AddRoute { pattern, .. }
            | Self::SetRoute { pattern, .. }
            | Self::RemoveRoute { pattern } => Concerned::Pattern(pattern),
            Self::RemovePool { .. } | Self::Switch { percent: None, .. } | Self::All(_) => Concerned::All,
            Self::AddPool { .. }
            | Self::SetPool { .. }
            | Self::AddBackend { .. }
            | Self::RemoveBackend { .. }
            | Self::SetWeight { .. }
            | Self::Drain { .. }
            | Self::Switch { percent: Some(_), .. }
            | Self::SwitchBack { .. } => Concerned::None,
        }
    }

    /// Does it concern a switch from pool to pool?
    pub(super) fn is_switch(&self) -> bool {
        matches!(self, Self::Switch { .. } | Self::SwitchBack { .. })
    }

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
            Self::SetPool { name, change } => change.apply(config, name),
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
            Self::Drain { pool: name, address, drained } => {
                let pool = pool(config, name)?;
                let index = position(pool, name, *address)?;
                pool.backends[index].drained = *drained;
                Ok(())
            }
            Self::Switch { from, to, percent, force: _ } => switch::switch(config, from, to, *percent),
            Self::SwitchBack { from, to } => switch::back(config, from, to),
            Self::All(edits) => edits.iter().try_for_each(|edit| edit.apply(config)),
        }
    }
}

fn exists(place: Place) -> EditError {
    EditError::Exists { place, leads: String::new() }
}

pub(super) fn pool<'c>(config: &'c mut Config, name: &str) -> Result<&'c mut Pool, EditError> {
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

fn stale(made_for: u64, in_force: u64, since: &[String]) -> String {
    let since = if since.is_empty() { String::new() } else { format!("; since then: {}", since.join("; ")) };
    format!("the edit is made for generation {made_for}, but generation {in_force} is in force{since}")
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
            Self::SetPool { name, change } => change.describe(name, f),
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
            Self::Drain { pool, address, drained } => {
                let verb = if *drained { "drain" } else { "enable" };
                write!(f, "{verb} backend {address} of pool {}", Quoted(pool))
            }
            Self::Switch { from, to, percent: None, force: _ } => {
                write!(f, "switch pool {} to {}", Quoted(from), Quoted(to))
            }
            Self::Switch { from, to, percent: Some(percent), force: _ } => {
                write!(f, "switch {percent} % of the clients of pool {} to {}", Quoted(from), Quoted(to))
            }
            Self::SwitchBack { from, to } => {
                write!(f, "take back the switch of pool {} to {}", Quoted(from), Quoted(to))
            }
            Self::All(edits) => {
                f.write_str(&edits.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
            }
        }
    }
}
