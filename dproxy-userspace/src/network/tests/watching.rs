//! Reports of changes.

use std::time::Duration;

use tokio::time::timeout;

use super::world::live;

const REACHABLE: &str = "10.0.1.1 [01:01] to [01:02]";

#[test]
fn everything_that_matters_is_reported() {
    live("everything_that_matters_is_reported", async |world| {
        for change in [
            "link set eth2 down",
            "link set eth2 up",
            "addr add 10.0.3.1/24 dev eth1",
            "addr add fd03::1/64 dev eth1",
            "route add 192.0.2.0/24 via 10.0.1.2",
            "route add 2001:db8::/32 via fd01::2",
            "rule add to 192.0.2.0/24 lookup 100",
            "-6 rule add to 2001:db8::/32 lookup 100",
            "neigh add 10.0.1.9 dev eth1 lladdr 02:00:00:00:01:09 nud permanent",
            "neigh change 10.0.1.9 dev eth1 lladdr 02:00:00:00:01:19 nud permanent",
            "neigh del 10.0.1.9 dev eth1",
            "neigh add fd01::9 dev eth1 lladdr 02:00:00:00:01:09 nud permanent",
        ] {
            world.quiet().await;
            world.here(change);
            world.changed().await;
        }
    });
}

#[test]
fn a_neighbour_with_another_address() {
    live("a_neighbour_with_another_address", async |world| {
        world.until("10.0.1.2", REACHABLE).await;
        world.until("fd01::2", "fd01::1 [01:01] to [01:02]").await;
        world.quiet().await;
        world.there("link set peer1 address 02:00:00:00:01:42");
        world.changed().await;
        world.until("10.0.1.2", "10.0.1.1 [01:01] to [01:42]").await;
        world.until("fd01::2", "fd01::1 [01:01] to [01:42]").await;
    });
}

#[test]
fn what_does_not_matter_is_not_reported() {
    live("what_does_not_matter_is_not_reported", async |world| {
        world.until("10.0.1.2", REACHABLE).await;
        world.quiet().await;
        for state in ["stale", "reachable", "stale", "delay"] {
            world.here(&format!("neigh change 10.0.1.2 dev eth1 lladdr 02:00:00:00:01:02 nud {state}"));
            let report = timeout(Duration::from_millis(200), world.observer.changed()).await;
            assert!(report.is_err(), "{state}");
        }
    });
}

#[test]
fn bursts_are_one_report_and_none_is_lost() {
    live("bursts_are_one_report_and_none_is_lost", async |world| {
        world.quiet().await;
        world.here("route add 192.0.2.0/24 via 10.0.1.2");
        world.here("route add 198.51.100.0/24 via 10.0.1.2");
        // Dropped after it has seen the changes, before it reports them.
        assert!(timeout(Duration::from_millis(5), world.observer.changed()).await.is_err());
        world.changed().await;
        let another = timeout(Duration::from_millis(300), world.observer.changed()).await;
        assert!(another.is_err(), "one report is enough");
    });
}

#[test]
fn more_than_the_socket_holds() {
    live("more_than_the_socket_holds", async |world| {
        world.until("10.0.1.2", REACHABLE).await;
        world.quiet().await;
        // Some 200 kB of announcements, while nobody reads.
        let file = tempfile::NamedTempFile::new().unwrap();
        let commands: Vec<String> =
            (0..2000).map(|n| format!("route add 172.16.{}.{}/32 via 10.0.1.2", n / 250, n % 250)).collect();
        std::fs::write(file.path(), commands.join("\n")).unwrap();
        world.here(&format!("-batch {}", file.path().display()));
        world.changed().await;

        world.quiet().await;
        world.here("route add 192.0.2.0/24 via 10.0.1.2");
        world.changed().await;
        world.until("192.0.2.9", REACHABLE).await;
    });
}
