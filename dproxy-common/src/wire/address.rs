//! Addresses of both families and of the link, in network order.

/// IP version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// `::ffff:0:0/96` (RFC 4291 §2.5.5.2), as the low 32 bits of the second half in memory order.
const MAPPED: u64 = u64::from_le_bytes([0, 0, 0xff, 0xff, 0, 0, 0, 0]);
const MAPPED_MASK: u64 = u64::from_le_bytes([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);

/// An IPv4 or IPv6 address; IPv4 is kept IPv4-mapped.
///
/// The mapped form has a useful property: its prefix adds up to zero in one's complement, so an
/// Internet checksum over the 16 octets equals the checksum over the 4.
///
/// The two halves hold the octets in memory order. dproxy runs on little-endian machines only.
#[repr(C)]
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    /// Octets 0 to 7.
    pub high: u64,
    /// Octets 8 to 15.
    pub low: u64,
}

impl Address {
    /// From an IPv4 address as it stands in a header.
    #[inline(always)]
    pub const fn from_ipv4_raw(raw: u32) -> Self {
        Self { high: 0, low: MAPPED | (raw as u64) << 32 }
    }

    /// The IPv4 address as it stands in a header; meaningless for IPv6.
    #[inline(always)]
    pub const fn ipv4_raw(self) -> u32 {
        (self.low >> 32) as u32
    }

    /// From 16 octets in network order.
    pub const fn from_octets(octets: [u8; 16]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = octets;
        Self {
            high: u64::from_le_bytes([a, b, c, d, e, f, g, h]),
            low: u64::from_le_bytes([i, j, k, l, m, n, o, p]),
        }
    }

    /// As 16 octets in network order.
    pub const fn octets(self) -> [u8; 16] {
        let [a, b, c, d, e, f, g, h] = self.high.to_le_bytes();
        let [i, j, k, l, m, n, o, p] = self.low.to_le_bytes();
        [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]
    }

    /// Which family the address belongs to.
    #[inline(always)]
    pub const fn family(self) -> Family {
        if self.high == 0 && self.low & MAPPED_MASK == MAPPED { Family::V4 } else { Family::V6 }
    }

    /// Can this be the source of a query that deserves a response? Not loopback, multicast,
    /// broadcast, unspecified or 0.0.0.0/8 (RFC 6890).
    #[inline(always)]
    pub const fn can_be_answered(self) -> bool {
        match self.family() {
            Family::V4 => {
                let first = (self.low >> 32) as u8;
                first != 0 && first != 127 && first < 224
            }
            Family::V6 => {
                let multicast = self.high as u8 == 0xff;
                // ::/96 holds the unspecified address, loopback and the deprecated
                // IPv4-compatible addresses.
                let low96 = self.high == 0 && self.low & MAPPED_MASK == 0;
                !multicast && !low96
            }
        }
    }
}

impl From<core::net::IpAddr> for Address {
    fn from(address: core::net::IpAddr) -> Self {
        Self::from_octets(match address {
            core::net::IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
            core::net::IpAddr::V6(v6) => v6.octets(),
        })
    }
}

impl From<Address> for core::net::IpAddr {
    fn from(address: Address) -> Self {
        let v6 = core::net::Ipv6Addr::from(address.octets());
        match address.family() {
            Family::V4 => v6.to_ipv4_mapped().map_or(Self::V6(v6), Self::V4),
            Family::V6 => Self::V6(v6),
        }
    }
}

impl core::fmt::Debug for Address {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        core::fmt::Display::fmt(&core::net::IpAddr::from(*self), f)
    }
}

/// A link-layer address.
///
/// Three 16-bit words, because a frame is 2-aligned at best (see the module's note on alignment).
#[repr(C)]
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mac([u16; 3]);

impl Mac {
    /// From octets in transmission order.
    pub const fn from_octets(octets: [u8; 6]) -> Self {
        let [a, b, c, d, e, f] = octets;
        Self([u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]), u16::from_le_bytes([e, f])])
    }

    /// Multicast or broadcast.
    #[inline(always)]
    pub const fn is_group(self) -> bool {
        // The lowest bit of the first octet, which is the lower half of the first word.
        self.0[0] & 1 != 0
    }

    /// As octets in transmission order.
    pub const fn octets(self) -> [u8; 6] {
        let [x, y, z] = self.0;
        let ([a, b], [c, d], [e, f]) = (x.to_le_bytes(), y.to_le_bytes(), z.to_le_bytes());
        [a, b, c, d, e, f]
    }
}

impl core::fmt::Debug for Mac {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let [a, b, c, d, e, g] = self.octets();
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::IpAddr;

    #[test]
    fn addresses_survive_the_round_trip() {
        for text in ["192.0.2.1", "2001:db8::1", "::", "::1", "255.255.255.255", "fe80::1"] {
            let ip: IpAddr = text.parse().unwrap();
            assert_eq!(IpAddr::from(Address::from(ip)), ip, "{text}");
            assert_eq!(Address::from(ip).family() == Family::V4, ip.is_ipv4(), "{text}");
        }
        assert_eq!(
            Address::from_ipv4_raw(u32::from_le_bytes([192, 0, 2, 1])),
            "192.0.2.1".parse::<IpAddr>().unwrap().into()
        );
    }

    #[test]
    fn who_can_be_answered() {
        for (text, yes) in [
            ("192.0.2.1", true),
            ("10.0.0.1", true),
            ("223.255.255.255", true),
            ("0.0.0.0", false),
            ("0.1.2.3", false),
            ("127.0.0.1", false),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
            ("240.0.0.1", false),
            ("2001:db8::1", true),
            ("fe80::1", true),
            ("fd00::1", true),
            ("::", false),
            ("::1", false),
            ("::192.0.2.1", false),
            ("ff02::1", false),
        ] {
            let ip: IpAddr = text.parse().unwrap();
            assert_eq!(Address::from(ip).can_be_answered(), yes, "{text}");
        }
    }
}
