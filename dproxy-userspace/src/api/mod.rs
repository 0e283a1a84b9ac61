//! The HTTP interface of the daemon: HTTP/1.1 and JSON over a Unix socket, under `/v1`.
//!
//! | request | what it does |
//! |---|---|
//! | `GET /v1/status` | [`Status`] |
//! | `GET /v1/routes` | [`Routes`] |
//! | `POST /v1/routes` | adds [`NewRoute`]; refused if the pattern has a route |
//! | `GET /v1/routes/{pattern}` | [`Route`] |
//! | `PUT /v1/routes/{pattern}` | adds or changes the route to lead to [`NewTarget`] |
//! | `DELETE /v1/routes/{pattern}` | removes the route |
//! | `GET /v1/names/{name}` | [`NameRoutes`]: which routes match a name |
//! | `GET /v1/pools` | [`Pools`] |
//! | `POST /v1/pools` | adds [`NewPool`] |
//! | `GET /v1/pools/{pool}` | [`Pool`] |
//! | `DELETE /v1/pools/{pool}` | removes the pool |
//! | `GET /v1/backends` | [`Backends`] of all pools |
//! | `GET /v1/pools/{pool}/backends` | [`Backends`] of one pool |
//! | `POST /v1/pools/{pool}/backends` | adds [`NewBackend`] |
//! | `PATCH /v1/pools/{pool}/backends/{address}` | sets its [`NewWeight`] |
//! | `DELETE /v1/pools/{pool}/backends/{address}` | removes the backend |
//! | `GET /v1/explain?name=…&type=…&from=…&listener=…` | [`Explanation`]; all but the name may be left out |
//! | `GET /v1/stats` | [`Stats`] |
//!
//! Patterns, names and addresses in a path are percent-encoded. The root has to be `%2E`, since `.` alone
//! is a relative path. An edit is answered with [`Edited`] when it is in the datapath, anything that
//! went wrong with [`ApiError`].

mod client;
mod error;
mod path;
mod server;
mod socket;
#[cfg(test)]
mod tests;
mod types;

pub use client::{Client, ClientError};
pub use error::{ApiError, Code, Detail};
pub use path::{encode, query};
pub use server::serve;
pub use socket::{Socket, SocketError};
pub use types::*;
