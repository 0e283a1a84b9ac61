//! Routes, as the kernel answers about them.

use super::super::Bypass;
use super::world::{live, show};

#[test]
fn neighbours_of_both_families() {
    live("neighbours_of_both_families", async |world| {
        assert_eq!(
            show(&world.resolve("10.0.1.2").await),
            "neighbour 10.0.1.2 on eth1 is being asked for its MAC address"
        );
        world.until("10.0.1.2", "10.0.1.1 [01:01] to [01:02]").await;
        world.until("fd01::2", "fd01::1 [01:01] to [01:02]").await;
    });
}

#[test]
fn gateways() {
    live("gateways", async |world| {
        world.here("route add 192.0.2.0/24 via 10.0.1.2");
        world.until("192.0.2.9", "10.0.1.1 [01:01] to [01:02]").await;
        world.here("route add 2001:db8::/32 via fd01::2");
        world.until("2001:db8::9", "fd01::1 [01:01] to [01:02]").await;
        world.here("route add 198.51.100.0/24 via inet6 fd01::2 dev eth1");
        world.until("198.51.100.9", "10.0.1.1 [01:01] to [01:02]").await;
    });
}

#[test]
fn preferred_source() {
    live("preferred_source", async |world| {
        world.here("addr add 203.0.113.1/32 dev lo");
        world.here("addr add 2001:db8:1::1/128 dev lo nodad");
        world.here("route add 192.0.2.0/24 via 10.0.1.2 src 203.0.113.1");
        world.here("route add 2001:db8:2::/48 via fd01::2 src 2001:db8:1::1");
        world.until("192.0.2.9", "203.0.113.1 [01:01] to [01:02]").await;
        world.until("2001:db8:2::9", "2001:db8:1::1 [01:01] to [01:02]").await;
    });
}

#[test]
fn no_source() {
    live("no_source", async |world| {
        for interface in ["eth1", "eth2"] {
            world.here(&format!("addr flush dev {interface} scope global"));
        }
        world.here("route add 2001:db8::/32 via fe80::1 dev eth1");
        world.here("route add 192.0.2.0/24 dev eth1");
        let without =
            |to: &str| format!("no address of this host can be the source towards {to}: give eth1 one");
        assert_eq!(show(&world.resolve("192.0.2.9").await), without("192.0.2.9"));
        assert_eq!(show(&world.resolve("2001:db8::9").await), without("2001:db8::9"));
    });
}

#[test]
fn several_gateways() {
    live("several_gateways", async |world| {
        world.here("route add 192.0.2.0/24 nexthop via 10.0.1.2 nexthop via 10.0.2.2");
        let by = |n: u32| format!("10.0.{n}.1 [0{n}:01] to [0{n}:02]");
        let mut used = [0, 0];
        for host in 1..=32 {
            let to = format!("192.0.2.{host}");
            let n = if world.shown(&format!("route get {to}")).contains("dev eth1") { 1 } else { 2 };
            world.until_by(&to, &["eth1", "eth2"], &by(n)).await;
            used[n as usize - 1] += 1;
        }
        assert!(used.iter().all(|&count| count > 0), "the kernel spreads addresses over both: {used:?}");

        world.here("link set eth2 down");
        for host in 1..=32 {
            world.until_by(&format!("192.0.2.{host}"), &["eth1", "eth2"], &by(1)).await;
        }
    });
}

#[test]
fn rules() {
    live("rules", async |world| {
        world.here("route add 192.0.2.0/24 via 10.0.1.2");
        world.here("route add 192.0.2.0/24 via 10.0.2.2 table 100");
        world.here("rule add to 192.0.2.128/25 ipproto udp lookup 100");
        world.here("route add 2001:db8::/32 via fd01::2");
        world.here("route add 2001:db8::/32 via fd02::2 table 100");
        world.here("-6 rule add to 2001:db8:2::/48 ipproto udp lookup 100");
        for (to, expected) in [
            ("192.0.2.1", "10.0.1.1 [01:01] to [01:02]"),
            ("192.0.2.200", "10.0.2.1 [02:01] to [02:02]"),
            ("2001:db8::1", "fd01::1 [01:01] to [01:02]"),
            ("2001:db8:2::1", "fd02::1 [02:01] to [02:02]"),
        ] {
            world.until_by(to, &["eth1", "eth2"], expected).await;
        }
    });
}

#[test]
fn routes_that_lead_nowhere() {
    live("routes_that_lead_nowhere", async |world| {
        for kind in ["blackhole", "unreachable", "prohibit"] {
            for to in ["192.0.2.9", "2001:db8::9"] {
                world.here(&format!("route add {kind} {to}"));
                let expected = format!("the route to {to} is of type {kind}");
                assert_eq!(show(&world.resolve(to).await), expected);
                world.here(&format!("route del {kind} {to}"));
                assert_eq!(show(&world.resolve(to).await), format!("no route to {to}"));
            }
        }
        for own in ["10.0.1.1", "10.0.2.1", "fd01::1", "127.0.0.1"] {
            assert_eq!(show(&world.resolve(own).await), format!("{own} is an address of this host"));
        }
        for (to, kind) in [("10.0.1.255", "broadcast"), ("224.0.0.9", "multicast"), ("ff02::9", "multicast")]
        {
            world.here("route replace 224.0.0.0/4 dev eth1");
            let expected = format!("{to} is a {kind} address, not that of one host");
            assert_eq!(show(&world.resolve(to).await), expected);
        }
    });
}

#[test]
fn ways_past_the_fast_path() {
    live("ways_past_the_fast_path", async |world| {
        let past = |v4: Option<&str>, v6: Option<&str>| Bypass {
            v4: v4.map(str::to_owned),
            v6: v6.map(str::to_owned),
        };
        world.here("route add default via 10.0.1.2");
        world.here("-6 route add default via fd01::2");
        assert_eq!(world.bypass("10.0.1.1").await, past(None, None));
        world.here("route add 198.51.100.0/24 via 10.0.2.2");
        assert_eq!(world.bypass("10.0.1.1").await, past(Some("eth2"), None));
        world.here("-6 route add 2001:db8::/32 nexthop via fd01::2 nexthop via fd02::2");
        assert_eq!(world.bypass("10.0.1.1").await, past(Some("eth2"), Some("eth2")));
        assert_eq!(world.bypass("10.0.1.2").await, past(None, None), "not asked for without need");
        world.here("route del 198.51.100.0/24");
        world.here("-6 route del 2001:db8::/32");
        assert_eq!(world.bypass("fd01::1").await, past(None, None));
        for table in [100, 1000] {
            world.here(&format!("route add default via 10.0.2.2 table {table}"));
            assert_eq!(world.bypass("10.0.1.1").await, past(Some("eth2"), None), "a rule may choose it");
            world.here(&format!("route del default table {table}"));
        }
        world.here("route add 128.0.0.0/1 dev eth2");
        world.here("-6 route add 2000::/3 dev eth2");
        assert_eq!(world.bypass("10.0.1.1").await, past(Some("eth2"), Some("eth2")));
    });
}
