//! The queries of the comparison side by side, as frames. Programs and generator have this file in common.
//!
//! All frames are alike but for the client's address and port, the ID, and three digits of the name. Which these are
//! follows from two numbers, the client's and the name's, so that an answer tells by itself whether it is right.
//! Sums for checksums are of words as they stand in memory (RFC 1071 §2 B). Here is what is in the maps, too.

use dproxy_common::wire::Macs;

/// Octets of a frame.
pub const LENGTH: usize = 91;
/// Of these, what is written anew for each query: the others are never changed.
pub const WORDS: usize = LENGTH / 8;
/// Names that are asked for: `www000` to `www999`, below the zone.
pub const NAMES: u32 = 1000;
/// Clients, at most.
pub const MOST_CLIENTS: u32 = 1 << 20;
/// The first client's address, 198.18.0.0 (RFC 2544), and how many clients have the same one.
pub const FIRST_ADDRESS: u32 = 0xc612_0000;
const CLIENTS_BEHIND: u32 = 256;
/// The first client's port.
pub const FIRST_PORT: u16 = 20_000;

/// Where things are in a frame.
pub const ETHERTYPE: usize = 12;
/// The IPv4 header.
pub const IP: usize = 14;
/// Its protocol.
pub const PROTOCOL: usize = IP + 9;
/// Its checksum.
pub const IP_CHECKSUM: usize = IP + 10;
/// Its source address.
pub const SOURCE: usize = IP + 12;
/// Its destination address.
pub const DESTINATION: usize = IP + 16;
/// The UDP header, its source port first.
pub const UDP: usize = IP + 20;
/// Its destination port.
pub const DESTINATION_PORT: usize = UDP + 2;
/// Its checksum.
pub const UDP_CHECKSUM: usize = UDP + 6;
/// The DNS header, its ID first.
pub const DNS: usize = UDP + 8;
/// Its flags.
pub const FLAGS: usize = DNS + 2;
/// Its counts, four of them.
pub const COUNTS: usize = DNS + 4;
/// The question, which begins with `6www`.
pub const QUESTION: usize = DNS + 12;
/// The digits in it; behind the third is the length of the next label.
pub const DIGITS: usize = QUESTION + 4;
/// The length of the label behind the digits.
pub const NEXT_LABEL: u8 = 5;

/// A query, with all that varies set to zero, and sums of what does not vary.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Template {
    /// Its first octets.
    pub words: [u64; WORDS],
    /// Of the IP header.
    pub ip_sum: u32,
    /// Of the pseudo header, the UDP header and the message.
    pub udp_sum: u32,
}

/// What the programs are told.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Settings {
    /// How many clients ask.
    pub clients: u32,
    /// Whether to send nothing more.
    pub stop: u32,
    /// Whether queries are timed.
    pub timed: u32,
    /// What the backend sets in the flags word of a query.
    pub mark: u16,
    /// What the backend adds to the ID: nothing, but to see that it is noticed.
    pub id: u16,
}

/// What was seen on one processor.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Counts {
    /// Queries sent by the program.
    pub sent: u64,
    /// Right answers.
    pub right: u64,
    /// Answers that bear another ID than that of their client and name.
    pub wrong_id: u64,
    /// Answers without the backend's mark, or with other flags.
    pub wrong_flags: u64,
    /// Answers to another question.
    pub wrong_question: u64,
    /// Answers whose UDP checksum is not that of a right one.
    pub wrong_checksum: u64,
    /// Where queries are timed, answers that nobody waited for.
    pub unexpected: u64,
}

/// As many queries as may wait where they are timed: by client.
pub const TIMED_CLIENTS: u32 = 1 << 16;

/// Where a frame goes that crosses the bare balancer.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Crossing {
    /// The address that takes the other one's place, as it stands in memory.
    pub address: u32,
    /// The interface that it leaves by.
    pub interface: u32,
    /// Receiver and sender.
    pub macs: Macs,
}

/// Who asks for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query {
    /// The client's number.
    pub client: u32,
    /// The name's.
    pub name: u32,
}

