//! The few BPF instructions that our programs are made of (RFC 9669).

/// One instruction, as struct bpf_insn has it: code, registers, offset, immediate.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Instruction {
    code: u8,
    registers: u8,
    offset: i16,
    immediate: i32,
}

/// A register. `R0` is the return value, `R1` the argument; all of them are lost by a call, of which we
/// have none.
#[derive(Debug, Clone, Copy)]
#[repr(u8)]
pub(super) enum Register {
    R0,
    R1,
    R2,
    R3,
    R4,
    R5,
    R6,
}

/// How much of memory is read or written (RFC 9669 §5).
#[derive(Debug, Clone, Copy)]
#[repr(u8)]
pub(super) enum Size {
    U8 = 0x10,
    U16 = 0x08,
    U32 = 0x00,
}

/// RFC 9669 §4.1: 64-bit arithmetic, and what it does.
#[derive(Debug, Clone, Copy)]
#[repr(u8)]
pub(super) enum Operation {
    Add = 0x00,
    Or = 0x40,
    And = 0x50,
    ShiftRight = 0x70,
    Xor = 0xa0,
    Move = 0xb0,
}

/// RFC 9669 §4.3: when a jump is taken; comparison is unsigned.
#[derive(Debug, Clone, Copy)]
#[repr(u8)]
pub(super) enum Condition {
    Equal = 0x10,
    Greater = 0x20,
    AnyBit = 0x40,
    NotEqual = 0x50,
}

const ALU64: u8 = 0x07;
const JMP: u8 = 0x05;
const LDX_MEM: u8 = 0x61;
const STX_MEM: u8 = 0x63;
/// The second operand is a register, not the immediate.
const REGISTER: u8 = 0x08;
const EXIT: u8 = 0x95;

/// `to = to <operation> value`.
pub(super) const fn compute(operation: Operation, to: Register, value: i32) -> Instruction {
    Instruction { code: ALU64 | operation as u8, registers: to as u8, offset: 0, immediate: value }
}

/// `to = to <operation> from`.
pub(super) const fn compute_by(operation: Operation, to: Register, from: Register) -> Instruction {
    let code = ALU64 | REGISTER | operation as u8;
    Instruction { code, registers: pair(to, from), offset: 0, immediate: 0 }
}

/// `to = *(base + offset)`.
pub(super) const fn load(size: Size, to: Register, base: Register, offset: i16) -> Instruction {
    Instruction { code: LDX_MEM | size as u8, registers: pair(to, base), offset, immediate: 0 }
}

/// `*(base + offset) = from`.
pub(super) const fn store(size: Size, base: Register, offset: i16, from: Register) -> Instruction {
    Instruction { code: STX_MEM | size as u8, registers: pair(base, from), offset, immediate: 0 }
}

/// Skips `skipped` instructions if `<register> <condition> value`.
pub(super) const fn jump(condition: Condition, register: Register, value: i32, skipped: i16) -> Instruction {
    Instruction { code: JMP | condition as u8, registers: register as u8, offset: skipped, immediate: value }
}

/// Skips `skipped` instructions if `<register> <condition> <other>`.
pub(super) const fn jump_by(
    condition: Condition,
    register: Register,
    other: Register,
    skipped: i16,
) -> Instruction {
    let code = JMP | REGISTER | condition as u8;
    Instruction { code, registers: pair(register, other), offset: skipped, immediate: 0 }
}

/// Returns `R0`.
pub(super) const fn exit() -> Instruction {
    Instruction { code: EXIT, registers: 0, offset: 0, immediate: 0 }
}

/// struct bpf_insn has two bit fields here, which lie as the machine's byte order has it.
const fn pair(destination: Register, source: Register) -> u8 {
    if cfg!(target_endian = "little") {
        destination as u8 | (source as u8) << 4
    } else {
        (destination as u8) << 4 | source as u8
    }
}
