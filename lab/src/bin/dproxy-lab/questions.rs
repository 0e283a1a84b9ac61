//! What the lab asks, and what has to come of it.

use dproxy_common::reason::Reason;
use dproxy_lab::dns::rr::RecordType;

/// The address that home.dyn.test gets by an HTTP update before the first question.
pub(crate) const HOME: &str = "203.0.113.7";

/// A question, and who has to answer it with what.
pub(crate) struct Planned {
    pub(crate) name: &'static str,
    pub(crate) record_type: RecordType,
    pub(crate) tcp: bool,
    pub(crate) by: By,
    /// The data, or else the response code; `None`: the name of the server that answers.
    pub(crate) answer: Option<&'static str>,
}

/// Who has to answer.
#[derive(Clone, Copy)]
pub(crate) enum By {
    /// A server whose name begins so.
    Server(&'static str),
    /// dproxy in the kernel, for this reason.
    Kernel(Reason),
}

pub(crate) const QUESTIONS: [Planned; 16] = {
    const CRYO: By = By::Server("cryo");
    const DYNAMIC: By = By::Server("dynamic");
    const PLAIN: By = By::Server("plain");
    const MASTER: By = By::Server("master");
    const BLOCKED: By = By::Kernel(Reason::AnsweredNxdomain);
    const PRIVATE: By = By::Kernel(Reason::AnsweredRefused);
    [
        ask("www.10.0.0.8.cryo.test", RecordType::A, CRYO, Some("10.0.0.8")),
        ask("rAnD.192.0.2.33.cRyO.tEsT", RecordType::A, CRYO, Some("192.0.2.33")),
        ask("home.dyn.test", RecordType::A, DYNAMIC, Some(HOME)),
        ask("www.plain.test", RecordType::A, PLAIN, Some("192.0.2.80")),
        ask("www.plain.test", RecordType::AAAA, PLAIN, Some("2001:db8::80")),
        ask("plain.test", RecordType::MX, PLAIN, Some("10 mail.plain.test.")),
        ask("whoami.plain.test", RecordType::TXT, PLAIN, None),
        ask("nope.plain.test", RecordType::A, PLAIN, Some("NXDOMAIN")),
        ask("www.example.org", RecordType::A, MASTER, Some("192.0.2.80")),
        ask("www.blocked.test", RecordType::A, BLOCKED, Some("NXDOMAIN")),
        ask("www.private.test", RecordType::A, PRIVATE, Some("REFUSED")),
        ask("nobody.example", RecordType::A, MASTER, Some("REFUSED")),
        over_tcp("www.10.0.0.8.cryo.test", RecordType::A, CRYO, Some("10.0.0.8")),
        over_tcp("home.dyn.test", RecordType::A, DYNAMIC, Some(HOME)),
        over_tcp("whoami.plain.test", RecordType::TXT, PLAIN, None),
        over_tcp("www.example.org", RecordType::A, MASTER, Some("192.0.2.80")),
    ]
};

const fn ask(name: &'static str, record_type: RecordType, by: By, answer: Option<&'static str>) -> Planned {
    Planned { name, record_type, tcp: false, by, answer }
}

const fn over_tcp(
    name: &'static str,
    record_type: RecordType,
    by: By,
    answer: Option<&'static str>,
) -> Planned {
    Planned { tcp: true, ..ask(name, record_type, by, answer) }
}
