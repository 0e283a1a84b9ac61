//! Edits that are made for a generation.

use axum::http::Method;
use serde_json::{Value, json};

use super::{Daemon, exchange, refused, with_daemon};
use crate::api::{Applied, Code, Edited, Status};
use crate::daemon::fake;

/// The head of the response to a request without a body.
async fn head(daemon: &Daemon, request: &str, headers: &str) -> String {
    let request = format!("{request} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n");
    let response = exchange(daemon.socket().into(), &request).await;
    response.split_once("\r\n\r\n").unwrap().0.to_owned()
}

#[tokio::test]
async fn answers_say_which_generation_they_are_of() {
    with_daemon(async |daemon| {
        let body = json!({"pattern": "a.example", "answer": "drop"});
        daemon.send(Method::POST, "/v1/routes", &body).await.unwrap();
        for path in [
            "status",
            "routes",
            "routes/a.example",
            "names/a.example",
            "pools",
            "pools/cryo",
            "pools/cryo/backends",
            "backends",
            "explain?name=a.example",
            "stats",
            "generations",
            "configuration",
        ] {
            let head = head(daemon, &format!("GET /v1/{path}"), "").await;
            assert!(head.contains("\r\netag: \"2\"\r\n"), "{path}: {head}");
        }
        let head = head(daemon, "DELETE /v1/routes/a.example", "").await;
        assert!(head.contains("\r\netag: \"3\"\r\n"), "{head}");
    })
    .await;
}

#[tokio::test]
async fn of_two_editors_the_second_is_refused() {
    with_daemon(async |daemon| {
        let (first, second) = (daemon.client.made_for(Some(1)), daemon.client.made_for(Some(1)));
        let edited: Edited = first.delete("/v1/routes/silent.example").await.unwrap();
        assert_eq!(edited.generation, 2);
        let error = refused(second.delete("/v1/routes/blocked.example").await);
        assert_eq!((error.status, error.code), (412, Code::Stale));
        let message = "the edit is made for generation 1, but generation 2 is in force; since then: remove route \
                       silent.example, by ";
        assert!(error.detail.message.starts_with(message), "{}", error.detail.message);
        let body = json!({"address": "192.168.1.20"});
        let error = refused(second.send::<Value>(Method::POST, "/v1/pools/cryo/backends", &body).await);
        assert_eq!(error.code, Code::Stale);
        assert_eq!(daemon.datapath.generation(), 2, "nothing has changed");
        second.made_for(Some(2)).delete("/v1/routes/blocked.example").await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_confirmation_is_of_the_generation_that_it_is_meant_for() {
    with_daemon(async |daemon| {
        let text = fake::CONFIG.replace("blocked.example", "other.example");
        let path = "/v1/apply?confirm=600s";
        let applied: Applied = daemon.client.send_toml(path, text).await.unwrap();
        assert_eq!(applied.generation, 2);
        let confirm = async |generation| {
            let client = daemon.client.made_for(Some(generation));
            client.send::<Edited>(Method::POST, "/v1/confirm", &json!({})).await
        };
        for other in [1, 3] {
            assert_eq!(refused(confirm(other).await).code, Code::Stale);
        }
        let status: Status = daemon.client.get("/v1/status").await.unwrap();
        assert!(status.unconfirmed.is_some(), "it still waits");
        assert_eq!(confirm(2).await.unwrap().generation, 2);
        assert_eq!(refused(confirm(2).await).code, Code::NotFound);
    })
    .await;
}

#[tokio::test]
async fn what_if_match_may_say() {
    with_daemon(async |daemon| {
        for (value, status) in [
            ("\"7\"", "412 Precondition Failed"),
            ("x", "400 Bad Request"),
            ("\"1\"", "200 OK"),
            ("2", "404 Not Found"),
            ("*", "404 Not Found"),
        ] {
            let headers = format!("if-match: {value}\r\n");
            let head = head(daemon, "DELETE /v1/routes/silent.example", &headers).await;
            assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{value}: {head}");
        }
    })
    .await;
}
