//! What the engine makes of health.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use dproxy_common::abi::BackendLive;
use dproxy_common::latency::{bucket, units};

use crate::config::{Config, Transport};
use crate::daemon::fake::{self, FakeDatapath, FakeNetwork};
use crate::daemon::{Edit, Engine};
use crate::health::{Cause, Change, Failure, News, Picture, Portrait, State, Transition};
use crate::slow_path::Pulse;

const LISTEN: &str = "[listen]\ninterfaces = [\"eth0\"]\naddresses = [\"192.0.2.53\"]\n";

/// Three backends of a pool.
const THREE: [&str; 3] = ["192.168.1.1:53", "192.168.1.2:53", "192.168.1.3:53"];

struct Lab {
    engine: Engine,
    datapath: FakeDatapath,
    network: FakeNetwork,
    picture: Picture,
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn timeout() -> Cause {
    Cause::Check(Failure::Timeout(Transport::Udp, Duration::from_millis(200)))
}

fn silence() -> Cause {
    Cause::Silent { queries: 34, time: Duration::from_millis(200) }
}

impl Lab {
    async fn new(pools: &str) -> Self {
        let config = Config::parse(&format!("{LISTEN}{pools}"), "test").unwrap();
        let (mut engine, datapath, _, network) = fake::engine_of(config).await;
        engine.health.pretend();
        Self { engine, datapath, network, picture: BTreeMap::new() }
    }

    async fn of_three(more: &str) -> Self {
        let backends = THREE.map(|backend| format!("\"{backend}\"")).join(", ");
        let mut lab = Self::new(&format!("[pools.p]\nbackends = [{backends}]\n{more}")).await;
        THREE.iter().for_each(|backend| lab.set("p", backend, State::Up, None));
        lab
    }

    /// Lets a member be found in a state.
    fn set(&mut self, pool: &str, backend: &str, to: State, cause: Option<Cause>) {
        let id = (Arc::from(pool), address(backend));
        let portrait = Portrait {
            state: to,
            since: SystemTime::now(),
            cause: cause.clone(),
            is_silent: cause.as_ref().is_some_and(Cause::is_silence),
            flaps: 1,
            latency: None,
            serial: None,
            rates: (100.0, 99.0),
        };
        let before = self.picture.insert(id.clone(), portrait);
        let from = before.map_or(State::Checking, |before| before.state);
        let change = Change { id, transition: Transition { from, to, cause }, flaps: 1, held: None };
        let news = News { changes: vec![change], picture: Arc::new(self.picture.clone()) };
        self.engine.follow_health(news);
    }

    fn down(&mut self, backend: &str, cause: Cause) {
        self.set("p", backend, State::Down, Some(cause));
    }

    /// Which of three get queries.
    fn open(&self) -> String {
        self.open_of(THREE)
    }

    fn open_of<const N: usize>(&self, backends: [&str; N]) -> String {
        let tables = self.datapath.tables();
        backends.map(|it| if tables.live(it) == BackendLive::UNRESOLVED { '-' } else { '+' }).iter().collect()
    }

    fn events(&self) -> Vec<String> {
        self.engine.health.events.after(0).events.iter().map(ToString::to_string).collect()
    }

