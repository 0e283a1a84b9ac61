//! The rules without a file: a configuration is changed and checked again.

use std::time::Duration;

use super::{LISTEN, POOL};
use crate::config::{
    Answer, Config, HashInput, Pattern, Place, Policy, Switch, Target, WeightedBackend, check,
};

fn config() -> Config {
    Config::parse(&format!("{LISTEN}{POOL}[routes]\n\"cryo.network\" = \"cryo\""), "f").unwrap()
}

/// What is wrong after an edit, in words.
fn after(edit: impl FnOnce(&mut Config)) -> Vec<String> {
    let mut config = config();
    edit(&mut config);
    check(&config).iter().map(ToString::to_string).collect()
}

fn backend(address: &str, weight: u16) -> WeightedBackend {
    WeightedBackend::new(address.parse().unwrap(), weight)
}

#[test]
fn a_good_edit_passes() {
    let found = after(|config| {
        let pattern: Pattern = "*.cryo.network".parse().unwrap();
        config.routes.insert(pattern, Target::Answer(Answer::Drop));
        config.pools.get_mut("cryo").unwrap().backends.push(backend("[2001:db8::9]:53", 1000));
    });
    assert_eq!(found, [""; 0]);
}

#[test]
fn a_pool_in_use_cannot_go() {
    let found = after(|config| {
        config.pools.remove("cryo");
    });
    assert_eq!(
        found,
        ["route \"cryo.network\" names pool \"cryo\", which does not exist; allowed: a pool defined under \
             [pools] (none yet) or an answer ({ answer = \"refused\" | \"nxdomain\" | \"servfail\" | \
             \"truncate\" | \"drop\" })"]
    );
}

#[test]
fn backends_keep_the_rules_of_the_file() {
    let found = after(|config| {
        let backends = &mut config.pools.get_mut("cryo").unwrap().backends;
        *backends =
            vec![backend("192.0.2.53:53", 1001), backend("192.168.1.9:0", 1), backend("192.168.1.9:0", 1)];
    });
    assert_eq!(
        found,
        [
            "backend 192.0.2.53:53 of pool \"cryo\" has weight 1001; allowed: 0 to 1000",
            "backend 192.0.2.53:53 of pool \"cryo\" is a listener too, so that queries would go round in \
             a loop; allowed: an address that is no listener",
            "backend 192.168.1.9:0 of pool \"cryo\" has port 0; allowed: port 1 to 65535",
            "backend 192.168.1.9:0 of pool \"cryo\" is listed twice; allowed: each backend once, with a \
             weight for a larger share",
        ]
    );
}

#[test]
fn the_last_weight_cannot_go() {
    let found = after(|config| config.pools.get_mut("cryo").unwrap().backends[0].weight = 0);
    assert_eq!(
        found,
        ["pool \"cryo\" has weight 0 for every backend, so that none can be chosen; allowed: a weight \
             of at least 1 for at least one backend"]
    );
}

#[test]
fn the_last_backend_cannot_be_drained() {
    let found = after(|config| config.pools.get_mut("cryo").unwrap().backends[0].drained = true);
    assert_eq!(
        found,
        ["pool \"cryo\" has every backend with a weight drained, so that none would get queries; allowed: \
             at least one backend that has a weight and is not drained"]
    );
}

#[test]
fn a_switch_leads_to_another_pool() {
    let found = after(|config| {
        config.pools.get_mut("cryo").unwrap().switch = Some(Switch { to: "green".into(), percent: 0 });
    });
    let allowed = "another pool that is not on a switch itself; there is none";
    assert_eq!(
        found,
        [
            "switch of pool \"cryo\" has percent 0; allowed: 1 to 100".to_owned(),
            format!(
                "switch of pool \"cryo\" leads to pool \"green\", which does not exist; allowed: {allowed}"
            ),
        ]
    );
}

#[test]
fn a_primary_is_one_of_the_backends() {
    let found = after(|config| {
        config.pools.get_mut("cryo").unwrap().primary = Some("192.168.1.10:53".parse().unwrap());
    });
    assert_eq!(
        found,
        ["primary 192.168.1.10:53 of pool \"cryo\" is not among the backends; allowed: one of them \
             (192.168.1.9:53), with weight 0 if it is to get NOTIFY and UPDATE only"]
    );
}

#[test]
fn a_problem_says_where_it_is_and_what_it_conflicts_with() {
    let mut config = config();
    let listener = config.listen.addresses[0];
    config.pools.get_mut("cryo").unwrap().backends[0].address = listener;
    let [problem] = check(&config).try_into().unwrap();
    assert_eq!(problem.place, Place::Backend("cryo".to_owned(), 0, listener));
    assert_eq!(problem.against, Some(Place::Listener(0, listener)));
}

#[test]
fn sizes_are_checked_as_well() {
    let found = after(|config| {
        config.fast_path.slots = 3;
        config.fast_path.routes = 0;
        config.slow_path.timeout = Duration::from_micros(99_900);
        config.listen.edns_udp_size = Some(0);
        config.control.socket = "x".into();
    });
    assert_eq!(
        found,
        [
            "listen.edns_udp_size is 0; allowed: 512 to 4096, or \"off\"",
            "fast_path.slots is 3; allowed: a power of two from 1024 to 8388608",
            "fast_path.routes is 0; allowed: 1 to 4194304",
            "slow_path.timeout is \"99ms\"; allowed: \"100ms\" to \"30s\"",
            "control.socket is \"x\", a relative path; allowed: a path that begins with /",
        ]
    );
}

#[test]
fn policies_and_hashes_from_words() {
    let maglev: Policy = "maglev".parse().unwrap();
    assert_eq!(maglev, Policy::Maglev { hash: HashInput::Qname });
    assert_eq!(maglev.with_hash(HashInput::Client).unwrap().hash(), Some(HashInput::Client));
    assert_eq!(Policy::Random.hash(), None);
    assert_eq!(
        Policy::Random.with_hash(HashInput::QnameClient).unwrap_err().to_string(),
        "hash \"qname+client\" is given with policy \"random\", which hashes nothing; allowed: hash with \
         the policies maglev and failover only"
    );
    for word in Policy::WORDS {
        assert_eq!(word.parse::<Policy>().unwrap().to_string(), word);
    }
}
