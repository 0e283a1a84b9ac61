//! Clocks, counts and statistics.

mod clock;
mod cpu;
mod histogram;
mod spread;

pub use clock::CpuClock;
pub use cpu::{ProcessTime, ProcessorTime};
pub use histogram::Histogram;
pub use spread::Spread;
