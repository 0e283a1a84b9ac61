//! The probes of RFC 8906 §8, as it writes them for dig, and a few more: through dproxy, a server answers as it
//! does without. There are no differences to list.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use dproxy_lab::{Balancer, Topology, default_binary, skip_without_root};
use dproxy_tests::net::{
    B1, B1_V6, Real, Software, Tool, configuration, listeners, tables, wait_until_reachable,
};

/// What all probes have in common: one try, over UDP, and the answer as it is.
const OPTIONS: &str = "+tries=1 +time=3 +notcp +ignore";

/// Section, and probe; `@` stands for the zone. Where dig would make up a cookie, there is one, since what is
/// compared has to be asked twice.
const PROBES: [(&str, &str); 25] = [
    ("8.1.1 is the server configured for the zone", "+noedns +noad +norec soa @"),
    ("8.1.2 unknown types", "+noedns +noad +norec type1000 @"),
    ("8.1.3.1 CD=1", "+noedns +noad +norec +cd soa @"),
    ("8.1.3.2 AD=1", "+noedns +norec +ad soa @"),
    ("8.1.3.3 reserved bit", "+noedns +noad +norec +zflag soa @"),
    ("8.1.3.4 recursive queries", "+noedns +noad +rec soa @"),
    ("8.1.4 unknown opcodes", "+noedns +noad +opcode=15 +norec +header-only"),
    ("8.1.5 TCP", "+noedns +noad +norec +tcp soa @"),
    ("8.2.1 minimal EDNS", "+nocookie +edns=0 +noad +norec soa @"),
    ("8.2.2 EDNS version negotiation", "+nocookie +edns=1 +noednsneg +noad +norec soa @"),
    ("8.2.3 unknown EDNS options", "+nocookie +edns=0 +noad +norec +ednsopt=100 soa @"),
    ("8.2.4 unknown EDNS flags", "+nocookie +edns=0 +noad +norec +ednsflags=0x40 soa @"),
    ("8.2.5 version and unknown flags", "+nocookie +edns=1 +noednsneg +noad +norec +ednsflags=0x40 soa @"),
    ("8.2.6 version and unknown options", "+nocookie +edns=1 +noednsneg +noad +norec +ednsopt=100 soa @"),
    ("8.2.7 truncated responses", "+norec +dnssec +bufsize=512 +ignore +cookie=0123456789abcdef dnskey @"),
    ("8.2.7 truncated responses, one that is", "+norec +dnssec +bufsize=512 +ignore +nocookie txt large.@"),
    ("8.2.8 DO=1", "+nocookie +edns=0 +noad +norec +dnssec soa @"),
    ("8.2.9 version and DO=1", "+nocookie +edns=1 +noednsneg +noad +norec +dnssec soa @"),
    (
        "8.2.10 several options",
        "+edns=0 +noad +norec +cookie=0123456789abcdef +nsid +expire +subnet=0.0.0.0/0 soa @",
    ),
    ("all header bits", "+noedns +tcflag +rec +raflag +cd +ad +aaflag +zflag soa @"),
    (
        "all header bits, unknown opcode",
        "+noedns +header-only +opcode=15 +tcflag +rec +raflag +cd +ad +aaflag +zflag",
    ),
    ("an unknown opcode with a question and EDNS", "+nocookie +edns=0 +opcode=15 +norec soa @"),
    ("8.2.1 over TCP", "+nocookie +edns=0 +noad +norec +tcp soa @"),
    ("8.2.2 over TCP", "+nocookie +edns=1 +noednsneg +noad +norec +tcp soa @"),
    (
        "8.2.10 over TCP",
        "+edns=0 +noad +norec +cookie=0123456789abcdef +nsid +expire +subnet=0.0.0.0/0 +tcp soa @",
    ),
];

#[test]
fn nsd_passes_the_same_probes() {
    if !skip_without_root() {
        probe("e2e-8906-nsd", Software::Nsd);
    }
}

#[test]
fn knot_passes_the_same_probes() {
    if !skip_without_root() {
        probe("e2e-8906-knot", Software::Knot);
    }
}

#[test]
fn bind_passes_the_same_probes() {
    if !skip_without_root() {
        probe("e2e-8906-bind", Software::Bind);
    }
}

/// All probes, with the fast path and without, over both IP versions, each with a backend of the other one.
fn probe(name: &str, software: Software) {
    let topology = Topology::builder(name).build().unwrap();
    let zones = ["four.test.", "six.test."];
    let server = Real::start(&topology, &topology.backends[0], software, &zones);
    let dig = Tool::dig_with(&topology.client.namespace, OPTIONS);
    let mut differences = Vec::new();
    let directly: Vec<[String; 2]> = PROBES
        .map(|(_, probe)| [0, 1].map(|way| dig.ask(server.addresses[way], &probe.replace('@', zones[way]))))
        .into();
    for xdp in ["native", "off"] {
        let pools = tables(&[("four", B1), ("six", B1_V6)], &[(".", "four"), ("six.test", "six")]);
        let config = configuration(&topology, xdp, &pools);
        let balancer = Balancer::start(&topology, &default_binary().unwrap(), &config).unwrap();
        wait_until_reachable(&balancer);
        for ((title, probe), directly) in PROBES.into_iter().zip(&directly) {
            for way in 0..2 {
                let balanced = dig.ask(listeners()[1 - way], &probe.replace('@', zones[way]));
                if balanced != directly[way] {
                    differences.push(format!(
                        "{title}, {}, xdp {xdp}: dig {probe}\n-- through dproxy:\n{balanced}\n\
                         -- directly:\n{}",
                        zones[way], directly[way]
                    ));
                }
            }
        }
    }
    assert!(differences.is_empty(), "{} differ:\n{}", differences.len(), differences.join("\n\n"));
}
