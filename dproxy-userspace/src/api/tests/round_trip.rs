//! Everything that can be asked, over a socket.

use axum::http::Method;
use serde_json::{Value, json};

use super::with_daemon;
use crate::api::{
    Backends, Edited, Explanation, NameRoutes, Pool, Pools, Route, Routes, Stats, Status, Target,
};
use crate::daemon::fake;

#[tokio::test]
async fn status() {
    with_daemon(async |daemon| {
        let status: Status = daemon.client.get("/v1/status").await.unwrap();
        assert_eq!((status.generation, status.routes, status.live_edits), (1, 6, 0));
        assert_eq!(status.process, std::process::id());
        assert_eq!(status.interfaces[0].mode, "native");
        assert_eq!(status.pools.len(), 3);
        assert_eq!(status.warnings, [""; 0]);
    })
    .await;
}

#[tokio::test]
async fn routes() {
    with_daemon(async |daemon| {
        let client = &daemon.client;
        let body = json!({"pattern": "=A.example", "answer": "drop"});
        let edited = daemon.send(Method::POST, "/v1/routes", &body).await.unwrap();
        assert_eq!(edited, Edited { generation: 2, changed: true });
        let route: Route = client.get("/v1/routes/%3Da.example").await.unwrap();
        assert_eq!(route.pattern, "=a.example");
        assert_eq!(route.target, Target::Answer("drop".to_owned()));

        let body = json!({"pool": "dice"});
        daemon.send(Method::PUT, "/v1/routes/=a.example", &body).await.unwrap();
        let again = daemon.send(Method::PUT, "/v1/routes/=a.example", &body).await.unwrap();
        assert_eq!(again, Edited { generation: 3, changed: false });

        let all: Routes = client.get("/v1/routes").await.unwrap();
        let patterns: Vec<&str> = all.routes.iter().map(|route| route.pattern.as_str()).collect();
        assert_eq!(
            patterns,
            [
                ".",
                "=a.example",
                "blocked.example",
                "*.dev.example",
                "silent.example",
                "cryo.network",
                "=www.example.org"
            ]
        );
        client.delete("/v1/routes/%2E").await.unwrap();
        client.delete("/v1/routes/*.dev.example").await.unwrap();
        let all: Routes = client.get("/v1/routes").await.unwrap();
        assert_eq!((all.generation, all.routes.len()), (5, 5));
    })
    .await;
}

