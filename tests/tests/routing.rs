//! Which route applies to which name: one table, on the host build, in the kernel and by the oracle.

use dproxy_tests::{
    cases::{query_v4, query_v6},
    frames::Question,
    kernel::{InKernel, in_namespace},
    machine::{Host, Machine},
    oracle,
    routing::{ROUTES, long_routes, rows},
    world::World,
};
use dproxy_userspace::config::Target;

fn world(interfaces: [u32; 2]) -> World {
    let text = format!(
        r#"
[listen]
interfaces = ["client"]
addresses  = ["192.0.2.53", "[2001:db8::53]:53"]
[pools]
a = {{ backends = ["203.0.113.1:1001"] }}
b = {{ backends = ["203.0.113.2:1002"] }}
c = {{ backends = ["[2001:db8:f::3]:1003"] }}
{ROUTES}
{}"#,
        long_routes()
    );
    World::new(&text, interfaces)
}

#[test]
fn host() {
    let world = world([1, 2]);
    run(&world, &mut Host::new(&world), 1);
}

#[test]
fn kernel() {
    in_namespace("routing::kernel", |interfaces| {
        let world = world(interfaces);
        run(&world, &mut InKernel::new(&world), interfaces[0]);
    });
}

#[test]
fn oracle() {
    let world = world([1, 2]);
    for row in rows() {
        let name = oracle::name_of(&row.name).unwrap_or_else(|| panic!("{}: not a name", row.shows));
        let target = oracle::target(&world.config, &name).map(Target::to_string);
        assert_eq!(target.as_deref(), Some(row.leads_to), "{}: {name}", row.shows);
    }
}

fn run(world: &World, machine: &mut impl Machine, interface: u32) {
    for row in rows() {
        let question = Question::of_wire(row.name.clone());
        for frame in [query_v4(&question).octets(), query_v6(&question).octets()] {
            let explained = machine.explain(&frame);
            let leads_to = world.leads_to(explained).trim_start_matches("answered-");
            assert_eq!(leads_to, row.leads_to, "{} on the {}", row.shows, machine.name());
            assert_eq!(
                machine.receive(&frame, interface).reason,
                explained.0,
                "{}: explain disagrees",
                row.shows
            );
        }
    }
}
