//! Explanations, by the packet path's own code.

use crate::api::{ApiError, Explanation, Path};
use crate::config::Config;
use crate::daemon::{Engine, Question, RecordType, fake};

async fn explain(name: &str, from: Option<&str>, listener: Option<&str>) -> Result<Explanation, ApiError> {
    let (engine, ..) = fake::engine().await;
    ask(&engine, name, from, listener)
}

fn ask(
    engine: &Engine,
    name: &str,
    from: Option<&str>,
    listener: Option<&str>,
) -> Result<Explanation, ApiError> {
    engine.explain(&Question {
        name: name.parse().unwrap(),
        record_type: RecordType::default(),
        from: from.map(|from| from.parse().unwrap()),
        listener: listener.map(|listener| listener.parse().unwrap()),
    })
}

#[tokio::test]
async fn a_query_that_is_forwarded() {
    let explained = explain("www.CRYO.network", None, None).await.unwrap();
    assert_eq!((explained.reason.as_str(), explained.verdict.as_str()), ("query-forwarded", "forward"));
    assert_eq!(explained.route.unwrap().pattern, "cryo.network");
    assert_eq!(explained.also_matching[0].pattern, ".");
    assert_eq!(explained.pool.unwrap().name, "cryo");
    assert_eq!(explained.hashed.as_deref(), Some("www.cryo.network"));
    let backend = explained.backend.unwrap();
    assert_eq!(backend.address.to_string(), "192.168.1.9:8053");
    assert_eq!(backend.next_hop.unwrap().interface, "eth0");
    // 192.0.2.1 is an example, and asks the first listener.
    assert_eq!((explained.from.to_string(), explained.listener.to_string()).0, "192.0.2.1:50000");
    assert_eq!(explained.listener.to_string(), "192.0.2.53:53");
}

#[tokio::test]
async fn answers_and_drops() {
    for (name, reason, verdict) in
        [("x.blocked.example", "answered-nxdomain", "answer"), ("silent.example", "route-drop", "drop")]
    {
        let explained = explain(name, None, None).await.unwrap();
        assert_eq!((explained.reason.as_str(), explained.verdict.as_str()), (reason, verdict));
        assert!(explained.pool.is_none() && explained.backend.is_none());
    }
}

#[tokio::test]
async fn a_random_draw_hashes_nothing() {
    let explained = explain("a.dev.example", None, None).await.unwrap();
    assert_eq!(explained.route.unwrap().pattern, "*.dev.example");
    assert_eq!(explained.hashed, None);
    assert_eq!(explained.backend.unwrap().address.to_string(), "192.168.1.11:53");
}

#[tokio::test]
async fn an_unreachable_pool() {
    let (mut engine, _, network) = fake::engine().await;
    network.set("192.168.1.9", fake::silent("192.168.1.9"));
    engine.follow_network().await;
    let explained = ask(&engine, "cryo.network", None, None).unwrap();
    assert_eq!((explained.reason.as_str(), explained.verdict.as_str()), ("servfail-unreachable", "answer"));
    assert_eq!(explained.path, Path::Slow);
    assert_eq!(
        explained.left_by_fast_path.as_deref(),
        Some("No backend of the pool can be reached by the fast path.")
    );
    assert_eq!(explained.pool.unwrap().name, "cryo");
    assert_eq!(explained.backend, None);
}

#[tokio::test]
async fn client_and_listener_are_of_one_version() {
    let over_ipv6 = explain("cryo.network", Some("[2001:db8:9::1]:4000"), None).await.unwrap();
    assert_eq!(over_ipv6.listener.to_string(), "[2001:db8::53]:53");
    let asked = explain("cryo.network", None, Some("[2001:db8::53]:53")).await.unwrap();
    assert_eq!(asked.from.to_string(), "[2001:db8::1]:50000");

    let error = explain("cryo.network", Some("192.0.2.9:4000"), Some("[2001:db8::53]:53")).await.unwrap_err();
    assert_eq!((error.status, error.detail.place.as_deref()), (400, Some("from")));
    let error = explain("cryo.network", None, Some("192.0.2.54:53")).await.unwrap_err();
    assert_eq!(
        (error.status, error.detail.allowed.as_deref()),
        (404, Some("192.0.2.53:53, [2001:db8::53]:53"))
    );
}

#[tokio::test]
async fn the_loaded_program_agrees_with_the_routes_that_are_shown() {
    let (engine, ..) = fake::engine().await;
    for name in [
        ".",
        "org",
        "www.example.org",
        "a.www.example.org",
        "dev.example",
        "a.b.dev.example",
        "cryo.network",
        "xcryo.network",
        "x.silent.example",
        r"a\.dev.example",
    ] {
        let explained = ask(&engine, name, None, None).unwrap();
        let shown = engine.name_routes(&name.parse().unwrap());
        assert_eq!(explained.route, shown.route, "{name}");
        assert_eq!(explained.also_matching, shown.also_matching, "{name}");
    }
}

#[tokio::test]
async fn what_xdp_does_not_see_the_slow_path_explains() {
    let listen = "addresses = [\"192.0.2.53\", \"[2001:db8::53]:53\"";
    let text = fake::CONFIG.replacen(listen, &format!("{listen}, \"127.0.0.53\""), 1);
    let (engine, ..) = fake::engine_of(Config::parse(&text, "test").unwrap()).await;
    for (from, listener) in [(Some("127.0.0.1:4000"), "127.0.0.53:53"), (None, "127.0.0.53:53")] {
        let explained = ask(&engine, "www.cryo.network", from, Some(listener)).unwrap();
        assert_eq!(explained.path, Path::Slow);
        assert_eq!((explained.reason.as_str(), explained.verdict.as_str()), ("udp-forwarded", "forward"));
        assert_eq!(explained.backend.unwrap().address.to_string(), "192.168.1.9:8053");
    }
}

#[tokio::test]
async fn both_paths_decide_alike() {
    let (with, ..) = fake::engine().await;
    let (without, _) = fake::engine_without_fast_path(fake::config()).await;
    for name in [
        ".",
        "www.example.org",
        "a.www.example.org",
        "x.dev.example",
        "WWW.cryo.network",
        "blocked.example",
        "silent.example",
        "other.example",
    ] {
        for client in ["198.51.100.1:4000", "198.51.100.2:4000", "[2001:db8:9::1]:4000"] {
            let fast = ask(&with, name, Some(client), None).unwrap();
            let slow = ask(&without, name, Some(client), None).unwrap();
            assert_eq!((fast.path, slow.path), (Path::Fast, Path::Slow));
            assert_eq!(slow.left_by_fast_path.as_deref(), Some("it is off (listen.xdp is \"off\")"));
            assert_eq!(slow.verdict, fast.verdict, "{name}");
            assert_eq!(slow.route, fast.route, "{name}");
            let names = |explained: &Explanation| {
                let address = explained.backend.as_ref().map(|backend| backend.address);
                (explained.pool.as_ref().map(|pool| pool.name.clone()), address)
            };
            assert_eq!(names(&slow), names(&fast), "{name} from {client}");
        }
    }
}
