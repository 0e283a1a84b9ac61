//! The rules that a configuration as a whole must keep: for a file and for a live edit alike.

mod health;
mod listen;
mod pools;
mod routes;
mod slow_path;

pub(super) use health::{
    BACKOFF, BOUNDED_LOAD, CHECKS_IN_A_ROW, HEALTH_ADDRESS, INTERVAL, JITTER, ON_CHANGE, ON_CHANGE_TIMEOUT,
    PANIC_THRESHOLD, PATIENCE, SERIAL_LAG, SLOW_START, TIER,
};
pub(super) use listen::EDNS_UDP_SIZE;
pub use listen::MAX_LISTENERS;
pub(super) use pools::SWITCH_PERCENT;
pub use routes::{MAX_LABEL_COUNTS, MAX_ROUTES};
pub(super) use slow_path::{CONNECTIONS, IDLE_TIMEOUT, QUERIES_IN_FLIGHT, TIMEOUT, WORKERS};

use super::change::Change;
use super::model::{Config, Control, FastPath};
use super::problem::{Place, Problem};
use super::wording::Quoted;

/// Everything that is wrong with `config`; nothing if it can be applied.
pub fn check(config: &Config) -> Vec<Problem> {
    let mut found = check_all_but_routes(config);
    routes::check(config, &mut found);
    found
}

/// What [`check`] finds in `config`, which was free of problems until `change` was made to it, in the time that
/// the change takes and not that of all routes. It leaves out [`MAX_LABEL_COUNTS`], which takes a count of them
/// all.
pub fn check_change(config: &Config, change: &Change) -> Vec<Problem> {
    let mut found = check_all_but_routes(config);
    routes::check_change(config, change, &mut found);
    found
}

/// They are few.
fn check_all_but_routes(config: &Config) -> Vec<Problem> {
    let mut found = Vec::new();
    listen::check(config, &mut found);
    check_fast_path(&config.fast_path, &mut found);
    slow_path::check(&config.slow_path, &mut found);
    check_control(&config.control, &mut found);
    pools::check(config, &mut found);
    health::check(config, &mut found);
    found
}

/// What [`FastPath::slots`] may be.
pub(super) const SLOTS: &str = "a power of two from 1024 to 8388608";
/// What [`FastPath::routes`] may be.
pub(super) const ROUTE_CAPACITY: &str = "1 to 4194304";

fn check_fast_path(fast_path: &FastPath, found: &mut Vec<Problem>) {
    let FastPath { slots, nat_ports: _, routes } = fast_path;
    if !((1 << 10)..=(1 << 23)).contains(slots) || !slots.is_power_of_two() {
        found.push(Problem::new(Place::Slots, format!("is {slots}"), SLOTS));
    }
    if !(1..=1 << 22).contains(routes) {
        found.push(Problem::new(Place::RouteCapacity, format!("is {routes}"), ROUTE_CAPACITY));
    }
}

/// A Unix socket's address has 108 octets, the last of them zero (unix(7)).
const MAX_SOCKET_PATH: usize = 107;

fn check_control(control: &Control, found: &mut Vec<Problem>) {
    let Control { socket, bpffs } = control;
    for (place, path) in [(Place::Socket, socket), (Place::Bpffs, bpffs)] {
        if !path.is_absolute() {
            let says = format!("is {}, a relative path", Quoted(&path.to_string_lossy()));
            found.push(Problem::new(place, says, "a path that begins with /"));
        }
    }
    let octets = socket.as_os_str().len();
    if octets > MAX_SOCKET_PATH {
        let allowed = format!("at most {MAX_SOCKET_PATH} octets (unix(7))");
        found.push(Problem::new(Place::Socket, format!("is a path of {octets} octets"), allowed));
    }
}
