//! What a dproxy that has ended has left on interfaces.

use std::os::fd::{AsFd, BorrowedFd};

use super::{
    DatapathError, bpf,
    interface::Interface,
    lock::InterfaceLock,
    pins::{self, Pins},
};

/// Detaches from interfaces that dproxy served before a kill and does not serve now.
pub(super) fn remove_others(served: &[u32], pins: &Pins) {
    pins.remove_dead();
    for index in pins.interfaces().into_iter().filter(|index| !served.contains(index)) {
        // The lock shows whether it is another dproxy's.
        if let Ok(name) = remove_left(index, pins) {
            tracing::info!("interface {name} is not served any more");
        }
    }
}

/// Detaches from all interfaces of this network namespace, and says from which. If a dproxy serves one, nothing is
/// done.
pub(super) fn remove_all(pins: &Pins) -> Result<Vec<String>, DatapathError> {
    pins.remove_dead();
    let interfaces = pins.interfaces();
    for &index in &interfaces {
        InterfaceLock::take_to_detach(index, &name_of(index))?;
    }
    interfaces.into_iter().map(|index| remove_left(index, pins)).collect()
}

/// Removes what was left on an interface, unless a dproxy serves it; returns its name.
fn remove_left(index: u32, pins: &Pins) -> Result<String, DatapathError> {
    let name = name_of(index);
    let _lock = InterfaceLock::take_to_detach(index, &name)?;
    for pin in [pins.path(index), pins.egress_path(index)] {
        if let Some((link, _)) = pins::pinned(&pin) {
            detach(link.as_fd(), &name);
        }
        pins::remove(&pin);
    }
    pins.remove_predecessors(index);
    Ok(name)
}

fn name_of(index: u32) -> String {
    Interface::numbered(index).map_or_else(|| index.to_string(), |interface| interface.name)
}

/// Detaches at once. Closing the link would do so too, but some time later.
pub(super) fn detach(link: BorrowedFd<'_>, interface: &str) {
    if let Err(error) = bpf::detach_link(link) {
        tracing::warn!("cannot detach from interface {interface}: {error}");
    }
}
