use super::Be16;

/// UDP header (RFC 768), in one word. Its first two fields are also the first two of TCP.
#[repr(transparent)]
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct UdpHeader(u64);

impl UdpHeader {
    /// From its fields; the checksum raw.
    #[inline(always)]
    pub const fn new(source: Be16, destination: Be16, length: Be16, checksum: u16) -> Self {
        Self(
            source.raw() as u64
                | (destination.raw() as u64) << 16
                | (length.raw() as u64) << 32
                | (checksum as u64) << 48,
        )
    }

    /// Source port.
    #[inline(always)]
    pub const fn source(self) -> Be16 {
        Be16::from_raw(self.0 as u16)
    }

    /// Destination port.
    #[inline(always)]
    pub const fn destination(self) -> Be16 {
        Be16::from_raw((self.0 >> 16) as u16)
    }

    /// Octets of header and payload.
    #[inline(always)]
    pub const fn length(self) -> Be16 {
        Be16::from_raw((self.0 >> 32) as u16)
    }

    /// Checksum, raw; 0 means absent (IPv4 only).
    #[inline(always)]
    pub const fn checksum(self) -> u16 {
        (self.0 >> 48) as u16
    }

    /// Both ports, as the header's first word, for checksums.
    #[inline(always)]
    pub const fn ports(self) -> u32 {
        self.0 as u32
    }
}

impl core::fmt::Debug for UdpHeader {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("UdpHeader")
            .field("source", &self.source())
            .field("destination", &self.destination())
            .field("length", &self.length())
            .field("checksum", &self.checksum())
            .finish()
    }
}
