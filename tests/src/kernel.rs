//! The loaded program, run by `BPF_PROG_TEST_RUN`: no packet is sent anywhere.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::PathBuf;

use dproxy_common::{
    abi::{BackendLive, NextHop, Subject},
    reason::{Reason, Verdict},
};
use dproxy_lab::Namespace;
use dproxy_userspace::{
    config::XdpMode,
    datapath::{Counters, Datapath, Kernel, KernelOptions, LoadError},
};
use nix::net::if_::if_nametoindex;

use crate::{
    machine::{Machine, Outcome},
    world::World,
};

/// Runs a test in a network namespace with two interfaces, whose indices it is given: the clients' side and
/// the backends' side. Says that it is skipped without root.
pub fn in_namespace(test: &str, body: impl FnOnce([u32; 2]) + Send) {
    if !dproxy_lab::is_root() {
        return skip(test, "loading a program needs root");
    }
    let name = format!("dproxy-test-{}", std::process::id());
    let namespace = Namespace::create(&name).expect("a namespace");
    for interface in ["client", "backend"] {
        let far_end = format!("{interface}-far");
        namespace.add_veth(interface, &namespace, &far_end).expect("a pair of interfaces");
    }
    let index = |name| if_nametoindex(name).expect("its index");
    namespace.enter(|| body(["client", "backend"].map(index))).expect("the namespace");
}

/// Says that a test is skipped, and why, to people and to `cargo xtask test`.
fn skip(test: &str, reason: &str) {
    let line = format!("skipped: {test} : {reason}\n");
    print!("{line}");
    let log = std::env::var_os("DPROXY_SKIP_LOG");
    let log = log.and_then(|path| fs::OpenOptions::new().append(true).create(true).open(path).ok());
    if let Some(mut log) = log {
        log.write_all(line.as_bytes()).expect("the log of skipped tests can be written");
    }
}

/// The kernel build.
pub struct InKernel {
    /// The loaded program.
    pub kernel: Kernel,
    hops: u32,
}

impl InKernel {
    /// Loads the program with the tables of a world.
    pub fn new(world: &World) -> Self {
        Self::load(world, false)
    }

    /// The same with a line in the log about each packet.
    pub fn logging(world: &World) -> Self {
        Self::load(world, true)
    }

    fn load(world: &World, log_packets: bool) -> Self {
        Self::try_load(world, log_packets).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Loads the program, with or without a line in the log about each packet, if the kernel takes it.
    pub fn try_load(world: &World, log_packets: bool) -> Result<Self, LoadError> {
        let folder = PathBuf::from(format!("/sys/fs/bpf/dproxy-test-{}", std::process::id()));
        let options = KernelOptions {
            capacity: world.capacity,
            nat_ports: world.config.fast_path.nat_ports,
            interfaces: Vec::new(),
            mode: XdpMode::Generic,
            bpffs: folder.clone(),
            log_packets,
        };
        let mut kernel = Kernel::load(&options)?;
        // Without interfaces, nothing is ever pinned there. (If another test is faster, it is gone already.)
        for empty in [folder.join("links"), folder] {
            let _ = fs::remove_dir(empty);
        }
        kernel.publish(world.snapshot.patch()).unwrap_or_else(|error| panic!("{error}"));
        let mut this = Self { kernel, hops: 0 };
        for (&id, hop) in &world.hops {
            this.set_hop(id, Some(*hop));
        }
        for (&id, live) in &world.lives {
            this.set_live(id, *live);
        }
        Ok(this)
    }

    fn counted(&self) -> Counters {
        self.kernel.counters().unwrap_or_else(|error| panic!("{error}"))
    }
}

impl Machine for InKernel {
    fn receive(&mut self, frame: &[u8], interface: u32) -> Outcome {
        let before = self.counted();
        let run = self.kernel.run(frame, interface, 1).unwrap_or_else(|error| panic!("{error}"));
        let after = self.counted();
        assert_eq!(after.received, before.received + 1, "a packet is counted when it comes");
        let counts = before.reasons.iter().zip(&after.reasons);
        let moved = counts.zip(Reason::ALL).filter(|((before, after), _)| before != after);
        let moved: Vec<Reason> = moved.map(|(_, reason)| reason).collect();
        let [reason] = moved.as_slice() else { panic!("a packet ends with one reason, not {moved:?}") };
        check_verdict(*reason, run.verdict);
        Outcome { reason: *reason, frame: run.frame, sent_back: run.verdict == XDP_TX }
    }

    fn explain(&mut self, frame: &[u8]) -> (Reason, Subject) {
        let explanation = self.kernel.explain(frame, 0).unwrap_or_else(|error| panic!("{error}"));
        (explanation.reason().expect("a reason"), explanation.subject)
    }

    fn counters(&self) -> (BTreeMap<Reason, u64>, u64) {
        let counters = self.counted();
        let by_reason = Reason::ALL.into_iter().zip(counters.reasons).filter(|(_, count)| *count > 0);
        (by_reason.collect(), counters.received)
    }

    fn set_live(&mut self, backend: u16, live: BackendLive) {
        self.kernel.set_live(backend, live).unwrap_or_else(|error| panic!("{error}"));
    }

    fn set_hop(&mut self, backend: u16, hop: Option<NextHop>) {
        let live = match hop {
            Some(hop) => {
                let index = self.hops;
                self.hops += 1;
                self.kernel.set_next_hop(index, &hop).unwrap_or_else(|error| panic!("{error}"));
                BackendLive::reachable(index)
            }
            None => BackendLive::UNRESOLVED,
        };
        self.set_live(backend, live);
    }

    fn name(&self) -> &'static str {
        "kernel"
    }
}

/// `enum xdp_action` of linux/bpf.h.
const XDP_ABORTED: u32 = 0;
const XDP_DROP: u32 = 1;
const XDP_PASS: u32 = 2;
const XDP_TX: u32 = 3;
const XDP_REDIRECT: u32 = 4;

fn check_verdict(reason: Reason, verdict: u32) {
    let allowed: &[u32] = match reason.verdict() {
        Verdict::Pass | Verdict::Deliver => &[XDP_PASS],
        Verdict::Forward => &[XDP_TX, XDP_REDIRECT],
        Verdict::Answer => &[XDP_TX],
        Verdict::Drop => &[XDP_DROP],
        Verdict::Abort => &[XDP_ABORTED],
    };
    assert!(allowed.contains(&verdict), "{reason:?} must not lead to verdict {verdict}");
}
