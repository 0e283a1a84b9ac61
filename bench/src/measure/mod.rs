//! Clocks, counts and statistics.

mod cpu;
mod histogram;
mod spread;

pub use cpu::{ProcessTime, ProcessorTime};
pub use histogram::Histogram;
pub use spread::Spread;
