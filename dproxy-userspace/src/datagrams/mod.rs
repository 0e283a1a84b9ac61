//! Datagrams in batches, and what the kernel says about those that did not arrive.

mod batch;
mod errors;

pub use batch::{BATCH, Datagram, Received, Sender};
pub use errors::{next_error, queue_errors};
