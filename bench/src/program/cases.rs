//! What is measured.

use std::fmt;

use dproxy_common::reason::Reason;
use serde::{Serialize, Serializer};

/// One kind of packet, with one kind of tables.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Case {
    /// As results name it; stable.
    pub name: &'static str,
    /// What is in the tables.
    pub tables: Tables,
    /// What comes.
    pub packet: Packet,
    /// How each packet has to end.
    #[serde(serialize_with = "label")]
    pub reason: Reason,
}

/// What is in the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Tables {
    /// So many names have routes.
    pub routes: u32,
    /// So many backends the pool has.
    pub backends: u16,
    /// So many numbers of labels these names have, at least.
    pub depths: u8,
}

/// What comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Packet {
    /// A query for this name, again and again.
    Query(Name),
    /// The reply to such a query, which is forwarded first, and subtracted.
    Reply(Name),
    /// Each query asks for another name, a label below that of a route: all routes take turns, in no order.
    RandomQuery,
}

/// A question name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Name {
    /// As it is.
    Text(&'static str),
    /// So many octets, in labels of so many octets each, as far as they fit in.
    Long {
        /// Octets, the root's included: 13 to 255.
        octets: u8,
        /// Octets of a label, its length octet not included.
        label: u8,
    },
}

const FEW: Tables = Tables { routes: 10, backends: 1, depths: 2 };

const fn of(name: &'static str, tables: Tables, packet: Packet, reason: Reason) -> Case {
    Case { name, tables, packet, reason }
}

const fn forwarded(name: &'static str, tables: Tables, question: Name) -> Case {
    of(name, tables, Packet::Query(question), Reason::QueryForwarded)
}

const fn random(name: &'static str, routes: u32) -> Case {
    of(name, Tables { routes, ..FEW }, Packet::RandomQuery, Reason::QueryForwarded)
}

const USUAL: Name = Name::Text("www.example.com");
const fn long(octets: u8, label: u8) -> Name {
    Name::Long { octets, label }
}

/// All of them; those with the same tables are next to each other.
pub const CASES: [Case; 20] = [
    forwarded(QUERY, FEW, USUAL),
    of(REPLY, FEW, Packet::Reply(USUAL), Reason::ReplyForwarded),
    of(ANSWER, FEW, Packet::Query(Name::Text("www.answers.net")), Reason::AnsweredNxdomain),
    of("no route, so refused; 17 octets", FEW, Packet::Query(Name::Text("www.missing.net")), Reason::NoRoute),
    forwarded("query, 13 octets", FEW, Name::Text("example.com")),
    forwarded("query, 38 octets, 5 labels", FEW, long(38, 8)),
    forwarded("query, 64 octets, 8 labels", FEW, long(64, 8)),
    forwarded("query, 128 octets, 15 labels", FEW, long(128, 8)),
    forwarded("query, 255 octets, 6 labels", FEW, long(255, 63)),
    forwarded(WORST, FEW, long(255, 1)),
    forwarded("query, 17 octets, 3 backends", Tables { backends: 3, ..FEW }, USUAL),
    forwarded("query, 17 octets, 50 backends", Tables { backends: 50, ..FEW }, USUAL),
    forwarded("query, 17 octets, 32 depths in the tables", DEEP, USUAL),
    forwarded("query, 255 octets, 127 labels, 32 depths", DEEP, long(255, 1)),
    random(RANDOM[0], 1 << 10),
    random(RANDOM[1], 1 << 14),
    random(RANDOM[2], 1 << 17),
    random(RANDOM[3], 1 << 20),
    forwarded("query, 17 octets, 1,048,576 routes", Tables { routes: 1 << 20, ..FEW }, USUAL),
    forwarded(
        "query, 255 octets, 127 labels, 1,048,576 routes",
        Tables { routes: 1 << 20, ..FEW },
        long(255, 1),
    ),
];

/// So many depths as there may be.
const DEEP: Tables = Tables { routes: 40, backends: 1, depths: 32 };

/// The usual query.
pub const QUERY: &str = "query, 17 octets, 10 routes";
/// Its reply.
pub const REPLY: &str = "reply";
/// An answer made in the kernel.
pub const ANSWER: &str = "kernel answer, 17 octets";
/// The name that takes longest.
pub const WORST: &str = "query, 255 octets, 127 labels";
/// Random names of more and more routes.
pub const RANDOM: [&str; 4] = [
    "random query of 1,024 routes",
    "random query of 16,384 routes",
    "random query of 131,072 routes",
    "random query of 1,048,576 routes",
];

impl Packet {
    /// Is each packet another one?
    pub fn is_random(self) -> bool {
        match self {
            Self::RandomQuery => true,
            Self::Query(_) | Self::Reply(_) => false,
        }
    }

    /// Is every other packet a reply?
    pub fn is_reply(self) -> bool {
        matches!(self, Self::Reply(_))
    }

    /// The question of the first one.
    pub fn question(self) -> String {
        match self {
            Self::Query(name) | Self::Reply(name) => name.text(),
            Self::RandomQuery => format!("www.{}", random_name(0)),
        }
    }
}

impl Name {
    fn text(self) -> String {
        match self {
            Self::Text(text) => text.to_owned(),
            Self::Long { octets, label } => {
                let suffix = if label == 1 { SHORT } else { DOMAIN };
                let mut name = suffix.to_owned();
                // In presentation format, a name is two octets shorter than in wire format.
                while let Some(room) =
                    usize::from(octets).checked_sub(name.len() + 3).filter(|room| *room > 0)
                {
                    // What remains for the next label is nothing, or more than its length octet.
                    let length = if room == usize::from(label) + 1 { label - 1 } else { label };
                    name = format!("{}.{name}", "a".repeat(room.min(length.into())));
                }
                name
            }
        }
    }
}

/// A name with a route.
pub const DOMAIN: &str = "example.com";
/// One of the shortest labels.
pub const SHORT: &str = "a.b";
/// A name with an answer for a route.
pub const ANSWERED: &str = "answers.net";

/// The name of a route among many, as the program that makes packets spells it.
pub fn random_name(number: u32) -> String {
    let letters: String = (0..8).map(|place| char::from(b'a' + (number >> (4 * place) & 15) as u8)).collect();
    format!("{letters}.bench.test")
}

impl fmt::Display for Tables {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self { routes, backends, depths } = self;
        write!(f, "{routes} routes of {depths} depths to {backends} backends")
    }
}

fn label<S: Serializer>(reason: &Reason, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(reason.label())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_long_as_they_say() {
        for case in CASES {
            if let Packet::Query(Name::Long { octets, .. }) = case.packet {
                assert_eq!(case.packet.question().len() + 2, usize::from(octets), "{}", case.name);
            }
            let longest = case.packet.question().split('.').map(str::len).max();
            assert!(longest.is_some_and(|longest| longest <= 63), "{}", case.name);
        }
        assert_eq!(Name::Long { octets: 255, label: 1 }.text().split('.').count(), 127);
    }

    #[test]
    fn cases_are_named_once() {
        let names: std::collections::BTreeSet<_> = CASES.iter().map(|case| case.name).collect();
        assert_eq!(names.len(), CASES.len());
    }
}
