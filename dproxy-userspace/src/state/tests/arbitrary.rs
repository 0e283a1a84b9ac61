//! Any change whatsoever.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use crate::config::{
    Answer, Change, Check, CheckFlag, Control, FastPath, HashInput, Health, Listen, PanicThreshold, Pattern,
    PatternKind, Policy, Pool, PortRange, Rcode, Settings, SlowPath, Switch, Target, Transport,
    WeightedBackend, XdpMode,
};

pub(super) fn change() -> impl Strategy<Value = Change> {
    let settings = option::of(settings().prop_map(Box::new));
    let pools = btree_map(any::<String>(), option::of(pool()), 0..5);
    let routes = btree_map(pattern(), option::of(target()), 0..20);
    (settings, pools, routes).prop_map(|(settings, pools, routes)| Change { settings, pools, routes })
}

fn settings() -> impl Strategy<Value = Settings> {
    (listen(), fast_path(), slow_path(), control(), health()).prop_map(
        |(listen, fast_path, slow_path, control, health)| Settings {
            listen,
            fast_path,
            slow_path,
            control,
            health,
        },
    )
}

fn time() -> impl Strategy<Value = Duration> {
    any::<u32>().prop_map(|milliseconds| Duration::from_millis(milliseconds.into()))
}

fn health() -> impl Strategy<Value = Health> {
    (any::<bool>(), option::of(address()), vec(any::<String>(), 0..3), time()).prop_map(
        |(enabled, address, on_change, on_change_timeout)| Health {
            enabled,
            address,
            on_change,
            on_change_timeout,
        },
    )
}

fn check() -> impl Strategy<Value = Check> {
    let query = select(vec!["a.example SOA", ". NS", "version.bind TXT CH"]);
    let query = option::of(query.prop_map(|text| text.parse().unwrap()));
    let flags = vec(select(vec![CheckFlag::Rd, CheckFlag::Ad, CheckFlag::Cd, CheckFlag::Do]), 0..3);
    let transports = vec(select(vec![Transport::Udp, Transport::Tcp]), 0..3);
    let expect = option::of(vec(select(vec![Rcode::Noerror, Rcode::Servfail, Rcode::Notauth]), 0..3));
    let words = (query, flags, transports, expect, any::<Option<String>>(), any::<Option<u32>>());
    let times = (time(), option::of(time()), time());
    (words, times, any::<([bool; 2], [u32; 3])>()).prop_map(
        |(
            (query, flags, transports, expect, answer, serial_lag),
            (interval, timeout, backoff),
            ([active, passive], [rise, fall, jitter]),
        )| Check {
            active,
            passive,
            query,
            flags,
            transports,
            expect,
            answer,
            serial_lag,
            interval,
            timeout,
            rise,
            fall,
            jitter,
            backoff,
        },
    )
}

fn listen() -> impl Strategy<Value = Listen> {
    let xdp = select(vec![XdpMode::Auto, XdpMode::Native, XdpMode::Generic, XdpMode::Off]);
    (vec(any::<String>(), 0..3), vec(address(), 0..3), xdp, any::<Option<u16>>()).prop_map(
        |(interfaces, addresses, xdp, edns_udp_size)| Listen { interfaces, addresses, xdp, edns_udp_size },
    )
}

fn fast_path() -> impl Strategy<Value = FastPath> {
    let ports = (1..=32768_u16, 10..=15_u32)
        .prop_map(|(first, bits)| PortRange::new(first, first + ((1_u32 << bits) - 1) as u16).unwrap());
    (any::<u32>(), ports, any::<u32>()).prop_map(|(slots, nat_ports, routes)| FastPath {
        slots,
        nat_ports,
        routes,
    })
}

fn slow_path() -> impl Strategy<Value = SlowPath> {
    (any::<Option<u32>>(), time(), time(), any::<[u32; 3]>()).prop_map(
        |(
            workers,
            timeout,
            idle_timeout,
            [tcp_connections, tcp_connections_per_client, queries_in_flight],
        )| {
            SlowPath {
                workers,
                timeout,
                idle_timeout,
                tcp_connections,
                tcp_connections_per_client,
                queries_in_flight,
            }
        },
    )
}

fn control() -> impl Strategy<Value = Control> {
    any::<[String; 2]>()
        .prop_map(|[socket, bpffs]| Control { socket: PathBuf::from(socket), bpffs: PathBuf::from(bpffs) })
}

fn pool() -> impl Strategy<Value = Pool> {
    let hash = select(vec![HashInput::Qname, HashInput::Client, HashInput::QnameClient]);
    let policy = prop_oneof![
        select(vec![Policy::Random, Policy::RoundRobin, Policy::LeastLatency]),
        hash.clone().prop_map(|hash| Policy::Maglev { hash }),
        hash.prop_map(|hash| Policy::Failover { hash }),
    ];
    let switch = (any::<String>(), any::<u8>()).prop_map(|(to, percent)| Switch { to: to.into(), percent });
    let backend = (address(), any::<u16>(), any::<bool>(), any::<u8>())
        .prop_map(|(address, weight, drained, tier)| WeightedBackend { address, weight, drained, tier });
    let when_down = select(vec!["servfail", "drop", "pool x"]).prop_map(|text| text.parse().unwrap());
    let health = (check(), any::<u8>(), when_down, option::of(time()), any::<Option<u16>>());
    (policy, option::of(address()), any::<bool>(), option::of(switch), vec(backend, 0..4), health).prop_map(
        |(policy, primary, proxy_protocol, switch, backends, health)| {
            let (health, threshold, when_down, slow_start, bounded_load) = health;
            let (health, panic_threshold) = (Box::new(health), PanicThreshold(threshold));
            Pool {
                policy,
                primary,
                proxy_protocol,
                switch,
                backends,
                health,
                panic_threshold,
                when_down,
                slow_start,
                bounded_load,
            }
        },
    )
}

/// What an operator can write: no flow labels and scopes.
fn address() -> impl Strategy<Value = SocketAddr> {
    any::<(IpAddr, u16)>().prop_map(SocketAddr::from)
}

/// Of any octets at all.
fn pattern() -> impl Strategy<Value = Pattern> {
    let kind = select(vec![PatternKind::Exact, PatternKind::Wildcard, PatternKind::Subtree]);
    (vec(vec(any::<u8>(), 1..8), 0..4), kind).prop_map(|(labels, kind)| {
        let octet = |octet: &u8| format!("\\{octet:03}");
        let label = |label: &Vec<u8>| label.iter().map(octet).chain([".".to_owned()]).collect::<String>();
        let name: String = labels.iter().map(label).collect();
        Pattern { name: if name.is_empty() { "." } else { &name }.parse().unwrap(), kind }
    })
}

fn target() -> impl Strategy<Value = Target> {
    let answers = [Answer::Refused, Answer::Nxdomain, Answer::Servfail, Answer::Truncate, Answer::Drop];
    let pool = any::<String>().prop_map(|name| Target::Pool(name.into()));
    prop_oneof![pool, select(answers.to_vec()).prop_map(Target::Answer)]
}
