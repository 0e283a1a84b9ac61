//! The benchmark's own XDP programs.
//!
//! On other targets than BPF the crate is empty, so that workspace-wide commands can include it.

#![cfg_attr(target_arch = "bpf", no_std, no_main)]
// The BPF target declares no atomic exchange, although the instruction set has one; the intrinsics reach it.
#![cfg_attr(target_arch = "bpf", feature(core_intrinsics))]
#![cfg_attr(target_arch = "bpf", expect(internal_features, reason = "see above"))]

#[cfg(target_arch = "bpf")]
mod frame;
#[cfg(target_arch = "bpf")]
mod repeat;
#[cfg(target_arch = "bpf")]
mod side;

#[cfg(target_arch = "bpf")]
mod program {
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
