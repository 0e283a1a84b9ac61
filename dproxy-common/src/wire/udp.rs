use super::Be16;

/// UDP header (RFC 768). Its first two fields are also the first two of TCP.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UdpHeader {
    /// Source port.
    pub source: Be16,
    /// Destination port.
    pub destination: Be16,
    /// Octets of header and payload.
    pub length: Be16,
    /// Checksum, raw; 0 means absent (IPv4 only).
    pub checksum: u16,
}
