use super::*;
use crate::network::Bypass;

const BACKEND: &str = "192.0.2.53:8053";

/// A configuration with these listeners and backends.
fn config(listeners: &[&str], backends: &[String]) -> Config {
    let quoted =
        |texts: Vec<String>| texts.iter().map(|text| format!("'{text}'")).collect::<Vec<_>>().join(", ");
    let listeners = quoted(listeners.iter().map(ToString::to_string).collect());
    let backends = quoted(backends.to_vec());
    let text = format!(
        "[listen]\ninterfaces = ['eth0']\naddresses = [{listeners}]\n[pools.a]\nbackends = [{backends}]\n[routes]\n'.' = 'a'\n"
    );
    Config::parse(&text, "test").unwrap_or_else(|error| panic!("{error}"))
}

fn view(resolutions: &[(&str, Resolution)]) -> View {
    let resolutions = resolutions.iter().map(|(address, way)| (address.parse().unwrap(), way.clone()));
    View { resolutions: resolutions.collect(), bypass: Bypass::default() }
}

fn local(address: &str) -> (&str, Resolution) {
    (address, Resolution::Unreachable(Why::Local(address.parse().unwrap())))
}

/// The one backend's delivery, in words.
fn decided(listeners: &[&str], backend: &str, view: &View, egress: &Result<(), String>) -> String {
    let deliveries = deliveries(&config(listeners, &[backend.to_owned()]), view, egress);
    match &deliveries[&backend.parse().unwrap()] {
        Delivery::NextHop(_) => "next hop".to_owned(),
        Delivery::Local(listener) => format!("local as {listener}"),
        Delivery::SlowPath(why) => format!("slow: {why}"),
        Delivery::Unreachable(why) => format!("unreachable: {why}"),
    }
}

#[test]
fn a_backend_on_this_host_is_local_when_its_replies_are_sure_to_be_restored() {
    let here = view(&[local("192.0.2.53"), local("192.0.2.54"), local("2001:db8::8")]);
    let past = |bypass| View { bypass, ..here.clone() };
    let v4 = past(Bypass { v4: Some("eth7".to_owned()), v6: None });
    let v6 = past(Bypass { v4: None, v6: Some("wg0".to_owned()) });
    let (yes, no) = (Ok(()), Err("this kernel is old".to_owned()));
    let (one, two) = (&["192.0.2.53:53"][..], &["192.0.2.53:53", "192.0.2.53:5353"][..]);
    let both = &["192.0.2.53:53", "[2001:db8::53]:53"][..];
    let six = "[2001:db8::8]:53";
    let with_loopback = &["127.0.0.1:53", "192.0.2.53:53", "[::1]:53"][..];
    for (listeners, backend, view, egress, expected) in [
        (one, BACKEND, &here, &yes, "local as 192.0.2.53:53"),
        (one, "192.0.2.54:53", &here, &yes, "local as 192.0.2.53:53"),
        (both, BACKEND, &here, &yes, "local as 192.0.2.53:53"),
        (both, six, &here, &yes, "local as [2001:db8::53]:53"),
        (with_loopback, BACKEND, &here, &yes, "local as 192.0.2.53:53"),
        (
            with_loopback,
            six,
            &here,
            &yes,
            "slow: it is on this host, and no listener for other hosts has an IPv6 address as it does",
        ),
        (both, BACKEND, &v6, &yes, "local as 192.0.2.53:53"),
        (both, six, &v4, &yes, "local as [2001:db8::53]:53"),
        (one, BACKEND, &here, &no, "slow: it is on this host, and this kernel is old"),
        (
            one,
            six,
            &here,
            &yes,
            "slow: it is on this host, and no listener for other hosts has an IPv6 address as it does",
        ),
        (
            two,
            BACKEND,
            &here,
            &yes,
            "slow: it is on this host, and its replies do not tell which of 2 IPv4 listeners was asked",
        ),
        (
            one,
            BACKEND,
            &v4,
            &yes,
            "slow: it is on this host, and its replies may leave by eth7, which is not among listen.interfaces",
        ),
        (
            both,
            six,
            &v6,
            &yes,
            "slow: it is on this host, and its replies may leave by wg0, which is not among listen.interfaces",
        ),
    ] {
        assert_eq!(decided(listeners, backend, view, egress), expected, "{listeners:?} {backend}");
    }
}

#[test]
fn a_loopback_address_is_for_the_slow_path() {
    let view = view(&[local("127.0.0.1"), local("::1")]);
    for backend in ["127.0.0.1:53", "[::1]:53"] {
        let decided = decided(&["192.0.2.53:53", "[2001:db8::53]:53"], backend, &view, &Ok(()));
        assert!(decided.contains("is a loopback address"), "{decided}");
    }
}

#[test]
fn no_more_than_sixteen_are_local() {
    let backends: Vec<String> = (0..18).map(|n| format!("192.0.2.53:{}", 8000 + n)).collect();
    let config = config(&["192.0.2.53:53"], &backends);
    let deliveries = deliveries(&config, &view(&[local("192.0.2.53")]), &Ok(()));
    let is_local = |delivery: &&Delivery| matches!(delivery, Delivery::Local(_));
    assert_eq!(deliveries.values().filter(is_local).count(), 16);
    assert!(is_local(&&deliveries[&"192.0.2.53:8015".parse().unwrap()]), "the first ones");
    assert_eq!(deliveries[&"192.0.2.53:8016".parse().unwrap()], Delivery::SlowPath(SlowPath::TooMany));
}

#[test]
fn where_the_stack_has_a_way_there_is_the_slow_path() {
    let (to, eth) = ("203.0.113.9".parse().unwrap(), || "eth1".to_owned());
    let slow = [
        Why::Encapsulated(to),
        Why::NotAttached { interface: eth() },
        Why::TooManyTags { interface: eth() },
        Why::NotEthernet(eth()),
        Why::NoSource { to, interface: eth() },
    ];
    let unreachable = [
        Why::NoRoute { to, down: Vec::new() },
        Why::Refusing { to, kind: "blackhole" },
        Why::RouteUnknown { to, error: "?".to_owned() },
        Why::NotUnicast { to, kind: "a multicast address" },
        Why::NoInterface(9),
        Why::Down(eth()),
        Why::NoCarrier(eth()),
        Why::Silent { neighbour: to, interface: eth() },
        Why::CannotAsk { neighbour: to, interface: eth(), error: "?".to_owned() },
    ];
    let decide = |why: &Why| {
        let view = view(&[("203.0.113.9", Resolution::Unreachable(why.clone()))]);
        let config = config(&["192.0.2.53:53"], &["203.0.113.9:53".to_owned()]);
        deliveries(&config, &view, &Ok(())).into_values().next().unwrap()
    };
    for why in &slow {
        assert_eq!(decide(why), Delivery::SlowPath(SlowPath::Way(why.clone())));
        assert!(decide(why).is_worth_trying(), "{why}");
    }
    for why in &unreachable {
        assert_eq!(decide(why), Delivery::Unreachable(why.clone()));
        assert!(!decide(why).is_worth_trying(), "{why}");
    }
    let asked = Why::Asked { neighbour: to, interface: eth() };
    assert_eq!(decide(&asked), Delivery::Unreachable(asked.clone()), "the fast path takes another one");
    assert!(decide(&asked).is_worth_trying(), "the stack asks, and keeps the packet meanwhile");
}

#[test]
fn who_has_not_been_asked_for_is_left_out() {
    let config = config(&["192.0.2.53:53"], &["203.0.113.9:53".to_owned()]);
    assert_eq!(deliveries(&config, &View::default(), &Ok(())), BTreeMap::new());
}
