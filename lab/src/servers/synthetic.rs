//! A zone without data: the address is in the name.

use std::net::Ipv4Addr;

use hickory_proto::rr::{Name, RData};

use super::Zone;

/// Answers `<anything>.10.0.0.8.<origin> A` with `10.0.0.8`, as cryo.network does.
#[derive(Debug)]
pub struct SyntheticZone {
    origin: Name,
}

impl SyntheticZone {
    /// A synthetic zone of this name.
    pub fn new(origin: Name) -> Self {
        Self { origin }
    }
}

impl Zone for SyntheticZone {
    fn origin(&self) -> &Name {
        &self.origin
    }

    fn records(&self, name: &Name) -> Option<Vec<RData>> {
        let labels: Vec<&[u8]> = name.iter().collect();
        let (own, _) = labels.split_at(labels.len().checked_sub(self.origin.iter().count())?);
        let (_, last) = own.split_at(own.len().saturating_sub(4));
        let last = last.iter().map(|label| str::from_utf8(label)).collect::<Result<Vec<_>, _>>().ok()?;
        // `0.8.<origin>` has no address, but names below it have: it exists, though empty.
        let padded = "0.".repeat(4 - last.len()) + &last.join(".");
        let address: Ipv4Addr = padded.parse().ok()?;
        Some(if last.len() == 4 { vec![RData::A(address.into())] } else { Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(name: &str) -> Option<Vec<RData>> {
        let zone = SyntheticZone::new(Name::from_ascii("cryo.test.").unwrap());
        zone.records(&Name::from_ascii(name).unwrap())
    }

    #[test]
    fn the_last_four_numbers_are_the_address() {
        let address = Some(vec![RData::A(Ipv4Addr::new(10, 0, 0, 8).into())]);
        assert_eq!(records("www.10.0.0.8.cryo.test."), address);
        assert_eq!(records("a.b.7.10.0.0.8.CRYO.test."), address);
        assert_eq!(records("*.10.0.0.8.cryo.test."), address);
        assert_eq!(records("10.0.0.8.cryo.test."), address);
    }

    #[test]
    fn a_name_above_an_address_exists() {
        assert_eq!(records("0.0.8.cryo.test."), Some(vec![]));
        assert_eq!(records("8.cryo.test."), Some(vec![]));
    }

    #[test]
    fn other_names_do_not_exist() {
        for name in ["www.cryo.test.", "www.0.8.cryo.test.", "1.2.3.256.cryo.test.", "10.0.0.8.x.cryo.test."]
        {
            assert_eq!(records(name), None, "{name}");
        }
    }
}
