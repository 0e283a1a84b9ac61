//! Ctrl-C and SIGTERM, as something to look at: a program then ends by its usual way out, and cleans up.

use anyhow::{Context, Result};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// Whether the user, or the system, wants us to end.
#[derive(Debug)]
pub struct Interrupt(SignalFd);

impl Interrupt {
    /// From now on these signals do nothing by themselves. To be called before any thread is started.
    pub fn catch() -> Result<Self> {
        let signals: SigSet = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().collect();
        signals.thread_block().context("block signals")?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        Ok(Self(SignalFd::with_flags(&signals, flags).context("create a signalfd")?))
    }

    /// Whether one has come since the last look.
    pub fn came(&self) -> Result<bool> {
        Ok(self.0.read_signal().context("read a signalfd")?.is_some())
    }
}
