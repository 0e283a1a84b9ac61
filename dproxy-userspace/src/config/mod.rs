//! The configuration: what an operator may say, and the file that says it.
//!
//! A [`Config`] comes from a file ([`Config::load`]) or from an edit of another one. Both must pass
//! [`check`]. How the file is written stays in here.

mod address;
mod change;
mod duration;
mod file;
mod health;
mod matching;
mod model;
mod name;
mod pattern;
mod policy;
mod port_range;
mod problem;
mod record_type;
mod rules;
mod save;
mod verdicts;
mod wording;
mod words;

#[cfg(test)]
mod tests;

pub use address::{DNS_PORT, parse_address};
pub use change::{Change, Settings};
pub use duration::{duration_text, parse_duration};
pub use file::{ConfigError, FileProblem, Files, Position};
pub use health::{Check, CheckQuery, Health, WhenDown};
pub(crate) use matching::matching;
pub use model::{
    Config, Control, FastPath, Listen, PanicThreshold, Pool, SlowPath, Switch, Target, WeightedBackend,
};
pub use name::{MAX_LABEL, MAX_LABELS, MAX_NAME, Name, NameError, NameFault};
pub use pattern::{Pattern, PatternKind};
pub use policy::Policy;
pub use port_range::PortRange;
pub use problem::{Place, Problem, Refusal};
pub use record_type::RecordType;
pub use rules::{MAX_LABEL_COUNTS, MAX_LISTENERS, MAX_ROUTES, check, check_change};
pub use save::{Rewrite, SaveError, write_files};
pub(crate) use wording::{Quoted, counted, listed};
pub use words::{Answer, CheckFlag, HashInput, QueryClass, Rcode, Transport, XdpMode};
