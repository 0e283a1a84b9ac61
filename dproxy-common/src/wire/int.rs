/// A 16-bit number in network byte order.
#[repr(transparent)]
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Be16(u16);

impl Be16 {
    /// From a native number.
    #[inline(always)]
    pub const fn new(value: u16) -> Self {
        Self(value.to_be())
    }

    /// From the two octets as they stand in memory.
    #[inline(always)]
    pub const fn from_raw(raw: u16) -> Self {
        Self(raw)
    }

    /// As a native number.
    #[inline(always)]
    pub const fn get(self) -> u16 {
        u16::from_be(self.0)
    }

    /// The two octets as they stand in memory, for checksums.
    #[inline(always)]
    pub const fn raw(self) -> u16 {
        self.0
    }
}

impl core::fmt::Debug for Be16 {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}", self.get())
    }
}
