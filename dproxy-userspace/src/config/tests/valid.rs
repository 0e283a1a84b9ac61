use std::time::Duration;

use proptest::prelude::*;

use super::{LISTEN, POOL};
use crate::config::{
    Answer, Check, CheckFlag, Config, HashInput, Health, PanicThreshold, Policy, PortRange, Rcode, SlowPath,
    Switch, Target, Transport, WeightedBackend, WhenDown, XdpMode, duration_text,
};

/// Everything that can be said.
const FULL: &str = r#"
[listen]
interfaces = ["eth0", "eth1.100"]
addresses = ["192.0.2.53", "[2001:db8::53]:5353"]
xdp = "native"
edns_udp_size = "off"

[fast_path]
slots = 1_024
nat_ports = "1024-2047"
routes = 0x400000

[slow_path]
workers = 4
timeout = "1500ms"
idle_timeout = "2m"
tcp_connections = 10_000
tcp_connections_per_client = 5
queries_in_flight = 1024

[control]
socket = "/tmp/dproxy.sock"
bpffs = "/tmp/bpf"

[health]
enabled = false
address = "[::1]:8053"
on_change = ["/bin/page", "dns"]
on_change_timeout = "500ms"

[pools.cryo]
backends = ["192.168.1.9:8053", { address = "2001:db8::9", weight = 0 }, { address = "192.168.1.11" }]
primary = "[2001:db8::9]"
proxy_protocol = true

[pools.resolvers]
switch = { to = "rest", percent = 10 }
policy = "maglev"
hash = "qname+client"
[[pools.resolvers.backends]]
address = "192.168.1.10"
weight = 1000
[[pools.resolvers.backends]]
address = "192.168.1.11"
weight = 3
drained = true

[pools.rest]
policy = "random"
backends = ["192.168.1.12"]

[pools.two]
policy = "failover"
hash = "client"
backends = ["192.168.1.13", { address = "192.168.1.14", tier = 2 }]
panic_threshold = 0
when_down = "pool rest"
[pools.two.health]
active = true
passive = false
query = "version.bind. TXT CH"
flags = ["cd", "do"]
transports = ["tcp"]
expect = ["noerror", "notauth"]
answer = "9.9"
interval = "200ms"
timeout = "50ms"
rise = 5
fall = 1
jitter = 0
backoff = "1m"

[pools.lag]
backends = ["192.168.1.15"]
health = { query = "a.test SOA", serial_lag = 0 }

[routes]
"cryo.network" = "cryo"
"*.dev.example" = "cryo"
"=www.example.org" = "resolvers"
'\042.wild\.card' = "rest"
"a.test" = { answer = "nxdomain" }
"b.test" = { answer = "refused" }
"c.test" = { answer = "servfail" }
"d.test" = { answer = "truncate" }
[routes."e.test"]
answer = "drop"
"#;

