//! The packet path outside of the kernel: a packet in a vector, and state in memory.
//!
//! For tests, and for userspace that has to know what the kernel would do.

extern crate std;

use std::collections::BTreeMap;
use std::vec;
use std::vec::Vec;

use crate::{
    abi::{CHUNK, Cursor, DIRECT_QUERIES, DirectQuery, Slot, SlotWord, Subject},
    packet::{MAX_OFFSET, Packet, ResizeRefused},
    reason::{Reason, Verdict},
    tables::State,
    wire::Wire,
};

/// Room that drivers leave in front of a frame (`XDP_PACKET_HEADROOM`).
pub const HEADROOM: usize = 256;

/// A frame in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPacket {
    buffer: Vec<u8>,
    begin: usize,
    interface: u32,
}

impl HostPacket {
    /// A frame received from an interface.
    pub fn new(frame: &[u8], interface: u32) -> Self {
        let mut buffer = vec![0; HEADROOM];
        buffer.extend_from_slice(frame);
        Self { buffer, begin: HEADROOM, interface }
    }

    /// The frame as it is now.
    pub fn frame(&self) -> &[u8] {
        &self.buffer[self.begin..]
    }

    fn range(&self, offset: usize, length: usize) -> Option<core::ops::Range<usize>> {
        if offset > MAX_OFFSET || offset + length > self.length() {
            return None;
        }
        Some(self.begin + offset..self.begin + offset + length)
    }
}

impl Packet for HostPacket {
    fn load<T: Wire>(&self, offset: usize) -> Option<T> {
        let octets = &self.buffer[self.range(offset, size_of::<T>())?];
        // SAFETY: the slice has as many octets as a `T`, and any bit pattern is one.
        Some(unsafe { octets.as_ptr().cast::<T>().read_unaligned() })
    }

    fn store<T: Wire>(&mut self, offset: usize, value: T) -> Option<()> {
        let range = self.range(offset, size_of::<T>())?;
        // SAFETY: the slice has as many octets as a `T`.
        unsafe { self.buffer[range].as_mut_ptr().cast::<T>().write_unaligned(value) };
        Some(())
    }

    fn length(&self) -> usize {
        self.buffer.len() - self.begin
    }

    fn grow_head(&mut self, octets: isize) -> Result<(), ResizeRefused> {
        self.begin = self.begin.checked_add_signed(-octets).ok_or(ResizeRefused)?;
        Ok(())
    }

    fn truncate(&mut self, length: usize) -> Result<(), ResizeRefused> {
        self.buffer.truncate(self.begin + length);
        Ok(())
    }

    fn interface(&self) -> u32 {
        self.interface
    }
}

/// What one processor changes.
#[derive(Clone, Debug)]
pub struct HostState {
    /// The ring.
    pub slots: Vec<Slot>,
    /// The processor's cursor.
    pub cursor: Cursor,
    /// The first slot of the next chunk.
    pub next_chunk: u64,
    /// Queries straight to backends on this host, and when they came.
    pub direct: BTreeMap<DirectQuery, u32>,
    /// The clock.
    pub ticks: u32,
    /// The fine clock.
    pub units: u32,
    /// By backend and bucket, how many replies took so long.
    pub latencies: BTreeMap<(u16, u32), u64>,
    /// Packets that came in.
    pub received: u64,
    /// How packets ended, in order.
    pub ended: Vec<(Reason, Subject)>,
    /// Slots taken while their query still waited.
    pub overwritten: u64,
}

impl HostState {
    /// A ring of 2 to the power `slot_bits` slots, and a random seed other than 0.
    pub fn new(slot_bits: u32, seed: u64) -> Self {
        Self {
            slots: vec![Slot::default(); 1 << slot_bits],
            cursor: Cursor { random: seed, next: 0 },
            next_chunk: 0,
            direct: BTreeMap::new(),
            ticks: 0,
            units: 0,
            latencies: BTreeMap::new(),
            received: 0,
            ended: Vec::new(),
            overwritten: 0,
        }
    }
}

impl State for HostState {
    fn ticks(&self) -> u32 {
        self.ticks
    }

    fn units(&self) -> u32 {
        self.units
    }

    fn cursor(&mut self) -> &mut Cursor {
        &mut self.cursor
    }

    fn turn(&self, pool: u16) -> u32 {
        let counts = |(reason, subject): &&(Reason, Subject)| {
            *reason == Reason::BackendSlowPath || (subject.pool == pool && reason.verdict() != Verdict::Pass)
        };
        self.ended.iter().filter(counts).count() as u32
    }

    fn next_chunk(&self) -> Option<u64> {
        Some(self.next_chunk)
    }

    fn take_chunk(&mut self) -> Option<u64> {
        let first = self.next_chunk;
        self.next_chunk += CHUNK;
        Some(first)
    }

    fn slot(&mut self, index: u32) -> Option<&mut Slot> {
        self.slots.get_mut(index as usize)
    }

    fn publish(place: &mut SlotWord, word: SlotWord) {
        *place = word;
    }

    fn exchange(&mut self, slot: u32, expected: SlotWord, new: SlotWord) -> bool {
        match self.slots.get_mut(slot as usize) {
            Some(slot) if slot.word == expected => {
                slot.word = new;
                true
            }
            Some(_) | None => false,
        }
    }

    fn note_direct(&mut self, query: &DirectQuery) {
        self.direct.insert(*query, self.ticks);
        if self.direct.len() > DIRECT_QUERIES as usize {
            self.direct.pop_first();
        }
    }

    fn take_direct(&mut self, query: &DirectQuery) -> Option<u32> {
        self.direct.remove(query)
    }

    fn count_received(&mut self) {
        self.received += 1;
    }

    fn count(&mut self, reason: Reason, subject: &Subject) {
        self.ended.push((reason, *subject));
    }

    fn count_latency(&mut self, backend: u16, bucket: u32) {
        *self.latencies.entry((backend, bucket)).or_default() += 1;
    }

    fn count_overwritten(&mut self) {
        self.overwritten += 1;
    }
}