impl Query {
    /// The query of a number, of so many clients, in an order that no cache foresees.
    #[inline(always)]
    pub const fn random(number: u64, clients: u32) -> Self {
        let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed ^ mixed >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93);
        let client = ((mixed >> 32) * clients as u64) >> 32;
        let name = ((mixed & 0xffff_ffff) * NAMES as u64) >> 32;
        Self { client: client as u32, name: name as u32 }
    }

    /// The client's address, as it stands in memory.
    #[inline(always)]
    pub const fn address(self) -> u32 {
        (FIRST_ADDRESS + self.client / CLIENTS_BEHIND).to_be()
    }

    /// The client's port, as it stands in memory.
    #[inline(always)]
    pub const fn port(self) -> u16 {
        (FIRST_PORT + (self.client % CLIENTS_BEHIND) as u16).to_be()
    }

    /// The number of the client that has this address and port; `None` if none has.
    #[inline(always)]
    pub const fn client_of(address: u32, port: u16) -> Option<u32> {
        let number = u32::from_be(address).wrapping_sub(FIRST_ADDRESS);
        let port = u16::from_be(port).wrapping_sub(FIRST_PORT) as u32;
        if number < MOST_CLIENTS / CLIENTS_BEHIND && port < CLIENTS_BEHIND {
            Some(number * CLIENTS_BEHIND + port)
        } else {
            None
        }
    }

    /// The ID, as it stands in memory.
    #[inline(always)]
    pub const fn id(self) -> u16 {
        let mixed = self.client.wrapping_mul(0x9e37_79b1) ^ self.name.wrapping_mul(0x85eb_ca6b);
        (mixed >> 16) as u16
    }

    /// The digits of the name, as two words: the second ends with the next label's length.
    #[inline(always)]
    pub const fn digits(self) -> [u16; 2] {
        [
            u16::from_ne_bytes([b'0' + (self.name / 100) as u8, b'0' + (self.name / 10 % 10) as u8]),
            u16::from_ne_bytes([b'0' + (self.name % 10) as u8, NEXT_LABEL]),
        ]
    }

    /// The number of the name with these digits; meaningless if they are none.
    #[inline(always)]
    pub const fn name_of(digits: [u16; 2]) -> u32 {
        let [hundreds, tens] = digits[0].to_ne_bytes();
        let [ones, _] = digits[1].to_ne_bytes();
        hundreds.wrapping_sub(b'0') as u32 * 100
            + tens.wrapping_sub(b'0') as u32 * 10
            + ones.wrapping_sub(b'0') as u32
    }

    /// What it adds to a template's `udp_sum`.
    #[inline(always)]
    pub const fn sum(self) -> u32 {
        let [first, second] = self.digits();
        let words = self.port() as u32 + self.id() as u32 + first as u32 + second as u32;
        sum_of_address(self.address()) + words
    }
}

/// The sum of an address's words.
#[inline(always)]
pub const fn sum_of_address(address: u32) -> u32 {
    (address & 0xffff) + (address >> 16)
}

/// The checksum of what adds up to this.
#[inline(always)]
pub const fn checksum(sum: u32) -> u16 {
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    !(sum as u16)
}

/// The same for UDP, where zero means that there is none (RFC 768).
#[inline(always)]
pub const fn udp_checksum(sum: u32) -> u16 {
    match checksum(sum) {
        0 => 0xffff,
        checksum => checksum,
    }
}

impl Template {
    /// Makes the query in a frame.
    ///
    /// # Safety
    /// The pointer is to a frame of [`LENGTH`] octets that this program may write to.
    #[inline(always)]
    pub unsafe fn write(&self, frame: *mut u8, query: Query) {
        let [first, second] = query.digits();
        let address = query.address();
        // SAFETY: inside of the frame, as the caller promises.
        unsafe {
            for (place, word) in self.words.iter().enumerate() {
                put(frame, 8 * place, *word);
            }
            put(frame, IP_CHECKSUM, checksum(self.ip_sum + sum_of_address(address)));
            put(frame, SOURCE, address);
            put(frame, UDP, query.port());
            put(frame, UDP_CHECKSUM, udp_checksum(self.udp_sum + query.sum()));
            put(frame, DNS, query.id());
            put(frame, DIGITS, first);
            put(frame, DIGITS + 2, second);
        }
    }
}

/// Writes a field.
///
/// # Safety
/// The frame is that long.
#[inline(always)]
unsafe fn put<T>(frame: *mut u8, offset: usize, value: T) {
    // SAFETY: as the caller promises.
    unsafe {
        let place = frame.add(offset).cast::<T>();
        // LLVM splits what may be unaligned into single octets for BPF, where the kernel takes it as it is.
        if cfg!(target_arch = "bpf") { *place = value } else { place.write_unaligned(value) }
    }
}
