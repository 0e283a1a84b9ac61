//! Peers that dawdle, send too much or are too many. Time is made to pass as soon as everybody waits for it.

use std::future::pending;
use std::time::Duration;

use axum::http::Method;
use axum::routing::get;
use axum::{Extension, Router};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

use super::{Daemon, exchange, with_daemon};
use crate::api::peer::Peer;
use crate::api::server::{CONNECTIONS, HEAD, serve_router};
use crate::daemon::fake;

const STATUS: &str = "GET /v1/status HTTP/1.1\r\nhost: x\r\n\r\n";

async fn connect(daemon: &Daemon) -> UnixStream {
    UnixStream::connect(daemon.socket()).await.unwrap()
}

/// All that comes until the other side hangs up.
async fn rest(stream: &mut UnixStream) -> String {
    let mut octets = Vec::new();
    let _ = stream.read_to_end(&mut octets).await;
    String::from_utf8(octets).unwrap()
}

async fn is_answered_at_once(daemon: &Daemon) {
    let begin = std::time::Instant::now();
    daemon.client.get::<Value>("/v1/status").await.unwrap();
    assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_head_that_does_not_come_to_its_end() {
    with_daemon(async |daemon| {
        let mut stream = connect(daemon).await;
        let begin = Instant::now();
        // However slowly it makes progress.
        for octet in ["G", "E", "T", " "] {
            stream.write_all(octet.as_bytes()).await.unwrap();
            is_answered_at_once(daemon).await;
            sleep(HEAD / 5).await;
        }
        assert_eq!(rest(&mut stream).await, "");
        assert_eq!(begin.elapsed().as_secs(), HEAD.as_secs());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_a_next_request() {
    with_daemon(async |daemon| {
        let mut stream = connect(daemon).await;
        for _ in 0..3 {
            stream.write_all(STATUS.as_bytes()).await.unwrap();
            let mut octets = [0; 15];
            stream.read_exact(&mut octets).await.unwrap();
            assert_eq!(&octets, b"HTTP/1.1 200 OK");
            stream.read_buf(&mut Vec::with_capacity(64 << 10)).await.unwrap();
            sleep(HEAD / 2).await;
        }
        let begin = Instant::now();
        assert_eq!(rest(&mut stream).await, "");
        assert_eq!(begin.elapsed().as_secs(), HEAD.as_secs() / 2);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_to_its_end() {
    with_daemon(async |daemon| {
        for path in ["/v1/routes", "/v1/apply"] {
            let mut stream = connect(daemon).await;
            let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{{");
            stream.write_all(head.as_bytes()).await.unwrap();
            is_answered_at_once(daemon).await;
            let response = rest(&mut stream).await;
            assert!(response.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{response}");
            assert!(response.contains(r#""code":"too-slow""#), "{response}");
        }
        assert_eq!(daemon.datapath.generation(), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn slow_peers_are_in_nobodys_way() {
    with_daemon(async |daemon| {
        let mut slow = Vec::new();
        for _ in 0..CONNECTIONS / 2 {
            let mut stream = connect(daemon).await;
            let head = "POST /v1/apply HTTP/1.1\r\nhost: x\r\ncontent-length: 100000000\r\n\r\n#";
            stream.write_all(head.as_bytes()).await.unwrap();
            slow.push(stream);
        }
        let begin = Instant::now();
        is_answered_at_once(daemon).await;
        daemon.client.send_toml::<Value>("/v1/plan", fake::CONFIG.to_owned()).await.unwrap();
        assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
    })
    .await;
}

#[tokio::test]
async fn bodies_that_are_too_large_are_not_waited_for() {
    with_daemon(async |daemon| {
        for (path, length) in [("/v1/routes", (64 << 10) + 1), ("/v1/plan", (128 << 20) + 1)] {
            let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n");
            let response = exchange(daemon.socket().into(), &head).await;
            assert!(response.starts_with("HTTP/1.1 413 Payload Too Large\r\n"), "{response}");
            assert!(response.contains(r#""code":"too-large""#), "{response}");
            assert!(response.contains(&format!("up to {} octets", length - 1)), "{response}");
        }
        let chunk = format!("1000\r\n{}\r\n", " ".repeat(0x1000));
        let head = "POST /v1/routes HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
        let response = exchange(daemon.socket().into(), &format!("{head}{}", chunk.repeat(17))).await;
        assert!(response.starts_with("HTTP/1.1 413 Payload Too Large\r\n"), "{response}");
    })
    .await;
}

#[tokio::test]
async fn a_whole_configuration_may_be_larger_than_an_edit() {
    with_daemon(async |daemon| {
        let text = "#".repeat(1 << 20) + "\n[nonsense]\n";
        let error = super::refused(daemon.client.send_toml::<Value>("/v1/plan", text).await);
        assert!(error.to_string().contains("request:2:2: "), "it was read to its end: {error}");
    })
    .await;
}

#[tokio::test]
async fn a_head_that_is_too_large() {
    with_daemon(async |daemon| {
        let long = "x".repeat(1 << 20);
        for request in [
            format!("GET /v1/status HTTP/1.1\r\nhost: x\r\ncookie: {long}\r\n\r\n"),
            format!("GET /v1/status HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(1000)),
            format!("GET /v1/{long} HTTP/1.1\r\nhost: x\r\n\r\n"),
        ] {
            let response = exchange_all(daemon, &request).await;
            assert!(response.starts_with("HTTP/1.1 4"), "{response:?}");
        }
        is_answered_at_once(daemon).await;
    })
    .await;
}

/// Sends as much as is taken.
async fn exchange_all(daemon: &Daemon, request: &str) -> String {
    let mut stream = connect(daemon).await;
    let _ = stream.write_all(request.as_bytes()).await;
    rest(&mut stream).await
}

#[tokio::test(start_paused = true)]
async fn of_too_many_connections_the_last_wait_for_the_first() {
    with_daemon(async |daemon| {
        let mut idle = Vec::new();
        for _ in 0..CONNECTIONS {
            idle.push(connect(daemon).await);
        }
        let begin = Instant::now();
        drop(idle.pop());
        is_answered_at_once(daemon).await;
        assert!(begin.elapsed() < Duration::from_secs(1), "somebody has left");
        idle.push(connect(daemon).await);
        daemon.client.get::<Value>("/v1/status").await.unwrap();
        assert!(begin.elapsed() <= HEAD + Duration::from_secs(1), "who does nothing is sent away");
    })
    .await;
}

/// A server of one route, at a path.
async fn with_router(router: Router, test: impl AsyncFnOnce(&std::path::Path, oneshot::Sender<()>)) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let (end, ended) = oneshot::channel();
    let server = serve_router(listener, router, async {
        let _ = ended.await;
    });
    tokio::join!(server, test(&path, end));
}

#[tokio::test(start_paused = true)]
async fn if_there_is_no_room_for_long_that_is_said() {
    let router = Router::new().route("/", get(async || pending::<()>().await));
    let test = async |path: &std::path::Path, _end| {
        let mut busy = Vec::new();
        for _ in 0..CONNECTIONS {
            let mut stream = UnixStream::connect(path).await.unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
            busy.push(stream);
        }
        let response = exchange(path.into(), "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
        assert!(response.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{response}");
        let (_, body) = response.split_once("\r\n\r\n").unwrap();
        assert_eq!(
            serde_json::from_str::<Value>(body).unwrap(),
            json!({
                "status": 503, "code": "unavailable", "message": "too many connections to dproxy; try again",
            })
        );
    };
    // The busy ones never end.
    let _ = timeout(Duration::from_secs(100), with_router(router, test)).await;
}

#[tokio::test]
async fn the_end_waits_for_answers_and_for_nothing_else() {
    let router = Router::new().route(
        "/",
        get(async || {
            sleep(Duration::from_millis(100)).await;
            "done"
        }),
    );
    let begin = std::time::Instant::now();
    with_router(router, async |path, end| {
        let mut idle = UnixStream::connect(path).await.unwrap();
        let mut busy = UnixStream::connect(path).await.unwrap();
        busy.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        sleep(Duration::from_millis(20)).await;
        end.send(()).unwrap();
        assert_eq!(rest(&mut idle).await, "");
        assert!(rest(&mut busy).await.ends_with("done"));
        assert!(UnixStream::connect(path).await.is_err());
    })
    .await;
    assert!(begin.elapsed() < HEAD);
}

#[tokio::test]
async fn the_kernel_says_who_asks() {
    let router =
        Router::new().route("/", get(async |Extension(Peer { uid, process })| format!("{uid} {process:?}")));
    with_router(router, async |path, _end| {
        let response = exchange(path.into(), "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
        let expected = format!("{} Some({})", nix::unistd::getuid(), std::process::id());
        assert!(response.ends_with(&expected), "{response}");
    })
    .await;
}

#[tokio::test]
async fn an_answer_to_a_client_that_sent_everything_at_once() {
    with_daemon(async |daemon| {
        let requests = STATUS.repeat(5) + "GET /v1/stats HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        let response = exchange(daemon.socket().into(), &requests).await;
        assert_eq!(response.matches("HTTP/1.1 200 OK").count(), 6);
        let body = json!({"pattern": "a.example", "answer": "drop"});
        assert_eq!(daemon.send(Method::POST, "/v1/routes", &body).await.unwrap().generation, 2);
    })
    .await;
}
