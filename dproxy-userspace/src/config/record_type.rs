//! Types of questions.

use std::fmt;
use std::str::FromStr;

use super::problem::Refusal;
use super::wording::Quoted;

/// The type of a question (RFC 1035 §3.2.3). Routes do not look at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordType(pub u16);

impl RecordType {
    /// The start of a zone of authority (RFC 1035 §3.3.13).
    pub const SOA: Self = Self(6);
    /// Who serves a zone (RFC 1035 §3.3.11).
    pub const NS: Self = Self(2);
}

/// Types by name (IANA, DNS parameters): those that operators ask for.
const NAMES: [(u16, &str); 26] = [
    (1, "A"),
    (2, "NS"),
    (5, "CNAME"),
    (6, "SOA"),
    (12, "PTR"),
    (13, "HINFO"),
    (15, "MX"),
    (16, "TXT"),
    (28, "AAAA"),
    (29, "LOC"),
    (33, "SRV"),
    (35, "NAPTR"),
    (39, "DNAME"),
    (43, "DS"),
    (44, "SSHFP"),
    (46, "RRSIG"),
    (47, "NSEC"),
    (48, "DNSKEY"),
    (50, "NSEC3"),
    (52, "TLSA"),
    (59, "CDS"),
    (60, "CDNSKEY"),
    (64, "SVCB"),
    (65, "HTTPS"),
    (255, "ANY"),
    (257, "CAA"),
];

impl Default for RecordType {
    fn default() -> Self {
        Self(1)
    }
}

impl FromStr for RecordType {
    type Err = Refusal;

    /// From its name, or as `TYPE65280` (RFC 3597 §5), in any case.
    fn from_str(text: &str) -> Result<Self, Refusal> {
        let text = text.to_ascii_uppercase();
        let known = NAMES.iter().find(|(_, name)| *name == text).map(|(number, _)| *number);
        let digits = |text: &&str| text.bytes().all(|octet| octet.is_ascii_digit());
        let numbered = || text.strip_prefix("TYPE").filter(digits).and_then(|number| number.parse().ok());
        match known.or_else(numbered) {
            Some(number) => Ok(Self(number)),
            None => Err(Refusal {
                what: format!("type {} is not known", Quoted(&text)),
                allowed: "A, AAAA, MX, TXT and others by their names, any as TYPE and its number: TYPE65"
                    .to_owned(),
            }),
        }
    }
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(number, _)| *number == self.0) {
            Some((_, name)) => f.write_str(name),
            None => write!(f, "TYPE{}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        for (text, number, shown) in
            [("A", 1, "A"), ("aaaa", 28, "AAAA"), ("type65", 65, "HTTPS"), ("TYPE65280", 65280, "TYPE65280")]
        {
            let parsed: RecordType = text.parse().unwrap();
            assert_eq!(parsed, RecordType(number));
            assert_eq!(parsed.to_string(), shown);
        }
        for text in ["", "TYPE", "TYPE65536", "TYPE+1", "AAAAA"] {
            assert!(text.parse::<RecordType>().is_err(), "{text}");
        }
    }
}
