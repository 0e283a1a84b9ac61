//! Interfaces: up and down, and of several kinds.

use super::world::{live, show};

const REACHABLE: &str = "10.0.1.1 [01:01] to [01:02]";

#[test]
fn down_and_up() {
    live("down_and_up", async |world| {
        world.until("10.0.1.2", REACHABLE).await;
        world.quiet().await;
        world.here("link set eth1 down");
        world.changed().await;
        let expected = "no route to 10.0.1.2 (interface eth1 is down)";
        assert_eq!(show(&world.resolve("10.0.1.2").await), expected);

        world.quiet().await;
        world.here("link set eth1 up");
        world.changed().await;
        world.until("10.0.1.2", REACHABLE).await;
    });
}

#[test]
fn carrier() {
    live("carrier", async |world| {
        world.until("10.0.1.2", REACHABLE).await;
        world.quiet().await;
        world.there("link set peer1 down");
        world.changed().await;
        world.until("10.0.1.2", "interface eth1 has no carrier").await;

        world.quiet().await;
        world.there("link set peer1 up");
        world.changed().await;
        world.until("10.0.1.2", REACHABLE).await;
    });
}

#[test]
fn not_attached() {
    live("not_attached", async |world| {
        let expected = "its route leaves by eth2, which is not among listen.interfaces";
        assert_eq!(show(&world.resolve("10.0.2.2").await), expected);
        world.until_by("10.0.2.2", &["eth1", "eth2"], "10.0.2.1 [02:01] to [02:02]").await;
    });
}

#[test]
fn bridge() {
    live("bridge", async |world| {
        world.here("link add br0 address 02:00:00:00:00:77 type bridge");
        world.here("link set eth1 master br0");
        world.here("link set br0 up");
        world.here("addr flush dev eth1");
        world.here("addr add 10.0.1.1/24 dev br0");
        let expected = "its route leaves by br0 (bridge of eth1), which is not among listen.interfaces";
        world.until("10.0.1.2", expected).await;
        world.until_by("10.0.1.2", &["br0"], "10.0.1.1 [00:77] to [01:02]").await;
    });
}

#[test]
fn no_ethernet() {
    live("no_ethernet", async |world| {
        world.here("tuntap add tun0 mode tun");
        world.here("link set tun0 up");
        world.here("route add 192.0.2.0/24 dev tun0");
        let resolution = world.resolve_by("192.0.2.9", &["tun0"]).await;
        assert_eq!(show(&resolution), "interface tun0 has no carrier");
        world.here("route add 198.51.100.0/24 dev lo");
        let resolution = world.resolve_by("198.51.100.9", &["lo"]).await;
        assert_eq!(show(&resolution), "interface lo has no Ethernet address");
    });
}
