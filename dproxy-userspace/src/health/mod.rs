//! Whether backends do their work: checks, and what becomes of real queries. ARCHITECTURE.md has the picture.
//!
//! A backend is looked at as a member of a pool. All but [`probe`], [`udp`], [`worker`] and [`kept`] is pure: the time is
//! an argument.

mod cause;
mod checks;
mod histogram;
mod kept;
mod member;
mod passive;
mod pool;
mod probe;
mod question;
mod schedule;
mod serials;
mod shares;
mod udp;
mod worker;

pub use cause::{Cause, Failure};
pub use checks::{Change, Id, Picture, PoolSpec, Portrait};
pub use histogram::Histogram;
pub use member::{State, Transition};
pub use passive::Counts;
pub use pool::{Candidate, Decision, Mode, decide};
pub use question::Question;
pub use shares::{Share, Standing, Wanted, bound, withheld};
pub use worker::{Checker, News};
