//! Takes connections on the socket. Whoever dawdles there, or sends what nobody wants, is sent away and
//! disturbs nobody else.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use super::paced::Paced;
use super::peer::Peer;
use super::router::router;
use super::{ApiError, Code};
use crate::daemon::Handle;

/// Connections at a time.
pub(super) const CONNECTIONS: usize = 64;
/// How long a further one waits for one of them to end.
const CROWDED: Duration = Duration::from_secs(15);
/// How long a peer may take for the head of a request, or to think of the next one.
pub(super) const HEAD: Duration = Duration::from_secs(10);
/// Octets of a head. A name takes up to 255 × 4 characters, each of which may be percent-encoded.
const HEAD_OCTETS: usize = 16 << 10;
/// How long a peer may leave a response lying.
const UNREAD: Duration = Duration::from_secs(10);
/// How long to wait when there are no descriptors, for one.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves the API until `end` is ready and the requests under way are answered.
pub async fn serve(listener: UnixListener, engine: Handle, end: impl Future<Output = ()>) {
    serve_router(listener, router(engine), end).await;
}

pub(super) async fn serve_router(listener: UnixListener, router: Router, end: impl Future<Output = ()>) {
    let server = Server {
        router: TowerToHyperService::new(router),
        room: Arc::new(Semaphore::new(CONNECTIONS)),
        ending: watch::Sender::new(()),
    };
    let mut end = pin!(end);
    loop {
        tokio::select! {
            () = &mut end => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => tokio::select! {
                    () = &mut end => break,
                    () = server.take(stream) => {}
                },
                Err(error) => {
                    warn!("cannot take a connection on the control socket: {error}");
                    sleep(PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    server.ending.send_replace(());
    // All of the room is free again when all connections have ended.
    let _ = server.room.acquire_many(CONNECTIONS as u32).await;
}

struct Server {
    router: TowerToHyperService<Router>,
    room: Arc<Semaphore>,
    /// Tells connections that it is time to end, once they have answered.
    ending: watch::Sender<()>,
}

impl Server {
    /// Serves a connection beside the others, as soon as there is room. Meanwhile no other is taken: those
    /// wait in the socket's own queue.
    async fn take(&self, stream: UnixStream) {
        match timeout(CROWDED, Arc::clone(&self.room).acquire_owned()).await {
            Ok(Ok(room)) => {
                let connection = connection(stream, self.router.clone(), self.ending.subscribe(), room);
                drop(tokio::spawn(connection));
            }
            // The room is never closed.
            Ok(Err(_)) => {}
            Err(_) => {
                warn!("{CONNECTIONS} connections on the control socket, and none ends; another is refused");
                refuse(&stream);
            }
        }
    }
}

async fn connection(
    stream: UnixStream,
    router: TowerToHyperService<Router>,
    mut ending: watch::Receiver<()>,
    _room: OwnedSemaphorePermit,
) {
    let peer = Peer::of(&stream);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        router.call(request)
    });
    let stream = TokioIo::new(Paced::new(stream, UNREAD));
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .max_header_size(HEAD_OCTETS)
            .serve_connection(stream, service)
    );
    let ended = tokio::select! {
        // First what the peer has sent already: it gets its answer.
        biased;
        ended = &mut connection => ended,
        _ = ending.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!("a connection on the control socket ended: {error}");
    }
}

/// Tells a peer that there is no room, without waiting for what it wants.
fn refuse(stream: &UnixStream) {
    let error = ApiError::new(Code::Unavailable, "too many connections to dproxy; try again");
    let body = serde_json::to_string(&error).unwrap_or_default();
    let status = StatusCode::SERVICE_UNAVAILABLE;
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    );
    // As much as fits at once, which a fresh connection has room for.
    let _ = stream.try_write((head + &body).as_bytes());
}
