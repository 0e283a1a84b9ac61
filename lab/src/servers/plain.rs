//! A zone with a few fixed records.

use std::net::{Ipv4Addr, Ipv6Addr};

use anyhow::Result;
use hickory_proto::rr::rdata::{MX, TXT};
use hickory_proto::rr::{Name, RData};

use super::{Records, Zone};

/// Fixed records of several types and sizes:
///
/// | name | records |
/// |---|---|
/// | the zone itself | MX |
/// | `www` | A, AAAA |
/// | `mail` | A, AAAA |
/// | `text` | TXT |
/// | `medium` | TXT, about 900 octets in all: more than fit without EDNS |
/// | `large` | TXT, about 3000 octets in all: more than fit into one frame |
#[derive(Debug)]
pub struct PlainZone {
    origin: Name,
    records: Records,
}

impl PlainZone {
    /// A zone of this name with the records above.
    pub fn new(origin: Name) -> Result<Self> {
        let name = |label: &str| origin.prepend_label(label);
        let mut records = Records::default();
        records.add(origin.clone(), RData::MX(MX::new(10, name("mail")?)));
        for (label, v4, v6) in [("www", 80, 0x80), ("mail", 25, 0x25)] {
            records.set_address(name(label)?, Ipv4Addr::new(192, 0, 2, v4).into());
            records.set_address(name(label)?, Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, v6).into());
        }
        records.add(name("text")?, text("hello from a plain zone".to_owned()));
        for (label, count) in [("medium", 8), ("large", 28)] {
            for number in 0..count {
                records.add(name(label)?, text(format!("{number:02} {}", "x".repeat(92))));
            }
        }
        Ok(Self { origin, records })
    }
}

impl Zone for PlainZone {
    fn origin(&self) -> &Name {
        &self.origin
    }

    fn records(&self, name: &Name) -> Option<Vec<RData>> {
        self.records.get(name)
    }
}

fn text(string: String) -> RData {
    RData::TXT(TXT::new(vec![string]))
}
