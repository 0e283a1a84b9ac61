//! How long large configurations take: `cargo test --release -p dproxy-userspace --lib speed -- --ignored
//! --nocapture`.

use std::fmt::Write;
use std::fs;
use std::time::Instant;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

use super::LISTEN;
use crate::config::{Change, Config, check, check_change, write_files};

const ROUTES: usize = 200_000;

/// Says how long something takes, on the clock and on the processor.
fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let (start, used) = (Instant::now(), user_time());
    let done = work();
    let [clock, processor] =
        [start.elapsed().as_micros() as i64, user_time() - used].map(|microseconds| microseconds / 1000);
    println!("{what}: {clock} ms, of which the processor was at work {processor} ms");
    done
}

/// In microseconds, of this thread.
fn user_time() -> i64 {
    let usage = getrusage(UsageWho::RUSAGE_THREAD).unwrap();
    [usage.user_time(), usage.system_time()].iter().map(|time| time.num_microseconds()).sum()
}

/// Patterns in no order at all, as far as their canonical order goes.
fn pattern(index: usize) -> String {
    format!("host{}.zone{}.example{}.test", index.wrapping_mul(7919) % ROUTES, index % 1000, index % 7)
}

#[test]
#[ignore = "for people who want to know"]
fn two_hundred_thousand_routes() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let pools = "[pools]\na.backends = [\"192.168.1.1\"]\nb.backends = [\"192.168.1.2\"]\n";
    let mut plain = String::new();
    let mut toml = "[routes]\n".to_owned();
    for index in 0..ROUTES {
        let (pattern, pool) = (pattern(index), if index % 3 == 0 { "a" } else { "b" });
        writeln!(plain, "{pattern} {pool}").unwrap();
        writeln!(toml, "\"{pattern}\" = \"{pool}\"").unwrap();
    }
    for (name, routes) in [("plain.routes", plain), ("included.toml", toml)] {
        fs::write(path(name), routes).unwrap();
        fs::write(path(&format!("{name}.main")), format!("include = [\"{name}\"]\n{LISTEN}{pools}")).unwrap();
    }
    let config = timed("load .routes", || Config::load(path("plain.routes.main")).unwrap());
    let again = timed("load .toml", || Config::load(path("included.toml.main")).unwrap());
    assert_eq!((config.routes.len(), &config), (ROUTES, &again));
    timed("check", || assert!(check(&config).is_empty()));

    let mut other = config.clone();
    for (_, target) in other.routes.iter_mut().step_by(10) {
        *target = "drop".parse().map(crate::config::Target::Answer).unwrap();
    }
    assert_eq!(timed("verdict_changes", || Config::verdict_changes(&config, &other)), ROUTES / 10);
    let change = timed("Change::between", || Change::between(&config, &other));
    timed("make", || other.make(&change));
    for name in ["plain.routes.main", "included.toml.main"] {
        let rewrites = timed(&format!("rewrites of {name}"), || other.rewrites(path(name)).unwrap());
        timed("write_files", || write_files(&rewrites).unwrap());
    }
    timed("check_change", || assert!(check_change(&other, &change).is_empty()));
}
