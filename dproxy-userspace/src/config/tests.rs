//! Tests of the configuration as operators meet it: text in, values or messages out.

mod addresses;
mod changes;
mod errors;
mod include;
mod live_edits;
mod load;
mod name;
mod pattern;
mod ports;
mod save;
mod save_any;
mod speed;
mod valid;

/// A `[listen]` of three lines with which nothing is wrong.
const LISTEN: &str = "[listen]\ninterfaces = [\"eth0\"]\naddresses = [\"192.0.2.53\"]\n";
/// A pool of two lines with which nothing is wrong.
const POOL: &str = "[pools.cryo]\nbackends = [\"192.168.1.9\"]\n";
