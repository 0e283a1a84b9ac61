//! A crafted pair of names with equal hashes.
//!
//! Under dproxy's first hash base, the two names below have the same 64-bit hash. They were found by
//! reducing the lattice of octet differences that add up to 0 modulo 2⁶⁴, which anybody can do, since the
//! base is public. It must buy them nothing.

use dproxy_common::name::hash_octet;
use dproxy_tests::{
    cases::query_v4,
    frames::{Question, wire_name},
    kernel::{InKernel, in_namespace},
    machine::{Host, Machine},
    world::World,
};

const ONE: &str = "abeacaaaaabbbdabaaaaaaaa.test";
const OTHER: &str = "caaaaddfaaaaaacabaaabbaa.test";

fn world(routes: &str) -> World {
    let text = format!(
        r#"
[listen]
interfaces = ["client"]
addresses  = ["192.0.2.53"]
[pools]
a = {{ backends = ["203.0.113.1:1001"] }}
b = {{ backends = ["203.0.113.2:1002"] }}
[routes]
{routes}
"#
    );
    World::new(&text, [1, 2])
}

fn hash(world: &World, name: &str) -> u64 {
    let wire = wire_name(name);
    let base = world.snapshot.generation.powers[1];
    wire[..wire.len() - 1].iter().fold(0, |hash, &octet| hash_octet(hash, base, octet))
}

fn leads_to(world: &World, machine: &mut impl Machine, name: &str) -> String {
    world.leads_to(machine.explain(&query_v4(&Question::new(name)).octets())).to_owned()
}

#[test]
fn the_pair_collides() {
    let world = world(&format!("\"{ONE}\" = \"b\""));
    assert_eq!(hash(&world, ONE), hash(&world, OTHER), "the pair is made for this hash base");
}

#[test]
fn host() {
    run(Host::new);
}

#[test]
fn kernel() {
    in_namespace("collision::kernel", |_| run(InKernel::new));
}

fn run<M: Machine>(machine: impl Fn(&World) -> M) {
    let with_default = world(&format!("\"{ONE}\" = \"b\"\n\"test\" = \"a\""));
    let mut it = machine(&with_default);
    assert_eq!(leads_to(&with_default, &mut it, ONE), "b");
    assert_eq!(leads_to(&with_default, &mut it, OTHER), "a", "the next shorter route, not the collision's");
    assert_eq!(leads_to(&with_default, &mut it, &format!("www.{OTHER}")), "a");

    let without = world(&format!("\"{ONE}\" = \"b\""));
    assert_eq!(leads_to(&without, &mut machine(&without), OTHER), "no-route");

    // Two routes with equal hashes: the tables are built with another base.
    let both = world(&format!("\"{ONE}\" = \"b\"\n\"{OTHER}\" = \"a\""));
    assert_ne!(hash(&both, ONE), hash(&both, OTHER));
    let mut it = machine(&both);
    assert_eq!(leads_to(&both, &mut it, ONE), "b");
    assert_eq!(leads_to(&both, &mut it, OTHER), "a");
}
