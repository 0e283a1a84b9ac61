//! The one place with pointers into a packet.

use core::intrinsics::is_val_statically_known;

use aya_ebpf::{
    bindings::xdp_md,
    helpers::{bpf_xdp_adjust_head, bpf_xdp_adjust_tail},
    programs::XdpContext,
};
use dproxy_common::{
    explain::Explain,
    packet::{MAX_OFFSET, Packet, ResizeRefused},
    wire::Wire,
};

/// The packet of one program run.
pub struct Xdp {
    ctx: *mut xdp_md,
}

/// Reads a field of the context. The kernel turns such a read of 32 bits into one of a whole pointer.
///
/// VERIFIER: volatile, or LLVM hands the 32 bits on to functions in place of the context, and what comes out
/// is no pointer ("R1 invalid mem access 'scalar'").
macro_rules! field {
    ($packet:expr, $name:ident) => {
        // SAFETY: the context is valid as long as the program runs.
        unsafe { (&raw const (*$packet.ctx).$name).read_volatile() }
    };
}

impl Xdp {
    /// The packet of this run.
    pub fn new(ctx: &XdpContext) -> Self {
        Self { ctx: ctx.ctx }
    }

    #[inline(always)]
    fn data(&self) -> usize {
        field!(self, data) as usize
    }

    #[inline(always)]
    fn data_end(&self) -> usize {
        field!(self, data_end) as usize
    }

    /// A pointer to a `T` inside the packet. Good until the packet is resized, so it is used at once.
    ///
    /// VERIFIER: `data` and `data_end` are read from the context each time; pointers kept across a
    /// loop have a range of their own for each exit of the loop, and states do not merge.
    ///
    /// VERIFIER: what is compared must be the register that is used. Left alone, LLVM compares one sum
    /// and adds up another ("R8 offset is outside of the packet"), hence [`opaque`].
    #[inline(always)]
    fn at<T>(&self, offset: usize) -> Option<*mut T> {
        let offset = if is_val_statically_known(offset) { offset } else { opaque(offset) };
        if offset > MAX_OFFSET {
            return None;
        }
        let start = opaque(self.data() + offset);
        (start + size_of::<T>() <= self.data_end()).then_some(start as *mut T)
    }

    /// The generation asked about, if this packet is only to be explained.
    #[inline(always)]
    pub fn explain_request(&self, key: u64) -> Option<u64> {
        let request = self.metadata()?;
        // SAFETY: `metadata` has checked that it lies in front of the packet's first octet.
        let Explain { key: theirs, generation, .. } = unsafe { request.read() };
        (theirs == key).then_some(generation)
    }

    /// Puts an explanation where the request was.
    #[inline(always)]
    pub fn write_explanation(&mut self, explanation: Explain) {
        if let Some(place) = self.metadata() {
            // SAFETY: as above.
            unsafe { place.write(explanation) }
        }
    }

    #[inline(always)]
    fn metadata(&self) -> Option<*mut Explain> {
        let start = field!(self, data_meta) as usize;
        (start + size_of::<Explain>() <= self.data()).then_some(start as *mut Explain)
    }
}

/// The same value, of which the compiler knows nothing.
///
/// A move to itself rather than no instruction, for which LLVM emits line information that the kernel
/// refuses ("Invalid line_info").
#[inline(always)]
pub fn opaque(mut value: usize) -> usize {
    // SAFETY: changes nothing.
    unsafe { core::arch::asm!("{0} = {0}", inout(reg) value, options(pure, nomem, nostack)) }
    value
}

impl Packet for Xdp {
    #[inline(always)]
    fn load<T: Wire>(&self, offset: usize) -> Option<T> {
        // SAFETY: `at` has checked the bounds, and any bit pattern is a `T`. That the pointer may be
        // unaligned is known to the kernel, which allows it where the processor does; LLVM uses
        // the alignment only to choose the width of the access (see `dproxy_common::wire`).
        self.at::<T>(offset).map(|place| unsafe { *place })
    }

    #[inline(always)]
    fn store<T: Wire>(&mut self, offset: usize, value: T) -> Option<()> {
        // SAFETY: as in `load`.
        self.at::<T>(offset).map(|place| unsafe { *place = value })
    }

    #[inline(always)]
    fn length(&self) -> usize {
        self.data_end() - self.data()
    }

    #[inline(always)]
    fn grow_head(&mut self, octets: isize) -> Result<(), ResizeRefused> {
        // SAFETY: the context is this run's; no pointer into the packet is kept.
        match unsafe { bpf_xdp_adjust_head(self.ctx, -octets as i32) } {
            0 => Ok(()),
            _ => Err(ResizeRefused),
        }
    }

    #[inline(always)]
    fn truncate(&mut self, length: usize) -> Result<(), ResizeRefused> {
        let change = length as i32 - self.length() as i32;
        if change == 0 {
            return Ok(());
        }
        // SAFETY: as in `grow_head`.
        match unsafe { bpf_xdp_adjust_tail(self.ctx, change) } {
            0 => Ok(()),
            _ => Err(ResizeRefused),
        }
    }

    #[inline(always)]
    fn interface(&self) -> u32 {
        field!(self, ingress_ifindex)
    }
}
