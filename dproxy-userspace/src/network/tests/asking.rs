//! Neighbours: asked for, silent, stale, and kept by others.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::world::{World, live};

const REACHABLE: &str = "10.0.1.1 [01:01] to [01:02]";

/// Waits until the kernel shows a neighbour's entry with these words.
async fn until_shown(world: &World, neighbour: &str, words: &str) {
    let start = Instant::now();
    loop {
        let entry = world.shown(&format!("neigh show {neighbour} dev eth1"));
        if entry.contains(words) {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(15), "{neighbour} is not {words}: {entry}");
        sleep(Duration::from_millis(20)).await;
    }
}

#[test]
fn who_does_not_answer() {
    live("who_does_not_answer", async |world| {
        world.set("net/ipv4/neigh/eth1/retrans_time_ms", "200");
        world.set("net/ipv6/neigh/eth1/retrans_time_ms", "200");
        for silent in ["10.0.1.77", "fd01::77"] {
            let asked = format!("neighbour {silent} on eth1 is being asked for its MAC address");
            world.until(silent, &asked).await;
            world.until(silent, &format!("neighbour {silent} on eth1 does not answer (FAILED)")).await;
            // And again and again: it may come.
            world.until(silent, &asked).await;
        }
        world.there("addr add 10.0.1.77/24 dev peer1");
        world.until("10.0.1.77", REACHABLE).await;
    });
}

#[test]
fn stale_ones_are_confirmed() {
    live("stale_ones_are_confirmed", async |world| {
        for (neighbour, family) in [("10.0.1.2", "ipv4"), ("fd01::2", "ipv6")] {
            world.set(&format!("net/{family}/neigh/eth1/delay_first_probe_time"), "1");
            world.here(&format!("neigh replace {neighbour} dev eth1 lladdr 02:00:00:00:01:02 nud stale"));
            // In use from the first moment on, in every state.
            let reachable = if family == "ipv4" { REACHABLE } else { "fd01::1 [01:01] to [01:02]" };
            assert_eq!(super::world::show(&world.resolve(neighbour).await), reachable);
            until_shown(world, neighbour, "DELAY").await;
            until_shown(world, neighbour, "REACHABLE").await;
        }
    });
}

#[test]
fn one_that_moved_in_silence_is_found() {
    live("one_that_moved_in_silence_is_found", async |world| {
        world.set("net/ipv4/neigh/eth1/delay_first_probe_time", "1");
        world.set("net/ipv4/neigh/eth1/retrans_time_ms", "200");
        world.here("neigh replace 10.0.1.2 dev eth1 lladdr 02:00:00:00:01:99 nud stale");
        world.until("10.0.1.2", "10.0.1.1 [01:01] to [01:99]").await;
        world.until("10.0.1.2", REACHABLE).await;
    });
}

#[test]
fn what_others_keep_stays_theirs() {
    live("what_others_keep_stays_theirs", async |world| {
        for (mark, word) in [("nud permanent", "PERMANENT"), ("nud stale extern_learn", "extern_learn STALE")]
        {
            world.here(&format!("neigh replace 10.0.1.2 dev eth1 lladdr 02:00:00:00:01:02 {mark}"));
            world.until("10.0.1.2", REACHABLE).await;
            until_shown(world, "10.0.1.2", word).await;
        }
        world.here("neigh flush dev eth1");
        // Since Linux 5.16, the kernel keeps such entries fresh by itself.
        world.here("neigh replace 10.0.1.2 dev eth1 managed");
        world.until("10.0.1.2", REACHABLE).await;
        until_shown(world, "10.0.1.2", "managed REACHABLE").await;
    });
}
