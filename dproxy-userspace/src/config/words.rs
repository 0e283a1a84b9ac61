//! Settings whose value is one of a few words.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::problem::Refusal;

/// Declares an enum whose values are words: the same in the file, the CLI and the API.
macro_rules! words {
    (
        $(#[$doc:meta])*
        $name:ident, $kind:literal { $($(#[$value_doc:meta])* $value:ident = $word:literal,)* }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$value_doc])* #[serde(rename = $word)] $value,)*
        }

        impl $name {
            /// All of the words.
            pub const WORDS: [&str; [$($word),*].len()] = [$($word),*];

            /// The word for it.
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$value => $word,)*
                }
            }
        }

        impl FromStr for $name {
            type Err = Refusal;

            fn from_str(text: &str) -> Result<Self, Refusal> {
                match text {
                    $($word => Ok(Self::$value),)*
                    _ => Err(Refusal::word($kind, text, &Self::WORDS)),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.word())
            }
        }
    };
}

words! {
    /// How the fast path attaches to an interface.
    XdpMode, "xdp mode" {
        /// In the driver where it can, else as `Generic`.
        Auto = "auto",
        /// In the driver, or not at all.
        Native = "native",
        /// In the kernel's generic receive path: any interface, but slower.
        Generic = "generic",
        /// Not at all: the slow path serves everything.
        Off = "off",
    }
}

words! {
    /// What the policies maglev and failover choose by.
    HashInput, "hash" {
        /// The name in the question: each backend sees its share of the names, and caches stay warm.
        Qname = "qname",
        /// The client's address.
        Client = "client",
        /// Both.
        QnameClient = "qname+client",
    }
}

words! {
    /// A response that dproxy makes itself.
    Answer, "answer" {
        /// RCODE 5.
        Refused = "refused",
        /// RCODE 3.
        Nxdomain = "nxdomain",
        /// RCODE 2.
        Servfail = "servfail",
        /// TC=1, no records: ask again over TCP.
        Truncate = "truncate",
        /// No response at all.
        Drop = "drop",
    }
}

words! {
    /// How a backend is asked.
    Transport, "transport" {
        /// UDP.
        Udp = "udp",
        /// TCP, a new connection each time.
        Tcp = "tcp",
    }
}

words! {
    /// A flag of a query.
    CheckFlag, "flag" {
        /// Recursion desired.
        Rd = "rd",
        /// Authentic data.
        Ad = "ad",
        /// Checking disabled.
        Cd = "cd",
        /// DNSSEC OK, in an OPT record.
        Do = "do",
    }
}

words! {
    /// The class of a question.
    QueryClass, "class" {
        /// The Internet.
        In = "IN",
        /// Chaosnet: what servers say about themselves.
        Ch = "CH",
        /// Hesiod.
        Hs = "HS",
    }
}

words! {
    /// A response code (RFC 1035 §4.1.1, RFC 2136 §2.2).
    Rcode, "response code" {
        /// 0.
        Noerror = "noerror",
        /// 1.
        Formerr = "formerr",
        /// 2.
        Servfail = "servfail",
        /// 3.
        Nxdomain = "nxdomain",
        /// 4.
        Notimp = "notimp",
        /// 5.
        Refused = "refused",
        /// 9.
        Notauth = "notauth",
    }
}

impl Rcode {
    /// Its number.
    pub const fn number(self) -> u16 {
        match self {
            Self::Noerror => 0,
            Self::Formerr => 1,
            Self::Servfail => 2,
            Self::Nxdomain => 3,
            Self::Notimp => 4,
            Self::Refused => 5,
            Self::Notauth => 9,
        }
    }
}
