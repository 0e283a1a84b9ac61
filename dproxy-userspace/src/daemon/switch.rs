//! From one pool to another: what it makes of a configuration. Pure.

use std::sync::Arc;

use super::edit::{EditError, pool};
use crate::config::{Config, Switch, Target};

/// Sends a share of one pool's clients to another pool; without a share, moves all routes there for good.
pub(super) fn switch(
    config: &mut Config,
    from: &str,
    to: &str,
    percent: Option<u8>,
) -> Result<(), EditError> {
    check(config, from, to)?;
    match percent {
        Some(percent @ 1..=100) => {
            pool(config, from)?.switch = Some(Switch { to: to.into(), percent });
            Ok(())
        }
        Some(percent) => Err(EditError::Percent(percent)),
        None => {
            pool(config, from)?.switch = None;
            move_routes(config, from, to);
            Ok(())
        }
    }
}

/// Takes a share back.
pub(super) fn back(config: &mut Config, from: &str, to: &str) -> Result<(), EditError> {
    pool(config, to)?;
    let switch = &mut pool(config, from)?.switch;
    match switch {
        Some(on) if *on.to == *to => *switch = None,
        Some(on) => return Err(on_switch(from, on)),
        None => return Err(EditError::NotOnSwitch { from: from.to_owned(), to: to.to_owned() }),
    }
    Ok(())
}

/// A query takes one switch at most: else it would matter in which order they were set, and two could go
/// round in a circle.
fn check(config: &mut Config, from: &str, to: &str) -> Result<(), EditError> {
    let onward = pool(config, to)?.switch.clone();
    let current = pool(config, from)?.switch.clone();
    if from == to {
        return Err(EditError::SwitchToItself(from.to_owned()));
    }
    if let Some(onward) = onward {
        return Err(on_switch(to, &onward));
    }
    if let Some(other) = current.filter(|current| *current.to != *to) {
        return Err(on_switch(from, &other));
    }
    let mut switches = config.pools.iter().filter_map(|(name, pool)| Some((name, pool.switch.as_ref()?)));
    match switches.find(|(_, switch)| *switch.to == *from) {
        Some((name, switch)) => Err(on_switch(name, switch)),
        None => Ok(()),
    }
}

fn on_switch(pool: &str, switch: &Switch) -> EditError {
    EditError::OnSwitch { pool: pool.to_owned(), to: switch.to.to_string() }
}

fn move_routes(config: &mut Config, from: &str, to: &str) {
    let to: Arc<str> = to.into();
    for target in config.routes.values_mut() {
        if matches!(target, Target::Pool(name) if **name == *from) {
            *target = Target::Pool(Arc::clone(&to));
        }
    }
}
