//! Time in which nobody has anything to do.
//!
//! A thread that comes after all others (SCHED_IDLE) takes it, on each processor. So it is measured to the microsecond; and
//! no processor goes to sleep: in a virtual machine, to wake one up takes longer than to balance a query.

use std::hint::spin_loop;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::Scope;

use anyhow::Result;

use crate::cores;

/// How often a thread looks at the clock: about each 10 µs.
const SPINS: u32 = 200;

/// What each processor's thread has taken, nanoseconds.
#[derive(Debug, Default)]
pub struct Idle([AtomicU64; cores::BOTH.len()]);

impl Idle {
    /// Takes it from now on, until `stop`.
    pub fn take<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>, stop: &'scope AtomicBool) {
        for (processor, taken) in cores::BOTH.into_iter().zip(&self.0) {
            scope.spawn(move || -> Result<()> {
                cores::pin(processor)?;
                cores::come_last()?;
                while !stop.load(Ordering::Relaxed) {
                    (0..SPINS).for_each(|_| spin_loop());
                    taken.store(thread_time(), Ordering::Relaxed);
                }
                Ok(())
            });
        }
    }

    /// What was taken so far, of all processors together, nanoseconds.
    pub fn taken(&self) -> u64 {
        self.0.iter().map(|taken| taken.load(Ordering::Relaxed)).sum()
    }
}

/// What the calling thread has used, nanoseconds.
fn thread_time() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the time lives; there is such a clock.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
