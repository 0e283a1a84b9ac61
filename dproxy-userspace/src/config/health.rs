//! How the health of a pool's backends is found out, and what follows from it.

mod said;

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use self::said::Said;
use super::duration;
use super::name::Name;
use super::problem::Refusal;
use super::record_type::RecordType;
use super::wording::Quoted;
use super::words::{CheckFlag, QueryClass, Rcode, Transport};

/// What concerns the health of all pools.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Health {
    /// Is anything checked at all?
    pub enabled: bool,
    /// Where `/healthz` and `/readyz` are served, for routers and orchestrators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<SocketAddr>,
    /// A command, and its arguments, that is run for each event; none if it is empty.
    pub on_change: Vec<String>,
    /// How long that command may take: 100 ms to 1 min.
    #[serde(with = "duration")]
    pub on_change_timeout: Duration,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            enabled: true,
            address: None,
            on_change: Vec::new(),
            on_change_timeout: Duration::from_secs(10),
        }
    }
}

/// How the health of a pool's backends is found out: `[pools.NAME.health]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Said", into = "Said")]
pub struct Check {
    /// Are the backends asked?
    pub active: bool,
    /// Does it count what becomes of real queries?
    pub passive: bool,
    /// What they are asked; `None`: the SOA record of the pool's first route.
    pub query: Option<CheckQuery>,
    /// Flags of the query.
    pub flags: Vec<CheckFlag>,
    /// How they are asked: at least one.
    pub transports: Vec<Transport>,
    /// Response codes that a healthy one may give; `None`: see [`Check::expected`].
    pub expect: Option<Vec<Rcode>>,
    /// Data that one of the answer's records must have, as a zone file would say it.
    pub answer: Option<String>,
    /// How far its SOA serial may be behind the highest one of the pool.
    pub serial_lag: Option<u32>,
    /// From one check to the next: 50 ms to 1 h.
    pub interval: Duration,
    /// How long a reply may take: 10 ms to 1 min; `None`: half of the interval, but 1 s at most.
    pub timeout: Option<Duration>,
    /// So many checks in a row must succeed until it is up: 1 to 100.
    pub rise: u32,
    /// So many checks in a row must fail until it is down: 1 to 100.
    pub fall: u32,
    /// By how much intervals vary at random, in percent: 0 to 50.
    pub jitter: u32,
    /// The interval to which that between checks of one that is down grows, 0 s (it does not grow) to 1 h.
    pub backoff: Duration,
}

impl Default for Check {
    fn default() -> Self {
        Self {
            active: true,
            passive: true,
            query: None,
            flags: vec![CheckFlag::Rd],
            transports: vec![Transport::Udp, Transport::Tcp],
            expect: None,
            answer: None,
            serial_lag: None,
            interval: Duration::from_secs(1),
            timeout: None,
            rise: 2,
            fall: 3,
            jitter: 10,
            backoff: Duration::from_secs(5),
        }
    }
}

impl Check {
    /// How long a reply may take.
    pub fn patience(&self) -> Duration {
        self.timeout.unwrap_or((self.interval / 2).min(Duration::from_secs(1)))
    }

    /// Response codes that a healthy backend may give to a query for `name`. Unless somebody says, it is any but
    /// SERVFAIL that tells of a server at work; and REFUSED is what servers of zones say about the root.
    pub fn expected(&self, name: &Name) -> Vec<Rcode> {
        match &self.expect {
            Some(expect) => expect.clone(),
            None if self.query.is_none() && name.is_root() => {
                vec![Rcode::Noerror, Rcode::Nxdomain, Rcode::Refused]
            }
            None => vec![Rcode::Noerror, Rcode::Nxdomain],
        }
    }
}

/// A question: `health.example. SOA`, `version.bind. TXT CH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckQuery {
    /// Its name.
    pub name: Name,
    /// Its type.
    pub record_type: RecordType,
    /// Its class.
    pub class: QueryClass,
}

impl CheckQuery {
    /// That for the SOA record of a zone.
    pub fn soa(name: Name) -> Self {
        Self { name, record_type: RecordType::SOA, class: QueryClass::In }
    }
}

/// How a question may be written.
pub(super) const CHECK_QUERY: &str = "a name, a type and, unless it is IN, a class: \"health.example. SOA\"";

