//! The packet path on the host and in the kernel, behind one trait.

use std::collections::BTreeMap;

use dproxy_common::{
    abi::{BackendLive, NextHop, Subject},
    host::{HostPacket, HostState},
    pipeline::{self, Action},
    reason::{Reason, Verdict},
    tables::Tables as _,
    work::Work,
};
use dproxy_userspace::control::Memory;

use crate::world::World;

/// How a packet ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Why.
    pub reason: Reason,
    /// The frame afterwards.
    pub frame: Vec<u8>,
    /// Was it sent from the interface that received it?
    pub sent_back: bool,
}

/// Something that handles packets as the XDP program does.
pub trait Machine {
    /// Hands it a frame as received from an interface.
    fn receive(&mut self, frame: &[u8], interface: u32) -> Outcome;

    /// Asks what it would do with a frame.
    fn explain(&mut self, frame: &[u8]) -> (Reason, Subject);

    /// Packets by reason so far, without zeroes, and packets received.
    fn counters(&self) -> (BTreeMap<Reason, u64>, u64);

    /// Sets the live word of a backend that is not reached by a next hop.
    fn set_live(&mut self, backend: u16, live: BackendLive);

    /// Changes how a backend is reached.
    fn set_hop(&mut self, backend: u16, hop: Option<NextHop>);

    /// Its name in messages.
    fn name(&self) -> &'static str;
}

/// The host build.
pub struct Host {
    memory: Memory,
    state: HostState,
    work: Box<Work>,
}

impl Host {
    /// With the tables of a world.
    pub fn new(world: &World) -> Self {
        Self {
            memory: world.memory(),
            state: HostState::new(world.capacity.slot_bits, 0x1234_5678_9abc_def1),
            work: Box::new(Work::EMPTY),
        }
    }

    /// Its tables, to be changed.
    pub fn memory(&mut self) -> &mut Memory {
        &mut self.memory
    }

    /// Its state.
    pub fn state(&mut self) -> &mut HostState {
        &mut self.state
    }
}

impl Machine for Host {
    fn receive(&mut self, frame: &[u8], interface: u32) -> Outcome {
        let mut packet = HostPacket::new(frame, interface);
        let active = self.memory.active();
        let run = pipeline::run(&mut packet, &self.memory, &mut self.state, &mut self.work, active, false);
        let pipeline::Outcome::Ended(action, reason) = run else { panic!("nobody asked for an explanation") };
        let counted = self.state.ended.last().map(|(reason, _)| *reason);
        assert_eq!(counted, Some(reason), "every packet is counted");
        check_action(reason, action);
        Outcome { reason, frame: packet.frame().to_vec(), sent_back: action == Action::Send(interface) }
    }

    fn explain(&mut self, frame: &[u8]) -> (Reason, Subject) {
        let mut packet = HostPacket::new(frame, 1);
        let active = self.memory.active();
        let run = pipeline::run(&mut packet, &self.memory, &mut self.state, &mut self.work, active, true);
        let pipeline::Outcome::Explained(explanation) = run else {
            panic!("it was asked for an explanation")
        };
        (explanation.reason().expect("a reason"), explanation.subject)
    }

    fn counters(&self) -> (BTreeMap<Reason, u64>, u64) {
        let mut counters = BTreeMap::new();
        for (reason, _) in &self.state.ended {
            *counters.entry(*reason).or_default() += 1;
        }
        (counters, self.state.received)
    }

    fn set_live(&mut self, backend: u16, live: BackendLive) {
        self.memory.backends[usize::from(backend)].live = live;
    }

    fn set_hop(&mut self, backend: u16, hop: Option<NextHop>) {
        let index = usize::from(backend);
        self.memory.backends[index].live = match hop {
            Some(hop) => {
                self.memory.next_hops[index] = hop;
                BackendLive::reachable(u32::from(backend))
            }
            None => BackendLive::UNRESOLVED,
        };
    }

    fn name(&self) -> &'static str {
        "host"
    }
}

fn check_action(reason: Reason, action: Action) {
    let agrees = match (reason.verdict(), action) {
        (Verdict::Pass | Verdict::Deliver, Action::Pass) | (Verdict::Pass, Action::AskPredecessor) => true,
        (Verdict::Forward | Verdict::Answer, Action::Send(_)) => true,
        (Verdict::Drop, Action::Drop) | (Verdict::Abort, Action::Abort) => true,
        (
            Verdict::Pass
            | Verdict::Deliver
            | Verdict::Forward
            | Verdict::Answer
            | Verdict::Drop
            | Verdict::Abort,
            _,
        ) => false,
    };
    assert!(agrees, "{reason:?} must not lead to {action:?}");
}
