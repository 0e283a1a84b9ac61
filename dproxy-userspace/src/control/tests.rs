//! A generation that was patched decides as one that was built.

pub(super) mod packet_path;
mod places;

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;

use dproxy_common::abi::{NextHop, RouteTarget, Target as Packed};
use dproxy_common::tables::Half;

use super::*;
use crate::config::{Change, Config, Pattern, Target, matching};

/// Both halves of tables in memory, as the datapath keeps them.
struct Halves {
    layout: Layout,
    config: Config,
    halves: [Snapshot; 2],
    capacity: Capacity,
    generation: u64,
    last: Option<Patch>,
}

impl Halves {
    fn new(config: Config, capacity: Capacity) -> Self {
        let mut layout = Layout::new(Ids::new(&capacity));
        let plan = Plan { config: &config, host: &Host::default(), number: 3, capacity: &capacity };
        let patch = layout.build(&plan, None).unwrap();
        let halves = [Snapshot::empty(), Snapshot::empty()];
        let mut this = Self { layout, config, halves, capacity, generation: 1, last: None };
        this.write(1, patch);
        this
    }

    fn write(&mut self, half: usize, patch: Patch) {
        self.halves[half].apply(&patch);
        self.last = Some(patch);
    }

    fn in_force(&self) -> usize {
        usize::from(self.halves[1].generation.number > self.halves[0].generation.number)
    }

    fn held(&self) -> Held {
        let half = self.in_force();
        Held::new(Arc::new(self.halves[half].clone()), Half::ALL[half], Arc::default())
    }

    fn make(&mut self, change: &Change) -> Result<(), CompileError> {
        let idle = 1 - self.in_force();
        if let Some(last) = self.last.take() {
            self.halves[idle].apply(&last);
        }
        self.layout.settle();
        let undo = self.config.make(change);
        let number = (self.generation + 1) << 1 | idle as u64;
        let plan = Plan { config: &self.config, host: &Host::default(), number, capacity: &self.capacity };
        let mut layout = self.layout.clone();
        match layout.patch(&plan, &self.held(), change) {
            Ok(patch) => {
                self.layout = layout;
                self.generation += 1;
                self.write(idle, patch);
                Ok(())
            }
            Err(error) => {
                self.config.make(&undo);
                Err(error)
            }
        }
    }

    /// What the tables say of each name is what the configuration says.
    fn check(&self, gone: &BTreeSet<Pattern>) {
        let held = self.held();
        let mut ids = BTreeSet::new();
        let mut names: BTreeSet<_> = self.config.routes.keys().map(|pattern| &pattern.name).collect();
        names.extend(gone.iter().map(|pattern| &pattern.name));
        for name in names {
            let lead = |is_at: bool| {
                let of = |text: String| self.config.routes.get(&text.parse::<Pattern>().unwrap());
                let first = if is_at { format!("={name}") } else { format!("*.{name}") };
                let first = if name.is_root() && !is_at { "*.".to_owned() } else { first };
                of(first).or_else(|| of(name.to_string()))
            };
            let none = (RouteTarget::NONE, RouteTarget::NONE);
            let (at, below) = held.targets(name).unwrap_or(none);
            assert_eq!(self.leads(at), lead(true).cloned(), "at {name}");
            assert_eq!(self.leads(below), lead(false).cloned(), "below {name}");
            let taken = packet_path::found(&self.halves[self.in_force()], name.wire());
            let applied = matching(&self.config, name).next().map(|(_, target)| target.clone());
            assert_eq!(self.leads(taken), applied, "a packet for {name}");
            for target in [at, below].into_iter().filter(|target| target.target.is_some()) {
                ids.insert((target.route, name.clone(), target.kind));
            }
        }
        let distinct: BTreeSet<u32> = ids.iter().map(|(id, ..)| *id).collect();
        assert_eq!(distinct.len(), ids.len(), "no id means two routes");
    }

    fn leads(&self, target: RouteTarget) -> Option<Target> {
        if target.target == Packed::NONE {
            return None;
        }
        Some(match target.target.decode() {
            Ok(pool) => Target::Pool(self.layout.names().pools[&pool].as_str().into()),
            Err(answer) => Target::from_word(answer.name()),
        })
    }
}

