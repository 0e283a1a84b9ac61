//! The smallest XDP program, which passes every packet.

use anyhow::Result;

use super::Attached;
use super::instruction::{Instruction, Operation, Register, compute, exit};
use crate::Namespace;

const XDP_PASS: i32 = 2;
const PROGRAM: [Instruction; 2] = [compute(Operation::Move, Register::R0, XDP_PASS), exit()];

/// An attached XDP_PASS program; detached on drop.
///
/// A frame that native XDP sends out of a veth arrives only if the *peer* has an XDP program too:
/// this one.
#[derive(Debug)]
pub struct XdpPass {
    _attached: Attached,
}

impl XdpPass {
    /// Attaches the program to `interface`, in native mode.
    pub fn attach(namespace: &Namespace, interface: &str) -> Result<Self> {
        Ok(Self { _attached: Attached::attach(namespace, interface, &PROGRAM)? })
    }
}