fn parse(text: &str) -> Config {
    Config::parse(text, "f").unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn everything_that_can_be_said_is_understood() {
    let config = parse(FULL);
    let backend = |address: &str, weight| WeightedBackend::new(address.parse().unwrap(), weight);
    assert_eq!(config.listen.interfaces, ["eth0", "eth1.100"]);
    assert_eq!(
        config.listen.addresses,
        ["192.0.2.53:53", "[2001:db8::53]:5353"].map(|address| address.parse().unwrap())
    );
    assert_eq!(config.listen.xdp, XdpMode::Native);
    assert_eq!(config.listen.edns_udp_size, None);
    assert_eq!(config.fast_path.slots, 1024);
    assert_eq!(config.fast_path.nat_ports, PortRange::new(1024, 2047).unwrap());
    assert_eq!(config.fast_path.routes, 1 << 22);
    let slow_path = SlowPath {
        workers: Some(4),
        timeout: Duration::from_millis(1500),
        idle_timeout: Duration::from_secs(120),
        tcp_connections: 10_000,
        tcp_connections_per_client: 5,
        queries_in_flight: 1024,
    };
    assert_eq!(config.slow_path, slow_path);
    assert_eq!(config.control.socket.to_str(), Some("/tmp/dproxy.sock"));
    assert_eq!(config.control.bpffs.to_str(), Some("/tmp/bpf"));
    assert_eq!(config.pools["cryo"].policy, Policy::Maglev { hash: HashInput::Qname });
    assert_eq!(
        config.pools["cryo"].backends,
        [backend("192.168.1.9:8053", 1), backend("[2001:db8::9]:53", 0), backend("192.168.1.11:53", 1)]
    );
    assert_eq!(config.pools["cryo"].primary, Some("[2001:db8::9]:53".parse().unwrap()));
    assert!(config.pools["cryo"].proxy_protocol);
    assert_eq!((config.pools["rest"].primary, config.pools["rest"].proxy_protocol), (None, false));
    assert_eq!(config.pools["resolvers"].policy, Policy::Maglev { hash: HashInput::QnameClient });
    let drained = WeightedBackend { drained: true, ..backend("192.168.1.11:53", 3) };
    assert_eq!(config.pools["resolvers"].backends, [backend("192.168.1.10:53", 1000), drained]);
    assert_eq!(config.pools["resolvers"].switch, Some(Switch { to: "rest".into(), percent: 10 }));
    assert_eq!(config.pools["rest"].policy, Policy::Random);
    let health = Health {
        enabled: false,
        address: Some("[::1]:8053".parse().unwrap()),
        on_change: vec!["/bin/page".to_owned(), "dns".to_owned()],
        on_change_timeout: Duration::from_millis(500),
    };
    assert_eq!(config.health, health);
    let two = &config.pools["two"];
    assert_eq!(two.policy, Policy::Failover { hash: HashInput::Client });
    assert_eq!(two.backends.iter().map(|backend| backend.tier).collect::<Vec<_>>(), [1, 2]);
    assert_eq!((two.panic_threshold, &two.when_down), (PanicThreshold(0), &WhenDown::Pool("rest".into())));
    let check = Check {
        active: true,
        passive: false,
        query: Some("version.bind TXT CH".parse().unwrap()),
        flags: vec![CheckFlag::Cd, CheckFlag::Do],
        transports: vec![Transport::Tcp],
        expect: Some(vec![Rcode::Noerror, Rcode::Notauth]),
        answer: Some("9.9".to_owned()),
        serial_lag: None,
        interval: Duration::from_millis(200),
        timeout: Some(Duration::from_millis(50)),
        rise: 5,
        fall: 1,
        jitter: 0,
        backoff: Duration::from_secs(60),
    };
    assert_eq!(*two.health, check);
    let lag = Check { query: Some("a.test SOA".parse().unwrap()), serial_lag: Some(0), ..Check::default() };
    assert_eq!(*config.pools["lag"].health, lag);
    assert_eq!(*config.pools["rest"].health, Check::default());
    let routes: Vec<_> =
        config.routes.iter().map(|(pattern, target)| format!("{pattern} {target}")).collect();
    assert_eq!(
        routes,
        [
            "*.dev.example cryo",
            "cryo.network cryo",
            "=www.example.org resolvers",
            "a.test nxdomain",
            "b.test refused",
            "c.test servfail",
            "d.test truncate",
            "e.test drop",
            r"\042.wild\.card rest",
        ]
    );
}

#[test]
fn what_is_left_out_has_a_default() {
    let config = parse(LISTEN);
    assert_eq!(config.listen.xdp, XdpMode::Auto);
    assert_eq!(config.listen.edns_udp_size, Some(1232));
    assert_eq!(config.fast_path.slots, 65536);
    assert_eq!(config.fast_path.nat_ports.to_string(), "16384-32767");
    assert_eq!(config.fast_path.routes, 16384);
    assert_eq!(config.slow_path.workers, None);
    assert_eq!(duration_text(config.slow_path.timeout), "3s");
    assert_eq!(duration_text(config.slow_path.idle_timeout), "10s");
    assert_eq!(config.slow_path.tcp_connections, 10_000);
    assert_eq!(config.slow_path.tcp_connections_per_client, 200);
    assert_eq!(config.slow_path.queries_in_flight, 65_536);
    assert_eq!(config.control.socket.to_str(), Some("/run/dproxy/dproxy.sock"));
    assert_eq!(config.control.bpffs.to_str(), Some("/sys/fs/bpf/dproxy"));
    assert_eq!((config.health.enabled, config.health.address), (true, None));
    assert!(config.pools.is_empty() && config.routes.is_empty());
}

#[test]
fn a_serialized_configuration_is_a_file() {
    for text in [FULL.to_owned(), LISTEN.to_owned(), format!("{LISTEN}{POOL}")] {
        let config = parse(&text);
        assert_eq!(parse(&toml::to_string(&config).unwrap()), config);
    }
}

#[test]
fn the_limits_themselves_are_allowed() {
    for line in ["edns_udp_size = 512", "edns_udp_size = 4096", "xdp = \"generic\""] {
        parse(&format!("{LISTEN}{line}"));
    }
    for line in ["slots = 1024", "slots = 8388608", "routes = 1", "routes = 4194304"] {
        parse(&format!("{LISTEN}[fast_path]\n{line}"));
    }
    for line in [
        "workers = 1",
        "workers = 256",
        "timeout = \"100ms\"",
        "timeout = \"30s\"",
        "idle_timeout = \"1s\"",
        "idle_timeout = \"10m\"",
        "tcp_connections = 1",
        "tcp_connections = 1000000",
        "tcp_connections_per_client = 1",
        "tcp_connections_per_client = 1000000",
        "queries_in_flight = 1",
        "queries_in_flight = 1048576",
    ] {
        parse(&format!("{LISTEN}[slow_path]\n{line}"));
    }
    parse(&format!("{LISTEN}[control]\nsocket = \"/{}\"", "s".repeat(106)));
    parse(&format!("[listen]\ninterfaces = [\"{}\"]\naddresses = [\"192.0.2.53:16383\"]", "e".repeat(15)));
    parse(&format!("{LISTEN}[pools.{}]\nbackends = [\"192.168.1.9\"]", "p".repeat(63)));
}

#[test]
fn without_a_fast_path_nothing_of_it_matters() {
    // Interfaces may stay in the file, and ports that replies would come to are ports like others.
    for interfaces in ["", "interfaces = []", "interfaces = [\"eth0\"]"] {
        let text = format!("[listen]\n{interfaces}\naddresses = [\"192.0.2.53:20053\"]\nxdp = \"off\"");
        assert_eq!(parse(&text).listen.xdp, XdpMode::Off);
    }
}

#[test]
fn servers_on_this_host_are_backends_like_others() {
    let listen =
        "listen = { interfaces = [\"eth0\"], addresses = [\"192.0.2.53\", \"127.0.0.53\", \"::1\"] }";
    let backends = "[\"192.0.2.53:5353\", \"127.0.0.1\", \"127.0.0.53:54\", \"[::1]:5353\"]";
    assert_eq!(
        parse(&format!("{listen}\npools.local.backends = {backends}")).pools["local"].backends.len(),
        4
    );
}

#[test]
fn line_ends_and_a_byte_order_mark_do_not_matter() {
    let text = format!("\u{feff}{LISTEN}{POOL}").replace('\n', "\r\n");
    assert_eq!(parse(&text), parse(&format!("{LISTEN}{POOL}")));
}

#[test]
fn one_word_is_a_pool_or_an_answer() {
    assert_eq!(Target::from_word("drop"), Target::Answer(Answer::Drop));
    assert_eq!(Target::from_word("cryo"), Target::Pool("cryo".into()));
    for word in Answer::WORDS {
        assert_eq!(word.parse::<Answer>().unwrap().to_string(), word);
    }
}

proptest! {
    /// One character of a valid file is replaced, or a piece is cut out.
    #[test]
    fn no_file_makes_it_panic(at in 0..FULL.len(), cut in 0..20usize, new in r#"[\[\]{}"'\\=.,#a0é\n]?"#) {
        let mut text = FULL.to_owned();
        text.replace_range(at..(at + cut).min(FULL.len()), &new);
        if let Err(error) = Config::parse(&text, "f") {
            prop_assert!(!error.problems().is_empty());
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in "(?s).*") {
        let _ = Config::parse(&text, "f");
    }
}
