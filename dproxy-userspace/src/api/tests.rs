mod fuzz;
mod generations;
mod limits;
mod refusals;
mod round_trip;
mod socket;
mod whole;

use std::path::{Path, PathBuf};

use axum::http::Method;
use serde::Serialize;
use tempfile::TempDir;
use tokio::net::UnixStream;

use super::{ApiError, Client, ClientError, Edited, Socket, serve};
use crate::daemon::fake::{self, FakeDatapath, FakeNetwork};

/// A daemon on a socket of its own, with a datapath and a network in memory.
struct Daemon {
    client: Client,
    datapath: FakeDatapath,
    network: FakeNetwork,
    _folder: TempDir,
}

impl Daemon {
    fn socket(&self) -> &Path {
        self.client.socket()
    }

    async fn send(&self, method: Method, path: &str, body: &impl Serialize) -> Result<Edited, ClientError> {
        self.client.send(method, path, body).await
    }
}

/// Runs a daemon beside a test.
async fn with_daemon(test: impl AsyncFnOnce(&Daemon)) {
    let folder = tempfile::tempdir().unwrap();
    let socket = Socket::claim(&folder.path().join("dproxy.sock")).unwrap();
    let client = Client::new(socket.path());
    let (engine, datapath, network) = fake::engine().await;
    let daemon = Daemon { client, datapath, network, _folder: folder };
    fake::beside(engine, async |handle| {
        let server = tokio::spawn(serve(socket.listener().unwrap(), handle, std::future::pending()));
        test(&daemon).await;
        server.abort();
    })
    .await;
}

/// How a request was refused.
fn refused<T: std::fmt::Debug>(answer: Result<T, ClientError>) -> ApiError {
    let error = answer.unwrap_err();
    let ClientError::Refused(error) = error else { panic!("{error}") };
    error
}

/// Sends octets to the daemon and returns all that comes back until it hangs up.
async fn exchange(socket: PathBuf, request: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = UnixStream::connect(socket).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = Vec::new();
    // With what it does not understand unread, hanging up is an error at this end.
    let _ = stream.read_to_end(&mut response).await;
    String::from_utf8(response).unwrap()
}
