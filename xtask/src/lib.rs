//! The part of xtask that build scripts use too.
//!
//! `dproxy-userspace/build.rs` and the commands call the same code, so that there is one place that
//! knows how the kernel half is compiled.

pub mod ebpf;
