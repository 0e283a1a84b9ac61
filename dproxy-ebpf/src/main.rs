//! The XDP program of dproxy, and its companion at TC egress. See `dproxy_common::pipeline` and
//! `dproxy_common::egress` for what they do; here is only what the kernel needs to do it.
//!
//! On other targets than BPF the crate is empty, so that workspace-wide commands can include it.

#![cfg_attr(target_arch = "bpf", no_std, no_main)]
// The BPF target declares no compare-and-exchange, although the instruction set has one since v3;
// the intrinsics reach it. The inline assembly is empty: a barrier for the compiler.
#![cfg_attr(target_arch = "bpf", feature(core_intrinsics, asm_experimental_arch))]
#![cfg_attr(target_arch = "bpf", expect(internal_features, reason = "see above"))]

#[cfg(target_arch = "bpf")]
mod counters;
#[cfg(target_arch = "bpf")]
mod log;
#[cfg(target_arch = "bpf")]
mod maps;
#[cfg(target_arch = "bpf")]
mod packet;
#[cfg(target_arch = "bpf")]
mod skb;
#[cfg(target_arch = "bpf")]
mod table;

#[cfg(target_arch = "bpf")]
mod program {
    use aya_ebpf::{
        bindings::{
            TC_ACT_SHOT, TC_ACT_UNSPEC,
            xdp_action::{XDP_ABORTED, XDP_DROP, XDP_PASS, XDP_REDIRECT, XDP_TX},
        },
        helpers::bpf_redirect,
        macros::{classifier, xdp},
        programs::{TcContext, XdpContext},
    };
    use dproxy_common::{
        egress,
        packet::Packet as _,
        pipeline::{self, Action, Outcome},
        reason::Reason,
        tables::{State as _, Tables as _},
    };

    use crate::{
        log,
        maps::{self, Maps, PREDECESSOR, PerPacket},
        packet::Xdp,
        skb::Skb,
    };

    /// Routes DNS queries and brings back the replies.
    #[xdp]
    #[inline(always)]
    pub fn dproxy(ctx: XdpContext) -> u32 {
        #[cfg(feature = "changed-program")]
        core::hint::black_box(ctx.data_end() - ctx.data());
        let mut packet = Xdp::new(&ctx);
        let active = Maps.active();
        let asked = packet.explain_request(Maps.explain_key());
        if asked.is_none() && active == 0 {
            // Until a generation is in force, the program before this one goes on, if there is one.
            // SAFETY: the context is this program's.
            unsafe { PREDECESSOR.tail_call(&ctx, 0) };
            return XDP_PASS;
        }
        let generation = asked.filter(|number| *number != 0).unwrap_or(active);
        let (Some(work), Some(mut state)) = (maps::work(), PerPacket::here()) else { return XDP_ABORTED };
        let (action, reason) =
            match pipeline::run(&mut packet, &Maps, &mut state, work, generation, asked.is_some()) {
                Outcome::Ended(action, reason) => (action, reason),
                Outcome::Explained(explanation) => {
                    packet.write_explanation(explanation);
                    return XDP_PASS;
                }
            };
        log::ended(&packet, reason, &work.subject, || (work.frame.network.source, work.frame.udp.source()));
        match action {
            Action::Pass => XDP_PASS,
            Action::AskPredecessor => {
                // It does not come back, unless there is none.
                // SAFETY: the context is this program's.
                unsafe { PREDECESSOR.tail_call(&ctx, 0) };
                XDP_PASS
            }
            Action::Drop => XDP_DROP,
            Action::Abort => XDP_ABORTED,
            Action::Send(interface) if interface == packet.interface() => XDP_TX,
            Action::Send(interface) => {
                // SAFETY: a helper call without pointers.
                match unsafe { bpf_redirect(interface, 0) } {
                    sent if sent == i64::from(XDP_REDIRECT) => XDP_REDIRECT,
                    _ => XDP_ABORTED,
                }
            }
        }
    }

    /// Makes the replies of backends on this host come from the listener that was asked. Whatever else leaves
    /// is not touched, nor counted.
    #[classifier]
    pub fn dproxy_egress(ctx: TcContext) -> i32 {
        let mut packet = Skb::new(ctx);
        let Some(mut state) = PerPacket::here() else { return TC_ACT_UNSPEC };
        let Some(restoration) = egress::plan(&packet, &Maps, &mut state) else { return TC_ACT_UNSPEC };
        state.count_received();
        let (reason, action) = match packet.restore(&restoration) {
            Some(()) => (Reason::ReplyDelivered, TC_ACT_UNSPEC),
            None => (Reason::Internal, TC_ACT_SHOT),
        };
        state.count(reason, &restoration.subject);
        log::ended(&packet, reason, &restoration.subject, || (restoration.address, restoration.port));
        action
    }

    /// Passes every packet. For the far end of a veth whose near end sends by XDP: the kernel delivers
    /// such frames only to an end that has a program.
    #[xdp]
    pub fn pass(_ctx: XdpContext) -> u32 {
        XDP_PASS
    }

    #[panic_handler]
    fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
        // Nothing here can panic; if something could, the verifier would refuse this loop.
        loop {}
    }

    #[unsafe(link_section = "license")]
    #[unsafe(no_mangle)]
    static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
}

#[cfg(not(target_arch = "bpf"))]
fn main() {}
