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
//! | `POST /v1/pools/{pool}/switch` | [`NewSwitch`]: moves its clients to another pool, or back |
//! | `GET /v1/backends` | [`Backends`] of all pools |
//! | `GET /v1/pools/{pool}/backends` | [`Backends`] of one pool |
//! | `POST /v1/pools/{pool}/backends` | adds [`NewBackend`] |
//! | `PATCH /v1/pools/{pool}` | [`ChangedPool`]: sets its policy, and what becomes of health |
//! | `PATCH /v1/pools/{pool}/backends/{address}` | [`ChangedBackend`]: sets its weight, drains or enables it |
//! | `DELETE /v1/pools/{pool}/backends/{address}` | removes the backend |
//! | `GET /v1/configuration` | what runs, in TOML |
//! | `POST /v1/plan` | [`Plan`]: what an apply would change |
//! | `POST /v1/apply?confirm=…` | [`Applied`]: puts a whole configuration in force |
//! | `POST /v1/confirm` | confirms it, so that it is not taken back |
//! | `GET /v1/generations` | [`History`]: which generations can be returned to |
//! | `POST /v1/rollback` | [`Rollback`]: returns to one; answered with [`Applied`] |
//! | `GET /v1/explain?name=…&type=…&from=…&listener=…` | [`Explanation`]; all but the name may be left out |
//! | `GET /v1/stats` | [`Stats`] |
//! | `GET /v1/events?after=…&wait=…` | [`Events`] behind a number; waits for one, up to so many seconds |
//!
//! Patterns, names and addresses in a path are percent-encoded. The root has to be `%2E`, since `.` alone
//! is a relative path. An edit is answered with [`Edited`] when it is in the datapath, anything that
//! went wrong with [`ApiError`].
//!
//! The body of a plan and of an apply is a configuration in TOML, up to 128 MiB; if it is empty, the daemon's
//! own file is meant. Of all others it is JSON, up to 64 KiB. Answers have their generation as `ETag`. A request
//! that changes something may name the generation that it was made for, `If-Match: "42"`; it is refused if
//! another one is in force ([`Code::Stale`]).
//!
//! At most 64 connections are served at a time. One ends when a head takes longer than 10 s, from its beginning or
//! from the end of the last answer; when a body pauses for 10 s, or takes 60 s; when an answer is not read for 10 s.

mod answer;
mod body;
mod client;
mod editor;
mod error;
mod paced;
mod parameters;
mod parse;
mod path;
mod peer;
mod router;
mod server;
mod socket;
#[cfg(test)]
mod tests;
mod types;
mod whole;

pub use client::{Client, ClientError};
pub use error::{ApiError, Code, Detail};
pub use path::{encode, query};
pub use server::serve;
pub use socket::{Socket, SocketError};
pub use types::*;
