//! Which backend a query goes to, end to end: by route, by weight, by affinity.

use std::collections::{BTreeMap, BTreeSet};

use dproxy_lab::skip_without_root;
use dproxy_tests::frames::wire_name;
use dproxy_tests::net::{B1, B1_V6, B2, B2_V6, B3, NAMES, Site, many_askers};
use dproxy_tests::routing::{ROUTES, long_routes, rows};

#[test]
fn every_name_goes_where_its_route_leads() {
    if skip_without_root() {
        return;
    }
    // The second backend is reached over IPv6.
    let pools = format!(
        "[pools]\na.backends = [\"{B1}\"]\nb.backends = [\"{B2_V6}\"]\nc.backends = [\"{B3}\"]\n{ROUTES}{}",
        long_routes()
    );
    let site = Site::new("e2e-routes", &pools);
    let mut failures = Vec::new();
    for mut asker in site.askers() {
        for row in rows() {
            let who = asker.who(&row.name);
            if who != row.leads_to {
                let from = asker.address();
                failures.push(format!("{} (from {from}): {who}, not {}", row.shows, row.leads_to));
            }
        }
    }
    assert!(failures.is_empty(), "{} names went elsewhere:\n{}", failures.len(), failures.join("\n"));
}

/// In the proportion 1 : 2 : 7.
const WEIGHTED: &str = r#"
backends = [
    { address = "10.53.1.10", weight = 1 },
    { address = "2001:db8:b2::10", weight = 2 },
    { address = "10.53.3.10", weight = 7 },
]"#;

#[test]
fn weights_are_shares() {
    if skip_without_root() {
        return;
    }
    let site = Site::new(
        "e2e-weights",
        &format!(
            r#"
[pools.drawn]
policy = "random"
{WEIGHTED}
[pools.hashed]
{WEIGHTED}
[routes]
"drawn.test"  = "drawn"
"hashed.test" = "hashed"
"#
        ),
    );
    const QUERIES: u32 = 4000;
    for zone in ["drawn.test", "hashed.test"] {
        let mut shares: BTreeMap<String, u32> = BTreeMap::new();
        let mut askers = site.askers();
        for number in 0..QUERIES {
            let asker = &mut askers[number as usize % 2];
            *shares.entry(asker.who(&wire_name(&format!("n{number}.{zone}")))).or_default() += 1;
        }
        assert_eq!(shares.values().sum::<u32>(), QUERIES);
        for (name, weight) in NAMES.iter().zip([1, 2, 7]) {
            let share = f64::from(shares.get(*name).copied().unwrap_or(0)) / f64::from(QUERIES);
            let wanted = f64::from(weight) / 10.0;
            // Five standard deviations of a share of so many draws.
            let tolerance = 5.0 * (wanted * (1.0 - wanted) / f64::from(QUERIES)).sqrt();
            assert!(
                (share - wanted).abs() < tolerance,
                "{zone}: a weight of {weight} in 10 has a share of {share:.3}: {shares:?}"
            );
        }
    }
}

/// What decides, and whether the backend stays the same for another name and for another client.
const AFFINITIES: [(&str, bool, bool); 3] =
    [("qname", false, true), ("client", true, false), ("qname+client", false, false)];
const CLIENTS: u8 = 40;

#[test]
fn maglev_keeps_what_it_hashes_together() {
    if skip_without_root() {
        return;
    }
    let mut pools = String::new();
    for (number, (hash, _, _)) in AFFINITIES.iter().enumerate() {
        pools +=
            &format!("[pools.p{number}]\nhash = \"{hash}\"\nbackends = [\"{B1_V6}\", \"{B2}\", \"{B3}\"]\n");
    }
    let site = Site::new(
        "e2e-affinity",
        &(pools + "[routes]\n\"z0.test\" = \"p0\"\n\"z1.test\" = \"p1\"\n\"z2.test\" = \"p2\"\n"),
    );
    let mut clients = many_askers(&site.topology, CLIENTS);
    for (zone, (hash, same_for_names, same_for_clients)) in AFFINITIES.into_iter().enumerate() {
        let name = |number: usize| wire_name(&format!("n{number}.z{zone}.test"));
        let by_name: Vec<String> = (0..40).map(|number| clients[0].who(&name(number))).collect();
        let by_client: Vec<String> = clients.iter_mut().map(|client| client.who(&name(0))).collect();
        let different = |answers: &[String]| answers.iter().collect::<BTreeSet<_>>().len();
        assert!(
            by_name.iter().chain(&by_client).all(|who| NAMES.contains(&who.as_str())),
            "{hash}: no answer"
        );
        // That 40 draws of three backends leave one out has a chance of one in four million.
        assert_eq!(different(&by_name), if same_for_names { 1 } else { 3 }, "{hash}, one client, many names");
        assert_eq!(
            different(&by_client),
            if same_for_clients { 1 } else { 3 },
            "{hash}, one name, many clients"
        );

        let again: Vec<String> = (0..40).map(|number| clients[0].who(&name(number))).collect();
        assert_eq!(by_name, again, "{hash}: the same query goes to the same backend");
        let upper: Vec<String> =
            (0..40).map(|number| clients[0].who(&name(number).to_ascii_uppercase())).collect();
        assert_eq!(by_name, upper, "{hash}: upper and lower case are one name");
    }
}