    fn last_event(&self) -> String {
        self.events().pop().unwrap()
    }
}

#[tokio::test]
async fn who_is_down_gets_nothing_without_a_generation() {
    let mut lab = Lab::of_three("").await;
    assert_eq!(lab.events(), [""; 0], "that all is well is no news");
    lab.down(THREE[0], silence());
    assert_eq!((lab.open().as_str(), lab.datapath.generation()), ("-++", 1));
    assert_eq!(
        lab.last_event(),
        "backend-down: pool p, backend 192.168.1.1:53: no reply to the last 34 queries, for 200 ms"
    );
    let status = lab.engine.status().unwrap();
    let says = "pool p: down: 192.168.1.1:53 (no reply to the last 34 queries, for 200 ms)";
    assert_eq!(status.broken, [says]);
    let health = status.pools[0].backends[0].health.clone().unwrap();
    assert_eq!((health.state.as_str(), health.gets_queries, health.flaps), ("down", false, 1));

    lab.engine.follow_network().await;
    assert_eq!(lab.open(), "-++", "the network does not bring it back");
    lab.set("p", THREE[0], State::Up, None);
    assert_eq!((lab.open().as_str(), lab.datapath.generation()), ("+++", 1));
    assert_eq!(lab.engine.status().unwrap().broken, [""; 0]);
}

#[tokio::test]
async fn no_check_takes_them_all_down() {
    let mut lab = Lab::of_three("").await;
    lab.down(THREE[0], timeout());
    lab.down(THREE[1], timeout());
    assert_eq!(lab.open(), "--+", "a third is enough");
    lab.down(THREE[2], timeout());
    assert_eq!(lab.open(), "+++");
    let says = "pool-fail-open: pool p: 0 of 3 backends up, less than panic_threshold: health is ignored; 3 of \
                them: no reply over UDP within 200 ms, yet they reply to 297 queries a second";
    assert_eq!(lab.last_event(), says);
    assert_eq!(lab.engine.pool("p").unwrap().mode.as_deref(), Some("fail-open"));
    assert!(
        lab.engine.status().unwrap().broken[0].starts_with("pool p: 0 of 3 backends up, so that health is")
    );
    lab.set("p", THREE[1], State::Up, None);
    assert_eq!(lab.open(), "-+-");
    assert_eq!(lab.last_event(), "pool-normal: pool p: health counts again: 1 of 3 backends up");
}

#[tokio::test]
async fn a_silent_one_stays_out_of_a_pool_that_fails_open() {
    let mut lab = Lab::of_three("").await;
    lab.down(THREE[0], silence());
    lab.down(THREE[1], timeout());
    lab.down(THREE[2], silence());
    assert_eq!(lab.open(), "-+-");
}

#[tokio::test]
async fn without_a_threshold_a_pool_can_be_down() {
    let mut lab = Lab::of_three("panic_threshold = 0\nwhen_down = \"drop\"").await;
    THREE.iter().for_each(|backend| lab.down(backend, timeout()));
    assert_eq!(lab.open(), "---");
    assert_eq!(lab.last_event(), "pool-down: pool p: 0 of 3 backends up, none can be used: drop");
}

#[tokio::test]
async fn a_way_that_is_lost_counts_as_down() {
    let mut lab = Lab::of_three("").await;
    lab.network.set("192.168.1.1", fake::silent("192.168.1.1"));
    lab.network.set("192.168.1.2", fake::silent("192.168.1.2"));
    lab.engine.follow_network().await;
    lab.down(THREE[2], timeout());
    assert_eq!(lab.open(), "--+", "it is the only one that may answer");
    assert!(lab.last_event().starts_with("pool-fail-open"));
}

#[tokio::test]
async fn a_backup_is_used_when_the_first_tier_is_lost_and_not_before() {
    const ALL: [&str; 3] = ["192.168.1.1:53", "192.168.1.2:53", "192.168.1.9:53"];
    let mut lab = Lab::new(
        "[pools.p]\npolicy = \"failover\"\n\
         backends = [\"192.168.1.1\", \"192.168.1.2\", { address = \"192.168.1.9\", tier = 2 }]",
    )
    .await;
    ALL.iter().for_each(|backend| lab.set("p", backend, State::Up, None));
    assert_eq!(lab.open_of(ALL), "++-");
    lab.down(ALL[0], timeout());
    assert_eq!(lab.open_of(ALL), "-+-");
    lab.down(ALL[1], silence());
    assert_eq!(lab.open_of(ALL), "--+");
    assert_eq!(lab.last_event(), "pool-tier: pool p: tier 2 is in use: 1 of 3 backends up");
    assert_eq!(lab.engine.pool("p").unwrap().tier, Some(2));
    lab.set("p", ALL[0], State::Up, None);
    assert_eq!(lab.open_of(ALL), "+--");
    // The network can be to blame as well.
    lab.network.set("192.168.1.1", fake::silent("192.168.1.1"));
    lab.engine.follow_network().await;
    assert_eq!(lab.open_of(ALL), "--+");
}

#[tokio::test]
async fn a_backend_of_two_pools_is_shut_for_who_finds_it_down() {
    let mut lab = Lab::new(
        "[pools]\np = { backends = [\"192.168.1.1\", \"192.168.1.2\"] }\n\
         q = { policy = \"failover\", backends = [\"192.168.1.1\", { address = \"192.168.1.3\", tier = 2 }] }",
    )
    .await;
    let word = |lab: &Lab, pool| lab.datapath.tables().live_of(pool, THREE[0]);
    lab.down(THREE[0], timeout());
    assert_eq!(word(&lab, "p"), BackendLive::UNRESOLVED);
    assert!(word(&lab, "q").is_usable(), "the other one has not found that");
    lab.set("q", THREE[0], State::Down, Some(timeout()));
    assert_eq!(word(&lab, "q"), BackendLive::UNRESOLVED);
    assert!(lab.datapath.tables().live_of("q", THREE[2]).is_usable(), "the second tier");
    lab.set("p", THREE[0], State::Up, None);
    assert!(word(&lab, "p").is_usable() && !word(&lab, "q").is_usable());
}

#[tokio::test]
async fn who_comes_up_begins_with_little_where_that_is_wanted() {
    let withheld = |lab: &Lab| THREE.map(|it| lab.datapath.tables().live(it).withheld());
    let mut lab = Lab::of_three("slow_start = \"10m\"").await;
    assert_eq!(withheld(&lab), [0; 3], "the start is no coming up");
    lab.down(THREE[0], timeout());
    lab.set("p", THREE[0], State::Up, None);
    let [first, others @ ..] = withheld(&lab);
    assert!((58_000..60_000).contains(&first), "nine tenths: {first}");
    assert_eq!((others, lab.datapath.generation()), ([0; 2], 1));
    lab.down(THREE[1], timeout());
    lab.down(THREE[2], timeout());
    assert_eq!((lab.open().as_str(), withheld(&lab)), ("+--", [0; 3]), "there is nobody else");
    let mut lab = Lab::of_three("").await;
    lab.down(THREE[0], timeout());
    lab.set("p", THREE[0], State::Up, None);
    assert_eq!(withheld(&lab), [0; 3], "it is not wanted");
}

#[tokio::test]
async fn who_is_slow_gets_less_and_who_has_too_much_gives_some_away() {
    let mut lab = Lab::of_three("policy = \"least-latency\"").await;
    let counted = |lab: &Lab, turns: u64, micros: [u64; 3]| {
        let mut tables = lab.datapath.tables();
        let ids: Vec<usize> = tables.ids(THREE);
        let counters = &mut tables.counters;
        counters.backends.resize(8, Default::default());
        counters.latencies.resize(8, Default::default());
        for (id, micros) in ids.into_iter().zip(micros) {
            counters.backends[id].queries += 100 * turns;
            counters.backends[id].replies += 100 * turns;
            counters.latencies[id].0[bucket(units(micros * 1000)) as usize] += 10;
        }
    };
    for _ in 0..8 {
        counted(&lab, 1, [100, 20_100, 100]);
        lab.engine.share_out_now();
    }
    let withheld = THREE.map(|it| lab.datapath.tables().live(it).withheld());
    assert!(withheld[0] < 2000 && withheld[1] > 60_000 && withheld[2] < 2000, "{withheld:?}");
    assert_eq!(lab.engine.view().unwrap().withheld(), withheld, "by both paths");
    for _ in 0..12 {
        counted(&lab, 1, [100, 100, 100]);
        lab.engine.share_out_now();
    }
    let withheld = THREE.map(|it| lab.datapath.tables().live(it).withheld());
    assert!(withheld.iter().all(|withheld| *withheld < 6000), "it is fast again: {withheld:?}");

    let mut lab = Lab::of_three("bounded_load = 125").await;
    let loads = |lab: &Lab| {
        let mut tables = lab.datapath.tables();
        let ids: Vec<usize> = tables.ids(THREE);
        tables.counters.backends.resize(8, Default::default());
        for (id, queries) in ids.into_iter().zip([1000, 100, 100]) {
            tables.counters.backends[id].queries += queries;
            tables.counters.backends[id].replies += queries;
        }
    };
    for _ in 0..2 {
        loads(&lab);
        lab.engine.share_out_now();
    }
    let withheld = THREE.map(|it| lab.datapath.tables().live(it).withheld());
    assert!((30_000..36_000).contains(&withheld[0]), "half of 1000 is its bound of 500: {withheld:?}");
    assert_eq!(withheld[1..], [0, 0]);
}

#[tokio::test]
async fn an_edit_does_not_open_what_is_shut() {
    let mut lab = Lab::of_three("").await;
    lab.down(THREE[0], timeout());
    let edit = Edit::SetWeight { pool: "p".to_owned(), address: address(THREE[0]), weight: 7 };
    lab.engine.edit(&edit).await.unwrap();
    assert_eq!((lab.open().as_str(), lab.datapath.generation()), ("-++", 2));
    let drain = |drained| Edit::Drain { pool: "p".to_owned(), address: address(THREE[1]), drained };
    lab.engine.edit(&drain(true)).await.unwrap();
    assert_eq!(lab.open(), "-++", "the tables have no candidate of it");
    lab.down(THREE[2], timeout());
    assert_eq!(lab.open(), "+++", "of those with a share, none is up");
    lab.engine.edit(&drain(false)).await.unwrap();
    assert_eq!(lab.open(), "-+-");
}

#[tokio::test]
async fn who_was_down_before_the_start_gets_nothing_from_the_first_packet_on() {
    let backends = THREE.map(|backend| format!("\"{backend}\"")).join(", ");
    let text = format!("{LISTEN}[pools.p]\nbackends = [{backends}]\nhealth.interval = \"60m\"\n");
    let config = Config::parse(&text, "test").unwrap();
    let (mut engine, datapath, ..) = fake::engine_of(config).await;
    let kept = r#"{"down":[{"pool":"p","backend":"192.168.1.2:53","since":7,"why":"no reply","flaps":3}]}"#;
    std::fs::write(engine.store.path().join("health"), kept).unwrap();
    engine.start_checks().await;
    engine.update_live();
    let lab = Lab { engine, datapath, network: FakeNetwork::default(), picture: BTreeMap::new() };
    assert_eq!(lab.open(), "+-+");
    let health = lab.engine.pool("p").unwrap().backends[1].health.clone().unwrap();
    assert_eq!(health.why.as_deref(), Some("as before the restart: no reply"));
    assert_eq!((health.since.as_str(), health.flaps), ("1970-01-01T00:00:07Z", 3));
}

#[tokio::test]
async fn no_clients_are_switched_to_a_pool_that_is_down() {
    let mut lab = Lab::new(
        "[pools]\np = { backends = [\"192.168.1.1\"] }\nq = { backends = [\"192.168.1.2\"] }\n\
         [routes]\n\"a.test\" = \"p\"",
    )
    .await;
    lab.set("q", THREE[1], State::Down, Some(timeout()));
    let switch = |force| Edit::Switch { from: "p".to_owned(), to: "q".to_owned(), percent: Some(10), force };
    let refused = lab.engine.edit(&switch(false)).await.unwrap_err();
    assert_eq!(refused.to_string(), "no backend of pool \"q\" is up");
    lab.engine.edit(&switch(true)).await.unwrap();
}

#[tokio::test]
async fn a_route_that_is_asked_for_is_noticed_when_it_goes() {
    let mut lab = Lab::new(
        "[pools]\np = { backends = [\"192.168.1.1\"] }\nq = { backends = [\"192.168.1.2\"] }\n\
         [routes]\n\"a.test\" = \"p\"\n\"b.test\" = \"p\"",
    )
    .await;
    lab.engine.start_checks().await;
    let change = |text: &str, target: Option<&str>| crate::config::Change {
        routes: BTreeMap::from([(text.parse().unwrap(), target.map(crate::config::Target::from_word))]),
        ..crate::config::Change::default()
    };
    let health = &lab.engine.health;
    assert!(health.is_concerned(&change("a.test", None)), "its name is asked for");
    assert!(!health.is_concerned(&change("b.test", None)));
    assert!(!health.is_concerned(&change("c.test", Some("p"))));
    assert!(health.is_concerned(&change("c.test", Some("q"))), "the first one of that pool");
}

#[tokio::test]
async fn a_thread_of_the_slow_path_that_has_ended_is_what_the_status_begins_with() {
    let config =
        Config::parse(&format!("{LISTEN}[pools.p]\nbackends = [\"{}\"]\n", THREE[0]), "test").unwrap();
    let (mut engine, _, proxy, _) = fake::engine_of(config).await;
    engine.health.pretend();
    engine.watch();
    assert_eq!(engine.status().unwrap().broken, [""; 0]);
    proxy.seen().pulses = vec![Pulse { thread: "slow-udp-0".to_owned(), turns: None }];
    engine.watch();
    let says = "thread slow-udp-0 of the slow path has ended: restart dproxy";
    assert_eq!(engine.status().unwrap().broken, [says]);
    assert_eq!(engine.readiness.borrow().faults, [says]);
    let events = engine.health.events.after(0).events;
    assert_eq!(events[0].to_string(), format!("data-plane-failed: {says}"));
}
