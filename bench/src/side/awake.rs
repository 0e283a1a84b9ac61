//! Keeps processors from going to sleep: in a virtual machine, to wake one up takes longer than to balance a query.

use std::hint::spin_loop;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Scope;

use anyhow::Result;

use crate::cores;

/// On each processor a thread that has nothing to do, and comes after all that have, until `stop`.
pub fn keep<'scope>(scope: &'scope Scope<'scope, '_>, stop: &'scope AtomicBool) {
    for processor in cores::BOTH {
        scope.spawn(move || -> Result<()> {
            cores::pin(processor)?;
            cores::come_last()?;
            while !stop.load(Ordering::Relaxed) {
                spin_loop();
            }
            Ok(())
        });
    }
}
