//! The client for the API, as the command line uses it.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use axum::http::header::{CONTENT_TYPE, ETAG, HOST, IF_MATCH};
use axum::http::response::Parts;
use axum::http::{HeaderMap, Method, Request};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use super::{ApiError, Edited};

const JSON: &str = "application/json";
const TOML: &str = "application/toml";

/// Talks to the daemon on a socket.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
    /// The generation that edits are made for, if it matters.
    generation: Option<u64>,
}

/// Why there is no good answer. The text says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error(
        "no dproxy answers on {}: {source}; start it with `dproxy run`, or name its socket with --socket or \
         DPROXY_SOCKET",
        .socket.display()
    )]
    NoDaemon {
        /// The socket.
        socket: PathBuf,
        /// What connecting to it said.
        source: io::Error,
    },
    /// The socket is not for this user.
    #[error("this user may not use {}; become root, or a member of the socket's group", .0.display())]
    NotAllowed(PathBuf),
    /// The daemon went away in the middle.
    #[error("dproxy on {} broke off: {source}; see its log", .socket.display())]
    BrokenOff {
        /// The socket.
        socket: PathBuf,
        /// What broke.
        source: hyper::Error,
    },
    /// Whatever listens there, it is no dproxy that we know.
    #[error("what answers on {} is not dproxy, or of another version than this command: {what}", .socket.display())]
    Strange {
        /// The socket.
        socket: PathBuf,
        /// What is strange.
        what: String,
    },
    /// The daemon understood, and refused.
    #[error(transparent)]
    Refused(#[from] ApiError),
}

impl Client {
    /// For the daemon on this socket.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into(), generation: None }
    }

    /// One whose edits are refused if another generation is in force.
    pub fn made_for(&self, generation: Option<u64>) -> Self {
        Self { generation, ..self.clone() }
    }

    /// The socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Asks for something.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.json(&self.request(Method::GET, path, JSON, Bytes::new()).await?)
    }

    /// Asks for something that is no JSON, and for the generation that it is of.
    pub async fn get_text(&self, path: &str) -> Result<(u64, Bytes), ClientError> {
        let (headers, text) = self.answer(Method::GET, path, JSON, Bytes::new()).await?;
        let tag = headers.get(ETAG).and_then(|tag| tag.to_str().ok());
        let generation = tag.and_then(|tag| tag.trim_matches('"').parse().ok());
        let generation =
            generation.ok_or_else(|| self.strange("an answer without a generation".to_owned()))?;
        Ok((generation, text))
    }

    /// Removes something.
    pub async fn delete(&self, path: &str) -> Result<Edited, ClientError> {
        self.json(&self.request(Method::DELETE, path, JSON, Bytes::new()).await?)
    }

    /// Sends something: `POST`, `PUT` or `PATCH`.
    pub async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        let body = serde_json::to_vec(body).map_err(|error| self.strange(error.to_string()))?;
        self.json(&self.request(method, path, JSON, body.into()).await?)
    }

    /// Sends a whole configuration.
    pub async fn send_toml<T: DeserializeOwned>(&self, path: &str, text: String) -> Result<T, ClientError> {
        self.json(&self.request(Method::POST, path, TOML, text.into()).await?)
    }

    async fn request(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        body: Bytes,
    ) -> Result<Bytes, ClientError> {
        Ok(self.answer(method, path, content_type, body).await?.1)
    }

    async fn answer(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        body: Bytes,
    ) -> Result<(HeaderMap, Bytes), ClientError> {
        let mut request = Request::builder().method(method).uri(path).header(HOST, "dproxy");
        if let Some(generation) = self.generation {
            request = request.header(IF_MATCH, format!("\"{generation}\""));
        }
        let request = request.header(CONTENT_TYPE, content_type).body(Full::new(body));
        let request = request.map_err(|error| self.strange(error.to_string()))?;
        let (Parts { status, headers, .. }, body) = self.exchange(request).await?;
        if status.is_success() {
            return Ok((headers, body));
        }
        match serde_json::from_slice::<ApiError>(&body) {
            Ok(error) => Err(error.into()),
            Err(_) => Err(self.strange(format!("status {status}"))),
        }
    }

    fn json<T: DeserializeOwned>(&self, body: &[u8]) -> Result<T, ClientError> {
        serde_json::from_slice(body).map_err(|error| self.strange(error.to_string()))
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<(Parts, Bytes), ClientError> {
        let stream = UnixStream::connect(&self.socket).await.map_err(|error| self.no_daemon(error))?;
        let broken_off = |source| ClientError::BrokenOff { socket: self.socket.clone(), source };
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken_off)?;
        let exchange = async move {
            let response = sender.send_request(request).await?;
            let (parts, body) = response.into_parts();
            Ok((parts, body.collect().await?.to_bytes()))
        };
        // The connection has to be driven while we wait. What goes wrong with it shows in the exchange.
        let (exchanged, _) = tokio::join!(exchange, connection);
        exchanged.map_err(broken_off)
    }

    fn no_daemon(&self, source: io::Error) -> ClientError {
        let socket = self.socket.clone();
        if source.kind() == ErrorKind::PermissionDenied {
            ClientError::NotAllowed(socket)
        } else {
            ClientError::NoDaemon { socket, source }
        }
    }

    fn strange(&self, what: String) -> ClientError {
        ClientError::Strange { socket: self.socket.clone(), what }
    }
}
