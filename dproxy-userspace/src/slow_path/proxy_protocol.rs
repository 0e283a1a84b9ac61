//! The PROXY protocol, version 2: who asked, in front of what was asked.
//!
//! haproxy's `proxy-protocol.txt`, §2.2. Over TCP the header comes first on a connection, over UDP in
//! each datagram.

use std::net::SocketAddr;

/// Octets that begin every header.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Version 2, command PROXY.
const VERSION_AND_COMMAND: u8 = 0x21;

/// Appends the header for a query from `client` to `listener`. Both are of one IP version.
pub(super) fn write(client: SocketAddr, listener: SocketAddr, over_tcp: bool, out: &mut Vec<u8>) {
    let transport = if over_tcp { 1 } else { 2 };
    out.extend_from_slice(&SIGNATURE);
    out.push(VERSION_AND_COMMAND);
    match (client, listener) {
        (SocketAddr::V4(client), SocketAddr::V4(listener)) => {
            out.push(0x10 | transport);
            out.extend_from_slice(&12u16.to_be_bytes());
            out.extend_from_slice(&client.ip().octets());
            out.extend_from_slice(&listener.ip().octets());
        }
        (client, listener) => {
            let octets = |address: SocketAddr| match address {
                SocketAddr::V4(v4) => v4.ip().to_ipv6_mapped().octets(),
                SocketAddr::V6(v6) => v6.ip().octets(),
            };
            out.push(0x20 | transport);
            out.extend_from_slice(&36u16.to_be_bytes());
            out.extend_from_slice(&octets(client));
            out.extend_from_slice(&octets(listener));
        }
    }
    out.extend_from_slice(&client.port().to_be_bytes());
    out.extend_from_slice(&listener.port().to_be_bytes());
}

/// What is behind a header, if there is one.
pub(super) fn skip(datagram: &[u8]) -> &[u8] {
    if !datagram.starts_with(&SIGNATURE) {
        return datagram;
    }
    let length =
        datagram.get(14..16).map_or(0, |length| usize::from(u16::from_be_bytes([length[0], length[1]])));
    datagram.get(16 + length..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(client: &str, listener: &str, over_tcp: bool) -> Vec<u8> {
        let mut out = Vec::new();
        write(client.parse().unwrap(), listener.parse().unwrap(), over_tcp, &mut out);
        out
    }

    #[test]
    fn ipv4_takes_28_octets() {
        let header = header("192.0.2.1:4660", "198.51.100.53:53", false);
        assert_eq!(header[..12], [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a]);
        assert_eq!(header[12..16], [0x21, 0x12, 0, 12]);
        assert_eq!(header[16..], [192, 0, 2, 1, 198, 51, 100, 53, 0x12, 0x34, 0, 53]);
        assert_eq!(skip(&[&header[..], b"rest"].concat()), b"rest");
        assert_eq!((skip(&header[..20]), skip(b"no header")), (&[][..], &b"no header"[..]));
    }

    #[test]
    fn ipv6_takes_52_octets() {
        let header = header("[2001:db8::1]:1", "[2001:db8::53]:53", true);
        assert_eq!(header[12..16], [0x21, 0x21, 0, 36]);
        assert_eq!(header.len(), 52);
        assert_eq!((header[16..18].to_vec(), header[31], header[47]), (vec![0x20, 0x01], 1, 0x53));
    }
}
