use super::Be16;

/// DNS header (RFC 1035 §4.1.1).
///
/// ```text
/// +--+--+--+--+--+--+--+--+--+--+--+--+--+--+--+--+
/// |                      ID                       |
/// +--+--+--+--+--+--+--+--+--+--+--+--+--+--+--+--+
/// |QR|   Opcode  |AA|TC|RD|RA| Z|AD|CD|   RCODE   |
/// +--+--+--+--+--+--+--+--+--+--+--+--+--+--+--+--+
/// |     QDCOUNT, ANCOUNT, NSCOUNT, ARCOUNT        |
/// +--+--+--+--+--+--+--+--+--+--+--+--+--+--+--+--+
/// ```
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DnsHeader {
    /// Query ID, raw.
    pub id: u16,
    /// QR, opcode, AA, TC, RD.
    pub flags_high: u8,
    /// RA, Z, AD, CD, RCODE.
    pub flags_low: u8,
    /// Entries in the question section.
    pub questions: Be16,
    /// Records in the answer section.
    pub answers: Be16,
    /// Records in the authority section.
    pub authorities: Be16,
    /// Records in the additional section.
    pub additionals: Be16,
}

impl DnsHeader {
    /// Is this a response (QR=1)?
    #[inline(always)]
    pub const fn is_response(&self) -> bool {
        self.flags_high & flags::QR != 0
    }

    /// The opcode, 0 (QUERY) to 15.
    #[inline(always)]
    pub const fn opcode(&self) -> u8 {
        (self.flags_high >> 3) & 0x0f
    }

    /// The lower four bits of the response code.
    #[inline(always)]
    pub const fn rcode(&self) -> u8 {
        self.flags_low & 0x0f
    }
}

/// Bits of the two flag octets.
pub mod flags {
    /// Response; first octet.
    pub const QR: u8 = 0x80;
    /// Truncated; first octet.
    pub const TC: u8 = 0x02;
    /// Recursion desired; first octet.
    pub const RD: u8 = 0x01;
    /// Opcode; first octet.
    pub const OPCODE: u8 = 0x78;
    /// Checking disabled; second octet.
    pub const CD: u8 = 0x10;
}

/// Response codes (IANA, DNS RCODEs) that dproxy makes or counts.
pub mod rcode {
    /// No error.
    pub const NOERROR: u8 = 0;
    /// Server failure.
    pub const SERVFAIL: u8 = 2;
    /// Non-existent domain.
    pub const NXDOMAIN: u8 = 3;
    /// Query refused.
    pub const REFUSED: u8 = 5;
}

/// RR type of OPT (RFC 6891 §6.1).
pub const TYPE_OPT: u16 = 41;

/// The OPT pseudo-record of a query, as far as dproxy looks at it (RFC 6891 §6.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Opt {
    /// Where the record begins in the frame: the octet of its root name. 0: there is none.
    pub offset: u32,
    /// The sender's UDP payload size.
    pub udp_size: u16,
    /// EDNS version; only 0 exists.
    pub version: u8,
    /// DNSSEC OK.
    pub dnssec_ok: bool,
}

impl Opt {
    /// Octets of an OPT record without options.
    pub const LENGTH: u32 = 11;
    /// Where in the record the UDP payload size stands.
    pub const UDP_SIZE: u32 = 3;
    /// No OPT record.
    ///
    /// VERIFIER: a value rather than an `Option`, whose empty case leaves its fields unset. The compiler moves
    /// and shifts unset registers where they do not matter, but the verifier minds ("R4 !read_ok", "R2
    /// pointer arithmetic with >>= operator prohibited").
    pub const NONE: Self = Self { offset: 0, udp_size: 0, version: 0, dnssec_ok: false };

    /// Is there a record?
    #[inline(always)]
    pub const fn is_some(&self) -> bool {
        self.offset != 0
    }
}
