//! Whole configurations, draining and switching, over a socket.

use axum::http::Method;
use serde_json::{Value, json};

use super::{refused, with_daemon};
use crate::api::{Code, Pool, Switch};
use crate::config::Config;
use crate::daemon::fake;

#[tokio::test]
async fn what_runs_can_be_read_again() {
    with_daemon(async |daemon| {
        let (generation, text) = daemon.client.get_text("/v1/configuration").await.unwrap();
        assert_eq!(generation, 1);
        let config = Config::parse(str::from_utf8(&text).unwrap(), "test").unwrap();
        assert_eq!(config, fake::config());
    })
    .await;
}

#[tokio::test]
async fn an_invalid_configuration_is_refused_with_all_its_problems() {
    with_daemon(async |daemon| {
        let text = "[listen]\naddresses = [\"192.0.2.53:\"]\nxdp = \"off\"\n[routes]\n\"a..b\" = \"drop\"\n";
        for path in ["/v1/plan", "/v1/apply", "/v1/apply?confirm=60s"] {
            let error = refused(daemon.client.send_toml::<Value>(path, text.to_owned()).await);
            assert_eq!((error.status, error.code), (422, Code::Invalid));
            assert_eq!(error.detail.place.as_deref(), Some("request:2:14"));
            assert!(error.detail.message.starts_with("request:2:14: "), "{error}");
            assert!(error.detail.allowed.is_some());
            assert_eq!(error.more.len(), 1);
            assert_eq!(error.more[0].place.as_deref(), Some("request:5:1"));
        }
    })
    .await;
}

#[tokio::test]
async fn what_apply_and_rollback_do_not_understand() {
    with_daemon(async |daemon| {
        let post = async |path: &str, body: Value| {
            refused(daemon.client.send::<Value>(Method::POST, path, &body).await)
        };
        let error = refused(daemon.client.send_toml::<Value>("/v1/apply?confirm=1", String::new()).await);
        assert_eq!((error.code, error.detail.place.as_deref()), (Code::Malformed, Some("confirm")));
        let error = refused(daemon.client.send_toml::<Value>("/v1/apply?when=1", String::new()).await);
        assert_eq!((error.code, error.detail.place.as_deref()), (Code::Malformed, Some("query")));
        let error = post("/v1/rollback", json!({"generation": -1})).await;
        assert_eq!((error.code, error.detail.place.as_deref()), (Code::Malformed, Some("body")));
        let error = post("/v1/rollback", json!({"to": 1})).await;
        assert_eq!((error.code, error.detail.place.as_deref()), (Code::Malformed, Some("body")));
    })
    .await;
}

#[tokio::test]
async fn backends_are_drained_and_weighed_in_one_edit() {
    with_daemon(async |daemon| {
        let path = "/v1/pools/resolvers/backends/192.168.1.10:53";
        let patch = async |body: Value| daemon.send(Method::PATCH, path, &body).await;
        let edited = patch(json!({"weight": 7, "drained": true})).await.unwrap();
        assert_eq!(edited.generation, 2);
        let pool: Pool = daemon.client.get("/v1/pools/resolvers").await.unwrap();
        assert_eq!((pool.backends[0].weight, pool.backends[0].drained), (7, true));
        let edited = patch(json!({"drained": false})).await.unwrap();
        assert_eq!(edited.generation, 3);
        let pool: Value = daemon.client.get("/v1/pools/resolvers").await.unwrap();
        assert_eq!(pool["backends"][0]["weight"], 7);
        assert_eq!(pool["backends"][0].get("drained"), None);

        let error = refused(patch(json!({})).await);
        assert_eq!((error.code, error.detail.place.as_deref()), (Code::Malformed, Some("body")));
        let error = refused(patch(json!({"weight": 1001, "drained": true})).await);
        assert_eq!(error.code, Code::Invalid);
        let pool: Value = daemon.client.get("/v1/pools/resolvers").await.unwrap();
        assert_eq!(pool["backends"][0].get("drained"), None, "both or none");
    })
    .await;
}

#[tokio::test]
async fn pools_are_switched() {
    with_daemon(async |daemon| {
        let switch = async |body: Value| daemon.send(Method::POST, "/v1/pools/resolvers/switch", &body).await;
        switch(json!({"to": "dice", "percent": 10})).await.unwrap();
        let pool: Pool = daemon.client.get("/v1/pools/resolvers").await.unwrap();
        assert_eq!(pool.switch, Some(Switch { to: "dice".to_owned(), percent: 10 }));
        switch(json!({"to": "dice", "back": true})).await.unwrap();
        let edited = switch(json!({"to": "dice"})).await.unwrap();
        assert_eq!(edited.generation, 4);
        let pool: Pool = daemon.client.get("/v1/pools/dice").await.unwrap();
        assert_eq!((pool.switch, pool.routes), (None, 3));

        let error = refused(switch(json!({"to": "dice", "percent": 10, "back": true})).await);
        assert_eq!((error.code, error.detail.place.as_deref()), (Code::Malformed, Some("body")));
        for (body, code) in [
            (json!({"to": "resolvers"}), Code::Invalid),
            (json!({"to": "dice", "percent": 0}), Code::Invalid),
            (json!({"to": "dice", "percent": 300}), Code::Malformed),
            (json!({"to": "no"}), Code::NotFound),
            (json!({}), Code::Malformed),
        ] {
            assert_eq!(refused(switch(body).await).code, code);
        }
    })
    .await;
}
