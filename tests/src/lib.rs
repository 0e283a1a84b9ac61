//! What the tests of the packet path share.
//!
//! * [`frames`]: frames to send and to expect, built without the code under test.
//! * [`world`]: a configuration compiled into tables, with made-up next hops.
//! * [`machine`]: the packet path behind one trait, and on the host.
//! * [`golden`]: the golden table, run on any machine.
//! * [`kernel`]: the loaded program as such a machine.
//! * [`net`]: what the tests between network namespaces share.
//! * [`oracle`]: what should happen to a query, by other people's parsers.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "tests panic")]

pub mod arbitrary;
pub mod cases;
pub mod frames;
pub mod golden;
pub mod kernel;
pub mod machine;
pub mod net;
pub mod oracle;
pub mod routing;
pub mod world;
