//! The generator at full speed: a program makes each frame in the kernel and sends it out of the client's interface.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Context, Result};
use aya::programs::{ProgramError, TestRunAttrs, Xdp};
use aya::{TestRun, TestRunOptions};
use nix::errno::Errno;

use super::frame::LENGTH;
use super::rig::Clocks;
use crate::cores;

/// Frames of one call: each call makes a pool of pages and waits for it to be gone, which shall not be noticed.
const FRAMES: u32 = 1 << 20;
/// Frames that are made before they are sent together. A veth has room for 256.
const BATCH: u32 = 64;

/// Sends from each processor until `stop`, which the program has to be told as well. For a thread in the client's
/// namespace.
pub fn send(
    generator: &Xdp,
    interface: u32,
    frame: &[u8; LENGTH],
    clocks: &Clocks,
    stop: &AtomicBool,
) -> Result<()> {
    thread::scope(|scope| {
        let threads = cores::BOTH.map(|processor| {
            scope.spawn(move || {
                cores::pin(processor)?;
                clocks.add_this_thread();
                while !stop.load(Ordering::Relaxed) {
                    run(generator, interface, frame)?;
                }
                Ok(())
            })
        });
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

fn run(generator: &Xdp, interface: u32, frame: &[u8; LENGTH]) -> Result<()> {
    // struct xdp_md (linux/bpf.h): where the frame is, and the interface that it seems to come from.
    let mut context = [0; 24];
    context[4..8].copy_from_slice(&(LENGTH as u32).to_ne_bytes());
    context[12..16].copy_from_slice(&interface.to_ne_bytes());
    let run = generator.test_run(TestRunOptions {
        data_in: Some(frame),
        ctx_in: Some(&context),
        repeat: FRAMES,
        attrs: TestRunAttrs::new().xdp_live_frames(BATCH),
        ..TestRunOptions::default()
    });
    match run {
        // A signal ends a run before its time.
        Err(ProgramError::SyscallError(error))
            if error.io_error.raw_os_error() == Some(Errno::EINTR as i32) =>
        {
            Ok(())
        }
        run => run.map(|_| ()).context("run the generator (Linux 5.18 or later?)"),
    }
}
