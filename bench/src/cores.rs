//! Who runs where. A balancer has a processor for itself; all others share the other one.
//!
//! What the kernel does for a frame, in soft interrupts, it does where the frame was sent from: veths
//! have no interrupts of their own.

use std::{fs, io};

use anyhow::{Context, Result, ensure};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// The processor of the balancer.
pub const BALANCER: usize = 0;
/// The processor of generator and backend, and of everything else of ours.
pub const PEERS: usize = 1;

/// Both of them.
pub const BOTH: [usize; 2] = [BALANCER, PEERS];

/// Moves the calling thread, and what it starts from now on, to the peers' processor.
pub fn take_place() -> Result<()> {
    let us = Pid::from_raw(0);
    let allowed = sched_getaffinity(us).context("see which processors we may use")?;
    for processor in [BALANCER, PEERS] {
        ensure!(
            allowed.is_set(processor).unwrap_or(false),
            "the benchmark needs processors {BALANCER} and {PEERS}, and may not use {processor}"
        );
    }
    pin(PEERS)
}

/// Does `work` on the balancer's processor: what is started in it stays there.
pub fn on_balancers<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    pin(BALANCER)?;
    let done = work();
    pin(PEERS)?;
    done
}

/// Does `work` where both processors are allowed: what is started in it has both.
pub fn on_both<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    allow(&BOTH)?;
    let done = work();
    pin(PEERS)?;
    done
}

/// Moves the calling thread to a processor.
pub fn pin(processor: usize) -> Result<()> {
    allow(&[processor])
}

fn allow(processors: &[usize]) -> Result<()> {
    let mut set = CpuSet::new();
    processors.iter().try_for_each(|processor| set.set(*processor))?;
    sched_setaffinity(Pid::from_raw(0), &set).with_context(|| format!("move to processors {processors:?}"))
}

/// The calling thread does not wait for others as long as this lives.
#[derive(Debug)]
pub struct First(());

impl First {
    /// Takes the lowest of the real-time priorities, which come before all others (sched(7)).
    pub fn take() -> Result<Self> {
        schedule(libc::SCHED_FIFO, 1)?;
        Ok(Self(()))
    }
}

impl Drop for First {
    fn drop(&mut self) {
        // The thread ends soon.
        let _ = schedule(libc::SCHED_OTHER, 0);
    }
}

/// The calling thread runs only where nobody else wants to.
pub fn come_last() -> Result<()> {
    schedule(libc::SCHED_IDLE, 0)
}

fn schedule(policy: i32, priority: i32) -> Result<()> {
    let parameters = libc::sched_param { sched_priority: priority };
    // SAFETY: the parameters live.
    let set = unsafe { libc::sched_setscheduler(0, policy, &raw const parameters) };
    ensure!(set == 0, "set our scheduling policy: {}", io::Error::last_os_error());
    Ok(())
}

/// While it lives, we and what we start come before everything else on this machine; for machines that are
/// busy with other things.
#[derive(Debug)]
pub struct Precedence {
    autogroup_before: String,
}

/// The weight of all processes of our session together: with autogroups, which most kernels have, a
/// niceness counts within a session only (sched(7)).
const AUTOGROUP: &str = "/proc/self/autogroup";
const FIRST: i32 = -20;

impl Precedence {
    /// Takes it.
    pub fn take() -> Result<Self> {
        // `/autogroup-63 nice 0`
        let before = fs::read_to_string(AUTOGROUP).unwrap_or_default();
        let autogroup_before = before.split_whitespace().next_back().unwrap_or_default().to_owned();
        if !autogroup_before.is_empty() {
            fs::write(AUTOGROUP, FIRST.to_string()).with_context(|| format!("write to {AUTOGROUP}"))?;
        }
        // SAFETY: setpriority(2) touches no memory of ours.
        let set = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, FIRST) };
        ensure!(set == 0, "set our priority: {}", io::Error::last_os_error());
        Ok(Self { autogroup_before })
    }
}

impl Drop for Precedence {
    fn drop(&mut self) {
        // The session lives on, with whatever else is in it.
        if !self.autogroup_before.is_empty() {
            let _ = fs::write(AUTOGROUP, &self.autogroup_before);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Vec<usize> {
        let set = sched_getaffinity(Pid::from_raw(0)).unwrap();
        (0..CpuSet::count()).filter(|processor| set.is_set(*processor).unwrap()).collect()
    }

    #[test]
    fn what_is_started_by_the_balancers_side_stays_there() {
        // A machine with one processor says so, and there is nothing else to test.
        if take_place().is_err() {
            return;
        }
        assert_eq!(place(), [PEERS]);
        let started = on_balancers(|| Ok(std::thread::spawn(place).join().unwrap())).unwrap();
        assert_eq!(started, [BALANCER]);
        assert_eq!(place(), [PEERS]);
    }
}