fn config(pools: &[&str]) -> Config {
    let listen = "[listen]\ninterfaces = [\"eth0\"]\naddresses = [\"192.0.2.53\"]\n";
    let pool = |(number, name): (usize, &&str)| {
        format!("[pools.{name}]\nbackends = [\"192.168.1.{}\"]\n", number + 1)
    };
    let pools: String = pools.iter().enumerate().map(pool).collect();
    Config::parse(&format!("{listen}{pools}"), "test").unwrap()
}

fn pattern() -> impl Strategy<Value = Pattern> {
    let label =
        prop_oneof![Just("a"), Just("b"), Just("long-label-of-some-forty-octets-or-so-xx"), Just("c")];
    let name = proptest::collection::vec(label, 0..4).prop_map(|labels| labels.join("."));
    (name, 0..3).prop_map(|(name, kind)| {
        let name = if name.is_empty() { ".".to_owned() } else { name };
        let prefix = ["", "=", "*."][kind as usize];
        if name == "." && kind == 2 {
            "*.".parse().unwrap()
        } else {
            format!("{prefix}{name}").parse().unwrap()
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn patched_tables_decide_as_built_ones(
        steps in proptest::collection::vec(
            proptest::collection::vec((pattern(), proptest::option::of(0..4usize)), 1..6), 1..40,
        )
    ) {
        let targets = ["blue", "green", "refused", "drop"].map(Target::from_word);
        let mut halves = Halves::new(config(&["blue", "green"]), Capacity::for_routes(64, 10));
        let mut gone = BTreeSet::new();
        for step in steps {
            let routes = step.into_iter().map(|(pattern, target)| {
                (pattern, target.map(|target: usize| targets[target].clone()))
            });
            let change = Change { routes: routes.collect(), ..Change::default() };
            gone.extend(change.routes.keys().cloned());
            halves.make(&change).unwrap();
            halves.check(&gone);
        }
    }

    #[test]
    fn names_that_come_and_go_are_found_while_they_are_there(
        edits in proptest::collection::vec((0..200u32, any::<bool>()), 1..400)
    ) {
        let mut halves = Halves::new(config(&["blue"]), Capacity::for_routes(256, 10));
        let mut all = BTreeSet::new();
        for (turn, (number, is_there)) in edits.into_iter().enumerate() {
            let name = format!("n{number}.example");
            halves.make(&route(&name, is_there.then_some("blue"))).unwrap();
            all.insert(name.parse().unwrap());
            if turn % 50 == 0 {
                halves.check(&all);
            }
        }
        halves.check(&all);
    }
}

fn route(pattern: &str, target: Option<&str>) -> Change {
    let routes = [(pattern.parse().unwrap(), target.map(Target::from_word))];
    Change { routes: routes.into_iter().collect(), ..Change::default() }
}

#[test]
fn names_that_come_and_go_do_not_use_the_tables_up() {
    let mut halves = Halves::new(config(&["blue"]), Capacity::for_routes(64, 10));
    for number in 0..1000 {
        let name = format!("n{number}.example");
        halves.make(&route(&name, Some("blue"))).unwrap();
        halves.make(&route(&name, None)).unwrap();
    }
    assert_eq!(halves.config.routes.len(), 0);
    halves.check(&BTreeSet::new());
}

#[test]
fn a_route_keeps_its_id_wherever_it_leads() {
    let mut halves = Halves::new(config(&["blue", "green"]), Capacity::for_routes(64, 10));
    halves.make(&route("a.example", Some("blue"))).unwrap();
    let pattern: Pattern = "a.example".parse().unwrap();
    let id = halves.held().route_id(&pattern).unwrap();
    for (other, target) in [("a.example", "green"), ("b.example", "blue"), ("=a.example", "drop")] {
        halves.make(&route(other, Some(target))).unwrap();
        assert_eq!(halves.held().route_id(&pattern), Some(id), "{other}");
    }
    // Hidden on both sides, it has none.
    halves.make(&route("*.a.example", Some("drop"))).unwrap();
    assert_eq!(halves.held().route_id(&pattern), None);
}

#[test]
fn more_routes_than_fit_change_nothing() {
    let mut halves = Halves::new(config(&["blue"]), Capacity::for_routes(4, 10));
    for number in 0..4 {
        halves.make(&route(&format!("n{number}.example"), Some("blue"))).unwrap();
    }
    let error = halves.make(&route("one.more.example", Some("blue"))).unwrap_err();
    assert_eq!(error, CompileError::Routes { names: 5, long: 0 });
    let many = (0..10_000)
        .map(|number| (format!("n{number}.example").parse().unwrap(), Some(Target::from_word("blue"))));
    let error = halves.make(&Change { routes: many.collect(), ..Change::default() }).unwrap_err();
    assert_eq!(
        error,
        CompileError::Routes { names: 10_000, long: 0 },
        "whatever else there is too little for"
    );
    assert_eq!(halves.config.routes.len(), 4);
    halves.check(&BTreeSet::from(["one.more.example".parse().unwrap()]));
    let larger = halves.capacity.with_routes(5, 0).unwrap();
    assert_eq!(larger.routes, 8);
    assert_eq!(Capacity::for_routes(MAX_ROUTES, 10).with_routes(MAX_ROUTES as usize + 1, 0), None);
}

#[test]
fn more_routes_than_ids_need_larger_tables() {
    let mut halves = Halves::new(config(&["blue"]), Capacity::for_routes(4, 10));
    let mut change = Change::default();
    for number in 0..=halves.capacity.route_ids {
        change.routes.extend(route(&format!("n{number}.example"), Some("blue")).routes);
    }
    let names = change.routes.len();
    assert_eq!(halves.make(&change).unwrap_err(), CompileError::Routes { names, long: 0 });
}

#[test]
fn pools_change_without_touching_routes() {
    let mut halves = Halves::new(config(&["blue", "green"]), Capacity::for_routes(64, 10));
    halves.make(&route(".", Some("green"))).unwrap();
    for turn in 0..3000u16 {
        let mut pool = halves.config.pools["green"].clone();
        pool.backends[0].weight = turn % 7 + 1;
        pool.backends.push(crate::config::WeightedBackend::new("192.168.1.77:53".parse().unwrap(), 2));
        pool.backends.truncate(2);
        let pools = [
            ("green".to_owned(), Some(pool)),
            (format!("p{}", turn % 2), (turn % 3 > 0).then(|| halves.config.pools["blue"].clone())),
        ];
        halves.make(&Change { pools: pools.into_iter().collect(), ..Change::default() }).unwrap();
        let held = halves.held();
        for (id, name) in &halves.layout.names().pools {
            let entry = held.tables().pool(held.half(), u32::from(*id)).unwrap();
            assert_eq!(entry.id, *id);
            let lines =
                (entry.member_line()..).map_while(|line| held.tables().candidate_line(held.half(), line));
            let members: BTreeSet<u16> = lines.flat_map(|line| line.0).take(entry.members as usize).collect();
            let meant = members.iter().map(|id| halves.layout.names().backends[id].address);
            let configured = halves.config.pools[name].backends.iter().map(|backend| backend.address);
            assert_eq!(meant.collect::<BTreeSet<_>>(), configured.collect(), "{name}");
        }
    }
}

#[test]
fn two_hundred_thousand_routes_are_each_found() {
    let mut config = config(&["blue"]);
    for number in 0..200_000 {
        config.routes.insert(format!("n{number}.example").parse().unwrap(), Target::from_word("blue"));
    }
    let capacity = Capacity::for_routes(200_000, 10);
    let snapshot = compile(&config, &Host::default(), &Ids::new(&capacity), 1, &capacity).unwrap();
    assert_eq!(snapshot.route_names.len(), 200_000);
    assert_eq!(&snapshot.generation.depths[..2], &[2, 0]);
}

#[test]
fn numbers_that_are_in_use_already_are_not_given_out() {
    let capacity = Capacity::for_routes(10, 10);
    let mut ids = Ids::new(&capacity);
    let member = |pool, address: &str| MemberKey::new(pool, address.parse().unwrap());
    ids.restore_backend(3, member("a", "192.168.1.3:53"));
    ids.restore_backend(1, member("a", "192.168.1.1:53"));
    ids.restore_backend(2, member("b", "192.168.1.1:53"));
    let mut id = |pool, address: &str| ids.backend(pool, address.parse().unwrap()).unwrap();
    assert_eq!([id("a", "192.168.1.1:53"), id("b", "192.168.1.1:53"), id("a", "192.168.1.3:53")], [1, 2, 3]);
    assert_eq!([id("a", "192.168.1.8:53"), id("c", "192.168.1.1:53")], [4, 5]);
    let mut hops = Hops::new(16);
    let hop = |interface| NextHop { interface, ..NextHop::default() };
    hops.restore(hop(7), 2);
    assert_eq!(hops.index(&hop(7)), Some((2, false)));
    assert_eq!(hops.index(&hop(8)), Some((3, true)));
}
