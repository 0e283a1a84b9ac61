//! Do ports that the kernel gives to sockets by itself overlap those of forwarded queries?
//!
//! The fast path leaves packets alone that are no replies of ours, so both would work; but a socket and a
//! query in flight with the same port and ID, towards the same server, are confused.

use std::fs;
use std::path::Path;

use crate::config::PortRange;

const IPV4: &str = "/proc/sys/net/ipv4";

/// What to tell the operator, if they do.
pub(super) fn warning(nat_ports: PortRange) -> Option<String> {
    let read = |name: &str| fs::read_to_string(Path::new(IPV4).join(name)).ok();
    overlap(nat_ports, &read("ip_local_port_range")?, &read("ip_local_reserved_ports").unwrap_or_default())
}

fn overlap(nat_ports: PortRange, local: &str, reserved: &str) -> Option<String> {
    let mut local = local.split_whitespace().map(str::parse);
    let (Some(Ok(first)), Some(Ok(last))) = (local.next(), local.next()) else { return None };
    let (overlap_first, overlap_last) = (nat_ports.first().max(first), nat_ports.last().min(last));
    let spared = ranges(reserved);
    let exposed = |port: u16| !spared.iter().any(|(first, last)| (first..=last).contains(&&port));
    if !(overlap_first..=overlap_last).any(exposed) {
        return None;
    }
    let reserved = reserved.trim();
    let comma = if reserved.is_empty() { "" } else { "," };
    Some(format!(
        "fast_path.nat_ports {nat_ports} overlaps the ports {first}-{last} that the kernel gives to \
         sockets; reserve them: sysctl -w net.ipv4.ip_local_reserved_ports={reserved}{comma}{nat_ports}"
    ))
}

/// Parses `8080,9148-9150`.
fn ranges(text: &str) -> Vec<(u16, u16)> {
    let range = |text: &str| {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        Some((first.parse().ok()?, last.parse().ok()?))
    };
    text.trim().split(',').filter_map(range).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_of_sockets_are_not_ours() {
        let nat_ports = PortRange::default();
        assert_eq!(overlap(nat_ports, "32768\t60999\n", "\n"), None);
        assert_eq!(overlap(nat_ports, "1024\t65535\n", "16000-40000\n"), None);
        assert_eq!(overlap(nat_ports, "1024\t65535\n", "16384-20000,20001-32767\n"), None);
        assert_eq!(
            overlap(nat_ports, "1024\t65535\n", "\n").unwrap(),
            "fast_path.nat_ports 16384-32767 overlaps the ports 1024-65535 that the kernel gives to sockets; \
             reserve them: sysctl -w net.ipv4.ip_local_reserved_ports=16384-32767"
        );
        assert!(
            overlap(nat_ports, "30000\t60999\n", "8080,30000-32766\n")
                .unwrap()
                .ends_with("ip_local_reserved_ports=8080,30000-32766,16384-32767")
        );
    }
}