impl FromStr for CheckQuery {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let (name, record_type, class) = match *words {
            [name, record_type] => (name, record_type, QueryClass::In),
            [name, record_type, class] => (name, record_type, class.to_ascii_uppercase().parse()?),
            _ => {
                let what = format!("{} is not a question", Quoted(text));
                return Err(Refusal { what, allowed: CHECK_QUERY.to_owned() });
            }
        };
        Ok(Self { name: name.parse()?, record_type: record_type.parse()?, class })
    }
}

impl fmt::Display for CheckQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, record_type, class } = self;
        write!(f, "{name} {record_type}")?;
        match class {
            QueryClass::In => Ok(()),
            QueryClass::Ch | QueryClass::Hs => write!(f, " {class}"),
        }
    }
}

/// What happens to the queries of a pool none of whose backends can be used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum WhenDown {
    /// They are answered SERVFAIL, so that clients ask elsewhere.
    #[default]
    Servfail,
    /// They are not answered.
    Drop,
    /// They go to another pool.
    Pool(Arc<str>),
}

/// What [`WhenDown`] may be.
pub(super) const WHEN_DOWN: &str = "\"servfail\", \"drop\" or \"pool NAME\"";

impl FromStr for WhenDown {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        match text.split_whitespace().collect::<Vec<_>>()[..] {
            ["servfail"] => Ok(Self::Servfail),
            ["drop"] => Ok(Self::Drop),
            ["pool", name] => Ok(Self::Pool(name.into())),
            _ => {
                let what = format!("{} is nothing to do when a pool is down", Quoted(text));
                Err(Refusal { what, allowed: WHEN_DOWN.to_owned() })
            }
        }
    }
}

impl fmt::Display for WhenDown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Servfail => f.write_str("servfail"),
            Self::Drop => f.write_str("drop"),
            Self::Pool(name) => write!(f, "pool {name}"),
        }
    }
}

/// Types that are written as their text.
macro_rules! as_text {
    ($($name:ident),+) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }
    )+};
}
as_text!(CheckQuery, WhenDown);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions() {
        for (text, written) in [
            ("health.example. SOA", "health.example SOA"),
            ("  . ns ", ". NS"),
            ("version.bind txt ch", "version.bind TXT CH"),
            ("a.example TYPE65280", "a.example TYPE65280"),
        ] {
            let query: CheckQuery = text.parse().unwrap();
            assert_eq!(query.to_string(), written);
            assert_eq!(written.parse::<CheckQuery>().unwrap(), query);
        }
        for text in ["", "example.org", "example.org SOA IN twice", "example.org SOB", "a..b SOA", "x SOA XX"]
        {
            assert!(text.parse::<CheckQuery>().is_err(), "{text}");
        }
    }

    #[test]
    fn only_what_is_unusual_is_written() {
        assert_eq!(toml::to_string(&Check::default()).unwrap(), "");
        let text = "interval = \"200ms\"\nrise = 1\n";
        let check: Check = toml::from_str(text).unwrap();
        assert_eq!((check.interval, check.rise, check.fall), (Duration::from_millis(200), 1, 3));
        assert_eq!(toml::to_string(&check).unwrap(), text);
    }

    #[test]
    fn patience_is_half_of_the_interval_and_no_more_than_a_second() {
        let of = |interval, timeout| Check { interval, timeout, ..Check::default() }.patience();
        let [short, second, long] = [200, 1000, 5000].map(Duration::from_millis);
        assert_eq!([of(short, None), of(second, None), of(long, None)], [short / 2, second / 2, second]);
        assert_eq!(of(short, Some(long)), long, "unless somebody says so");
    }

    #[test]
    fn what_is_expected_depends_on_who_chose_the_question() {
        let root = Name::root();
        let chosen = Check { query: Some(CheckQuery::soa(root.clone())), ..Check::default() };
        assert!(Check::default().expected(&root).contains(&Rcode::Refused));
        assert!(!chosen.expected(&root).contains(&Rcode::Refused));
        assert!(!Check::default().expected(&"example.org".parse().unwrap()).contains(&Rcode::Refused));
        let only = Check { expect: Some(vec![Rcode::Servfail]), ..Check::default() };
        assert_eq!(only.expected(&root), [Rcode::Servfail]);
    }
}
