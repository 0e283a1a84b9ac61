//! `/healthz` and `/readyz`, for routers and orchestrators: plain HTTP on a configurable address.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};
use tracing::{error, info};

use super::Instructions;

/// Whether the data plane does its job.
#[derive(Clone, Debug)]
pub struct Readiness {
    /// When that was found out.
    pub at: Instant,
    /// What is wrong.
    pub faults: Vec<String>,
}

/// Without news for so long, the engine is held up.
const STALE: Duration = Duration::from_secs(10);
/// Connections at a time.
const CONNECTIONS: usize = 64;
/// How long each may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long to wait until an address that could not be had is tried again.
const AGAIN: Duration = Duration::from_secs(2);

type Known = State<watch::Receiver<Readiness>>;

/// Serves wherever it is instructed to.
pub(super) async fn serve(
    mut instructions: watch::Receiver<Instructions>,
    readiness: watch::Receiver<Readiness>,
) {
    let router =
        Router::new().route("/healthz", get(healthz)).route("/readyz", get(readyz)).with_state(readiness);
    loop {
        let address = instructions.borrow_and_update().endpoint;
        let other = async {
            let is_other = |now: &Instructions| now.endpoint != address;
            instructions.wait_for(is_other).await.is_err()
        };
        let has_ended = match address {
            Some(address) => tokio::select! {
                has_ended = other => has_ended,
                () = serve_at(address, &router) => false,
            },
            None => other.await,
        };
        if has_ended {
            return;
        }
    }
}

async fn serve_at(address: SocketAddr, router: &Router) {
    let listener = loop {
        match TcpListener::bind(address).await {
            Ok(listener) => break listener,
            Err(error) => error!("cannot serve /healthz and /readyz at {address}: {error}"),
        }
        sleep(AGAIN).await;
    };
    info!("/healthz and /readyz are served at {address}");
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let accepted: io::Result<_> = listener.accept().await;
        let (stream, _) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                error!("cannot take a connection at {address}: {error}");
                sleep(AGAIN).await;
                continue;
            }
        };
        // Whoever is one too many is closed: who checks would rather know than wait.
        let Ok(place) = Arc::clone(&room).try_acquire_owned() else { continue };
        let service = TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(PATIENCE).keep_alive(false);
            // A client that goes away or dawdles is its own affair.
            let _ = timeout(PATIENCE, http.serve_connection(TokioIo::new(stream), service)).await;
            drop(place);
        });
    }
}

/// The process is there, and its engine runs.
async fn healthz(State(readiness): Known) -> (StatusCode, String) {
    match held_up(&readiness.borrow()) {
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, why),
        None => (StatusCode::OK, "ok\n".to_owned()),
    }
}

/// The data plane does its job.
async fn readyz(State(readiness): Known) -> (StatusCode, String) {
    let readiness = readiness.borrow();
    let faults: Vec<String> = held_up(&readiness)
        .into_iter()
        .chain(readiness.faults.iter().map(|fault| format!("{fault}\n")))
        .collect();
    if faults.is_empty() {
        (StatusCode::OK, "ready\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, faults.concat())
    }
}

fn held_up(readiness: &Readiness) -> Option<String> {
    let age = readiness.at.elapsed();
    (age > STALE).then(|| format!("nothing is known of the data plane for {} s\n", age.as_secs()))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    async fn status_of(address: SocketAddr, path: &str) -> String {
        let mut stream = loop {
            match TcpStream::connect(address).await {
                Ok(stream) => break stream,
                Err(_) => tokio::task::yield_now().await,
            }
        };
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        format!("{} {}", &head[9..12], body.trim_end())
    }

    #[tokio::test]
    async fn readyz_turns_bad_with_the_data_plane_and_healthz_with_the_engine() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (instruct, instructions) = watch::channel(Instructions::default());
        let (tell, readiness) = watch::channel(Readiness { at: Instant::now(), faults: Vec::new() });
        let serving = tokio::spawn(serve(instructions, readiness));
        instruct.send_replace(Instructions { endpoint: Some(free), ..Instructions::default() });
        assert_eq!(status_of(free, "/healthz").await, "200 ok");
        assert_eq!(status_of(free, "/readyz").await, "200 ready");
        assert_eq!(status_of(free, "/other").await, "404 ");
        let faults = vec!["eth0 is down".to_owned()];
        tell.send_replace(Readiness { at: Instant::now(), faults });
        assert_eq!(status_of(free, "/healthz").await, "200 ok");
        assert_eq!(status_of(free, "/readyz").await, "503 eth0 is down");
        if let Some(long_ago) = Instant::now().checked_sub(STALE * 2) {
            tell.send_replace(Readiness { at: long_ago, faults: Vec::new() });
            assert_eq!(status_of(free, "/healthz").await, "503 nothing is known of the data plane for 20 s");
            assert!(status_of(free, "/readyz").await.starts_with("503"));
        }
        drop(instruct);
        serving.await.unwrap();
    }
}
