//! Names and their record data.

use std::collections::BTreeMap;
use std::net::IpAddr;

use hickory_proto::rr::{Name, RData};

/// Record data by name.
#[derive(Debug, Clone, Default)]
pub struct Records(BTreeMap<Name, Vec<RData>>);

impl Records {
    /// Adds to what `name` has.
    pub fn add(&mut self, name: Name, data: RData) {
        self.0.entry(name).or_default().push(data);
    }

    /// Gives `name` this address, in place of those of the same family.
    pub fn set_address(&mut self, name: Name, address: IpAddr) {
        let data = match address {
            IpAddr::V4(v4) => RData::A(v4.into()),
            IpAddr::V6(v6) => RData::AAAA(v6.into()),
        };
        let records = self.0.entry(name).or_default();
        records.retain(|other| other.record_type() != data.record_type());
        records.push(data);
    }

    /// Removes all that `name` has.
    pub fn remove(&mut self, name: &Name) {
        self.0.remove(name);
    }

    /// All that `name` has. `None` if there is no such name: a name with others below it exists,
    /// though empty (RFC 8020).
    pub fn get(&self, name: &Name) -> Option<Vec<RData>> {
        let below = || self.0.keys().any(|other| name.zone_of(other));
        self.0.get(name).cloned().or_else(|| below().then(Vec::new))
    }
}
