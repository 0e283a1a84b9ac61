//! Requests that are refused, and how.

use axum::http::Method;
use serde_json::{Value, json};

use super::{exchange, refused, with_daemon};
use crate::api::Code;

#[tokio::test]
async fn each_kind_of_error_has_its_status_and_code() {
    with_daemon(async |daemon| {
        let client = &daemon.client;
        let get = async |path: &str| refused(client.get::<Value>(path).await);
        let post = async |path: &str, body: Value| refused(daemon.send(Method::POST, path, &body).await);
        for (error, status, code, place) in [
            (get("/v1/nothing").await, 404, Code::NotFound, Some("path")),
            (get("/v2/status").await, 404, Code::NotFound, Some("path")),
            (get("/v1/routes/no.example").await, 404, Code::NotFound, Some("route \"no.example\"")),
            (get("/v1/routes/a..b").await, 400, Code::Malformed, Some("pattern")),
            (get("/v1/routes/%FF").await, 400, Code::Malformed, Some("path")),
            (get("/v1/pools/no").await, 404, Code::NotFound, Some("pool \"no\"")),
            (get("/v1/pools/no/backends").await, 404, Code::NotFound, Some("pool \"no\"")),
            (get("/v1/explain").await, 400, Code::Malformed, Some("query")),
            (get("/v1/explain?name=a&from=x").await, 400, Code::Malformed, Some("from")),
            (get("/v1/explain?name=a&type=x").await, 400, Code::Malformed, Some("type")),
            (get("/v1/explain?name=a&client=x").await, 400, Code::Malformed, Some("query")),
            (get("/v1/explain?name=a&listener=192.0.2.99").await, 404, Code::NotFound, Some("listener")),
            (refused(client.delete("/v1/status").await), 405, Code::MethodNotAllowed, Some("path")),
            (refused(client.delete("/v1/pools/cryo").await), 409, Code::InUse, Some("pool \"cryo\"")),
            (post("/v1/routes", json!({})).await, 400, Code::Malformed, Some("body")),
            (post("/v1/routes", json!({"pattern": "a"})).await, 400, Code::Malformed, Some("body")),
            (
                post("/v1/routes", json!({"pattern": "a", "pool": "cryo", "answer": "drop"})).await,
                400,
                Code::Malformed,
                Some("body"),
            ),
            (
                post("/v1/routes", json!({"pattern": "a", "answer": "dorp"})).await,
                400,
                Code::Malformed,
                Some("answer"),
            ),
            (
                post("/v1/routes", json!({"pattern": "cryo.network", "pool": "dice"})).await,
                409,
                Code::Exists,
                Some("route \"cryo.network\""),
            ),
            (
                post("/v1/pools", json!({"name": "a", "primary": "ns1", "backends": []})).await,
                400,
                Code::Malformed,
                Some("primary"),
            ),
            (
                post("/v1/routes", json!({"pattern": "a", "pool": "no"})).await,
                422,
                Code::Invalid,
                Some("route \"a\""),
            ),
            (
                post("/v1/pools", json!({"name": "x", "policy": "random", "hash": "client", "backends": []}))
                    .await,
                400,
                Code::Malformed,
                Some("hash"),
            ),
            (
                post("/v1/pools", json!({"name": "drop", "backends": [{"address": "192.168.1.9"}]})).await,
                422,
                Code::Invalid,
                Some("pool \"drop\""),
            ),
            (
                post("/v1/pools/cryo/backends", json!({"address": "ns1.example"})).await,
                400,
                Code::Malformed,
                Some("address"),
            ),
        ] {
            assert_eq!(
                (error.status, error.code, error.detail.place.as_deref()),
                (status, code, place),
                "{error}"
            );
            assert!(!error.detail.message.is_empty());
        }
        assert_eq!(daemon.datapath.generation(), 1);
    })
    .await;
}

#[tokio::test]
async fn an_error_as_json() {
    with_daemon(async |daemon| {
        let backends = json!([{"address": "192.0.2.53"}, {"address": "192.168.1.9:0"}]);
        let body = json!({"name": "x", "backends": backends}).to_string();
        let head = "POST /v1/pools HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: ";
        let response = exchange(daemon.socket().into(), &format!("{head}{}\r\n\r\n{body}", body.len())).await;
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 422 Unprocessable Entity\r\n"), "{head}");
        assert!(head.contains("content-type: application/json"), "{head}");
        assert_eq!(
            serde_json::from_str::<Value>(body).unwrap(),
            json!({
                "status": 422, "code": "invalid",
                "message": "backend 192.0.2.53:53 of pool \"x\" is a listener too, so that queries would go \
                            round in a loop",
                "place": "backend 192.0.2.53:53 of pool \"x\"",
                "allowed": "an address that is no listener",
                "more": [{
                    "message": "backend 192.168.1.9:0 of pool \"x\" has port 0",
                    "place": "backend 192.168.1.9:0 of pool \"x\"",
                    "allowed": "port 1 to 65535",
                }],
            })
        );
    })
    .await;
}

#[tokio::test]
async fn a_body_that_is_too_large() {
    with_daemon(async |daemon| {
        let body = json!({"pattern": "a".repeat(3 << 20), "pool": "cryo"});
        let error = refused(daemon.send(Method::POST, "/v1/routes", &body).await);
        assert_eq!((error.status, error.code), (413, Code::TooLarge));
    })
    .await;
}

#[tokio::test]
async fn curl_needs_no_content_type() {
    with_daemon(async |daemon| {
        let body = r#"{"pattern": "a.example", "pool": "cryo"}"#;
        let request = format!(
            "POST /v1/routes HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
             content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let response = exchange(daemon.socket().into(), &request).await;
        assert!(response.starts_with("HTTP/1.1 201 Created\r\n"), "{response}");
        assert!(response.ends_with(r#"{"generation":2,"changed":true}"#), "{response}");
    })
    .await;
}

#[tokio::test]
async fn what_is_not_http_harms_nobody() {
    with_daemon(async |daemon| {
        for garbage in ["GET\r\n\r\n", "\0\0\0\0\r\n\r\n", "GET /v1/status SMTP/1.1\r\n\r\n"] {
            exchange(daemon.socket().into(), garbage).await;
        }
        assert!(daemon.client.get::<Value>("/v1/status").await.is_ok());
    })
    .await;
}
