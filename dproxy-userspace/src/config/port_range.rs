//! The ports that forwarded queries come from.

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::problem::Refusal;
use super::wording::Quoted;

/// What a port range may be.
pub(super) const PORT_RANGE: &str = "FIRST-LAST within 1-65535, with 1024, 2048, 4096, 8192, 16384 or 32768 \
                                     ports: 16384-32767";

/// A run of UDP ports whose number is a power of two, from 1024 to 32768.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    first: u16,
    bits: u8,
}

impl PortRange {
    /// From the lowest to the highest port, both included.
    pub fn new(first: u16, last: u16) -> Result<Self, Refusal> {
        let refused = |count: String| Refusal {
            what: format!("port range \"{first}-{last}\" {count}"),
            allowed: PORT_RANGE.to_owned(),
        };
        if first == 0 {
            return Err(refused("begins with port 0".to_owned()));
        }
        match (u32::from(last) + 1).checked_sub(u32::from(first)) {
            Some(count @ 1024..=32768) if count.is_power_of_two() => {
                Ok(Self { first, bits: count.trailing_zeros() as u8 })
            }
            Some(count @ 1..) => Err(refused(format!("has {count} ports"))),
            Some(0) | None => Err(refused("ends before it begins".to_owned())),
        }
    }

    /// Lowest port, at least 1.
    pub fn first(self) -> u16 {
        self.first
    }

    /// Highest port.
    pub fn last(self) -> u16 {
        self.first + ((1 << self.bits) - 1)
    }

    /// The range has 2 to this power ports: 10 to 15.
    pub fn bits(self) -> u8 {
        self.bits
    }

    /// Is `port` in the range?
    pub fn contains(self, port: u16) -> bool {
        (self.first..=self.last()).contains(&port)
    }
}

impl Default for PortRange {
    /// 16384 to 32767: right below the ports that Linux gives to sockets by itself.
    fn default() -> Self {
        Self { first: 16384, bits: 14 }
    }
}

impl FromStr for PortRange {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        let ports = text.split_once('-').and_then(|(first, last)| {
            Some((first.trim().parse::<u16>().ok()?, last.trim().parse::<u16>().ok()?))
        });
        match ports {
            Some((first, last)) => Self::new(first, last),
            None => Err(Refusal {
                what: format!("port range {} is not two port numbers with a dash between", Quoted(text)),
                allowed: PORT_RANGE.to_owned(),
            }),
        }
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last())
    }
}

impl Serialize for PortRange {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PortRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}