#[tokio::test]
async fn odd_names_survive_the_path() {
    with_daemon(async |daemon| {
        for pattern in
            [r"a\.b.example", "0/25.2.0.192.in-addr.arpa", r"sp\032ace%41.example", r"*.\042.example"]
        {
            let body = json!({"pattern": pattern, "pool": "cryo"});
            daemon.send(Method::POST, "/v1/routes", &body).await.unwrap();
            let path = format!("/v1/routes/{}", crate::api::encode(pattern));
            let route: Route = daemon.client.get(&path).await.unwrap();
            assert_eq!(route.pattern, pattern);
            daemon.client.delete(&path).await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn names() {
    with_daemon(async |daemon| {
        let found: NameRoutes = daemon.client.get("/v1/names/www.cryo.network").await.unwrap();
        assert_eq!(found.route.unwrap().pattern, "cryo.network");
        assert_eq!(found.pool.unwrap().name, "cryo");
        assert_eq!(found.also_matching[0].pattern, ".");
    })
    .await;
}

#[tokio::test]
async fn pools_and_backends() {
    with_daemon(async |daemon| {
        let client = &daemon.client;
        let body = json!({
            "name": "new", "policy": "maglev", "hash": "client",
            "primary": "192.168.1.20", "proxy_protocol": true,
            "backends": [{"address": "192.168.1.20", "weight": 2}, {"address": "[2001:db8:1::20]:5353"}],
        });
        daemon.send(Method::POST, "/v1/pools", &body).await.unwrap();
        let pool: Pool = client.get("/v1/pools/new").await.unwrap();
        assert_eq!((pool.policy.as_str(), pool.hash.as_deref(), pool.routes), ("maglev", Some("client"), 0));
        assert_eq!(pool.primary, Some("192.168.1.20:53".parse().unwrap()));
        assert!(pool.proxy_protocol);
        let backends = |pool: &Pool| -> Vec<String> {
            pool.backends.iter().map(|backend| format!("{} {}", backend.address, backend.weight)).collect()
        };
        assert_eq!(backends(&pool), ["192.168.1.20:53 2", "[2001:db8:1::20]:5353 1"]);

        let body =
            json!({"policy": "failover", "slow_start": "10s", "bounded_load": "125", "when_down": "drop"});
        daemon.send(Method::PATCH, "/v1/pools/new", &body).await.unwrap();
        let pool: Pool = client.get("/v1/pools/new").await.unwrap();
        assert_eq!((pool.policy.as_str(), pool.hash.as_deref()), ("failover", Some("client")));
        for (body, place) in [
            (json!({}), "body"),
            (json!({"bounded_load": "much"}), "bounded_load"),
            (json!({"slow_start": "soon"}), "slow_start"),
            (json!({"when_down": "pool"}), "when_down"),
        ] {
            let error = daemon.send(Method::PATCH, "/v1/pools/new", &body).await.unwrap_err();
            assert!(format!("{error:?}").contains(place), "{error:?}");
        }

        let body = json!({"address": "192.168.1.21:54", "weight": 0});
        daemon.send(Method::POST, "/v1/pools/new/backends", &body).await.unwrap();
        let path = "/v1/pools/new/backends/192.168.1.20";
        daemon.send(Method::PATCH, path, &json!({"weight": 7})).await.unwrap();
        client.delete("/v1/pools/new/backends/[2001:db8:1::20]:5353").await.unwrap();
        let members: Backends = client.get("/v1/pools/new/backends").await.unwrap();
        let members: Vec<String> = members
            .backends
            .iter()
            .map(|member| format!("{} {}", member.backend.address, member.backend.weight))
            .collect();
        assert_eq!(members, ["192.168.1.20:53 7", "192.168.1.21:54 0"]);

        let all: Backends = client.get("/v1/backends").await.unwrap();
        assert_eq!((all.generation, all.backends.len()), (6, 6));
        client.delete("/v1/pools/new").await.unwrap();
        let pools: Pools = client.get("/v1/pools").await.unwrap();
        assert_eq!(pools.pools.len(), 3);
    })
    .await;
}

#[tokio::test]
async fn backends_that_cannot_be_reached_say_why() {
    with_daemon(async |daemon| {
        daemon.network.set("192.168.1.20", fake::silent("192.168.1.20"));
        let body = json!({"address": "192.168.1.20"});
        daemon.send(Method::POST, "/v1/pools/cryo/backends", &body).await.unwrap();
        let pool: Value = daemon.client.get("/v1/pools/cryo").await.unwrap();
        assert_eq!(
            pool["backends"][1],
            json!({
                "address": "192.168.1.20:53", "weight": 1, "reachable": false, "path": "none",
                "why": "neighbour 192.168.1.20 on eth0 does not answer (FAILED)",
            })
        );
    })
    .await;
}

#[tokio::test]
async fn explain() {
    with_daemon(async |daemon| {
        let path = "/v1/explain?name=www.cryo.network&type=AAAA&from=[2001:db8:9::1]";
        let explained: Explanation = daemon.client.get(path).await.unwrap();
        assert_eq!(explained.listener.to_string(), "[2001:db8::53]:53");
        assert_eq!(explained.from.to_string(), "[2001:db8:9::1]:50000");
        assert_eq!((explained.record_type.as_str(), explained.reason.as_str()), ("AAAA", "query-forwarded"));
        assert_eq!(explained.backend.unwrap().address.to_string(), "192.168.1.9:8053");
    })
    .await;
}

#[tokio::test]
async fn stats() {
    with_daemon(async |daemon| {
        {
            let cryo = daemon.datapath.route_id("cryo.network");
            let mut tables = daemon.datapath.tables();
            tables.counters.routes = vec![0; 16];
            tables.counters.routes[cryo as usize] = 7;
            tables.counters.reasons[0] = 7;
            tables.counters.received = 7;
        }
        let stats: Stats = daemon.client.get("/v1/stats").await.unwrap();
        assert_eq!((stats.received, stats.reasons["query-forwarded"], stats.verdicts["forward"]), (7, 7, 7));
        assert_eq!(stats.reasons.len(), dproxy_common::reason::Reason::COUNT, "zeroes too");
        let busy: Vec<_> = stats.routes.iter().filter(|route| route.queries > 0).collect();
        assert_eq!(busy.len(), 1);
        assert_eq!(busy[0].route.pattern, "cryo.network");

        let json: Value = daemon.client.get("/v1/stats").await.unwrap();
        assert_eq!(json["routes"][4], json!({"pattern": "cryo.network", "pool": "cryo", "queries": 7}));
    })
    .await;
}
