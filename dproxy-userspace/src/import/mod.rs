//! The original dproxy's configuration, converted to ours.
//!
//! The original (a DNS proxy in Go) reads `config.gcfg`, and one file with routes after the other from a
//! folder. [`Source::load`] reads them, and [`convert`] makes a [`Config`](crate::config::Config) of them
//! that routes each name as the original did; where that cannot be said, or was hardly meant, a note says
//! how they differ. [`Converted::to_toml`] is the file to go on with.
//!
//! How the original routes a name, in its own words `redis.Get("upstream:<name>:address")`:
//!
//! 1. A name of three labels or more: `*.` and its last two labels, if that has an address.
//! 2. Else the name itself, if that has a port.
//! 3. Else `masterupstream`, or NXDOMAIN if `usemasterupstream` is false.
//!
//! So wildcards go before exact names, and only those in front of two labels ever apply. Names are compared
//! as text, upper and lower case apart. The root is not answered at all.

mod backends;
mod convert;
mod gcfg;
mod keys;
mod note;
mod prox;
mod render;
mod settings;
mod source;

#[cfg(test)]
mod tests;

pub use backends::Resolve;
pub use convert::{Converted, Serving, convert};
pub use note::{About, ImportError, Mistake, Note, Origin};
pub use source::Source;
