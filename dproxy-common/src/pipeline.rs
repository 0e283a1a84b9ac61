//! The way of one packet: parse → classify → select → plan → commit → count.

use crate::{
    abi::{NO_ID, Subject},
    classify::{self, Class},
    commit, direct,
    explain::Explain,
    frame, nat,
    packet::Packet,
    query,
    reason::{Reason, Verdict},
    reply,
    tables::{Half, State, Tables},
    work::Work,
};

/// What the entry point has to tell the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Hand it to the network stack, as it is now.
    Pass,
    /// A reply to a query that is not known here: the program before this one may know it. Else, pass.
    AskPredecessor,
    /// Send it from this interface.
    Send(u32),
    /// Drop it.
    Drop,
    /// Drop it, and say so.
    Abort,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The packet was handled: what to do with it, and why.
    Ended(Action, Reason),
    /// It is as it was, and this would happen to it.
    Explained(Explain),
}

/// Handles one packet by the generation of this number, or only explains what would happen to it.
#[inline(always)]
pub fn run<P: Packet, T: Tables, S: State>(
    packet: &mut P,
    tables: &T,
    state: &mut S,
    work: &mut Work,
    generation: u64,
    is_explained: bool,
) -> Outcome {
    if !is_explained {
        state.count_received();
    }
    // VERIFIER: kept in the map, because a constant in a register would double all that follows.
    work.is_explained = is_explained;
    work.half = Half::of_generation(generation);
    work.subject = Subject::UNKNOWN;
    let decided = decide(packet, tables, state, work);
    if work.is_explained {
        let reason = decided.map_or_else(|reason| reason, |()| work.plan.reason());
        return Outcome::Explained(Explain {
            key: 0,
            generation,
            reason: reason as u32,
            subject: work.subject,
        });
    }
    if decided.is_err() && work.subject.pool != NO_ID {
        // No slot is taken, and the next packet must not draw what was of no use to this one.
        nat::skip(state);
    }
    let committed = decided.and_then(|()| commit::commit(packet, state, &tables.nat(), work));
    let reason = committed.map_or_else(|reason| reason, |()| work.plan.reason());
    state.count(reason, &work.subject);
    let action = match reason.verdict() {
        Verdict::Pass if reason == Reason::ReplyUnknown => Action::AskPredecessor,
        Verdict::Pass | Verdict::Deliver => Action::Pass,
        Verdict::Forward | Verdict::Answer => Action::Send(work.plan.interface()),
        Verdict::Drop => Action::Drop,
        Verdict::Abort => Action::Abort,
    };
    Outcome::Ended(action, reason)
}

/// Everything in front of commit: changes nothing but `work`.
#[inline(always)]
fn decide<P: Packet, T: Tables, S: State>(
    packet: &P,
    tables: &T,
    state: &mut S,
    work: &mut Work,
) -> Result<(), Reason> {
    frame::parse(packet, &mut work.frame)?;
    let generation = tables.generation(work.half).ok_or(Reason::Internal)?;
    match classify::classify(tables, work.half, generation, &tables.nat(), &work.frame)? {
        Class::Query(listener) => {
            work.subject.listener = listener;
            query::plan(packet, tables, state, work, generation)
        }
        Class::Reply => reply::plan(packet, tables, state, work),
        Class::Direct(backend) => direct::plan(packet, work, backend),
    }
}
