//! Plans, as people read them.

use crate::api::{Excerpt, Plan, Target};
use crate::config::{Change, Config, Switch};
use crate::daemon::fake;
use crate::daemon::plan::plan;

fn between(old: &Config, new: &Config) -> Plan {
    plan((old, new), &Change::between(old, new), 41, "f.toml".to_owned(), 7)
}

/// What a change of [`fake::CONFIG`] is.
fn after(edit: impl FnOnce(&mut Config)) -> Plan {
    let mut config = fake::config();
    edit(&mut config);
    between(&fake::config(), &config)
}

#[test]
fn nothing_differs() {
    let plan = after(|_| {});
    assert!(plan.is_empty());
    assert_eq!((plan.generation, plan.source.as_str(), plan.names_with_other_verdict), (41, "f.toml", 7));
}

#[test]
fn routes() {
    let plan = after(|config| {
        config.routes.remove(&".".parse().unwrap());
        config.routes.insert("a.example".parse().unwrap(), crate::config::Target::from_word("dice"));
        config.routes.insert("cryo.network".parse().unwrap(), crate::config::Target::from_word("drop"));
    });
    assert_eq!(plan.routes.count(), 3);
    assert_eq!(plan.routes.added.first[0].pattern, "a.example");
    assert_eq!(plan.routes.removed.first[0].target, Target::Pool("resolvers".to_owned()));
    let changed = &plan.routes.changed.first[0];
    assert_eq!(changed.pattern, "cryo.network");
    assert_eq!(
        serde_json::to_value(changed).unwrap(),
        serde_json::json!({"pattern": "cryo.network", "answer": "drop", "before": {"pool": "cryo"}})
    );
    assert!(!plan.is_empty());
}

#[test]
fn of_many_routes_the_first_are_listed() {
    let plan = after(|config| {
        for number in 0..250 {
            let pattern = format!("r{number}.example").parse().unwrap();
            config.routes.insert(pattern, crate::config::Target::from_word("dice"));
        }
    });
    assert_eq!((plan.routes.added.count, plan.routes.added.first.len()), (250, Excerpt::<()>::LISTED));
}

/// How a change of pool `resolvers` reads.
fn of_pool(edit: impl FnOnce(&mut crate::config::Pool)) -> Vec<String> {
    let plan = after(|config| edit(config.pools.get_mut("resolvers").unwrap()));
    assert_eq!((plan.pools.count(), plan.pools.changed.first[0].name.as_str()), (1, "resolvers"));
    plan.pools.changed.first[0].what.clone()
}

#[test]
fn pools_that_change() {
    assert_eq!(
        of_pool(|pool| {
            pool.policy = "random".parse().unwrap();
            pool.primary = None;
            pool.proxy_protocol = true;
            pool.switch = Some(Switch { to: "cryo".into(), percent: 10 });
            let added = crate::config::WeightedBackend::new("192.0.2.1:53".parse().unwrap(), 1);
            pool.backends[1] = added;
            pool.backends[0].weight = 5;
            pool.backends[0].drained = true;
        }),
        [
            "policy random instead of maglev by qname",
            "no primary instead of primary 192.168.1.10:53",
            "with the PROXY protocol",
            "10 % of the clients to pool cryo",
            "backend 192.0.2.1:53 added, weight 1",
            "backend [2001:db8:1::10]:53 removed",
            "backend 192.168.1.10:53 with weight 5 instead of 3",
            "backend 192.168.1.10:53 drained",
        ]
    );
    assert_eq!(of_pool(|pool| pool.backends.reverse()), ["its backends in another order"]);
}

#[test]
fn pools_that_come_and_go() {
    let plan = after(|config| {
        let mut pool = config.pools.remove("cryo").unwrap();
        pool.backends[0].drained = true;
        config.pools.insert("new".to_owned(), pool);
    });
    assert_eq!(plan.pools.removed.first[0].name, "cryo");
    let added = &plan.pools.added.first[0];
    assert_eq!(added.name, "new");
    assert_eq!(added.what, ["policy maglev by qname", "backend 192.168.1.9:8053, weight 1, drained"]);
}

#[test]
fn settings_and_which_of_them_take_a_restart() {
    let plan = after(|config| {
        config.listen.edns_udp_size = None;
        config.listen.interfaces.push("eth1".to_owned());
        config.slow_path.workers = Some(3);
    });
    assert_eq!(
        plan.settings,
        [
            r#"listen.edns_udp_size is "off" instead of 1232"#,
            r#"listen.interfaces is ["eth0","eth1"] instead of ["eth0"]"#,
            "slow_path.workers is 3 instead of unset",
        ]
    );
    assert_eq!(plan.restart_needed, ["listen.interfaces"]);
}
