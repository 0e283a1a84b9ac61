//! What can go wrong with a backend.

use anyhow::Result;
use nix::sys::signal::Signal;
use serde::Serialize;

use super::backend::Backend;
use super::server::Manner;

/// A failure of one backend of three.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Failure {
    Killed,
    Stopped,
    LinkDown,
    Firewall,
    Servfail,
    Late,
    SerialStuck,
    TcpDead,
    PortClosed,
}

/// The serial of zones at first is 1000.
const NEW_SERIAL: u32 = 2000;
/// How far one may be behind, where it matters.
pub const SERIAL_LAG: u32 = 100;

impl Failure {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Killed,
        Self::Stopped,
        Self::LinkDown,
        Self::Firewall,
        Self::Servfail,
        Self::Late,
        Self::SerialStuck,
        Self::TcpDead,
        Self::PortClosed,
    ];

    /// As the table has it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Killed => "process killed",
            Self::Stopped => "process stopped (SIGSTOP)",
            Self::LinkDown => "link down",
            Self::Firewall => "firewall drops its replies",
            Self::Servfail => "answers SERVFAIL to everything",
            Self::Late => "answers 2 s late",
            Self::SerialStuck => "serial stuck",
            Self::TcpDead => "UDP fine, TCP accepted and not answered",
            Self::PortClosed => "ports closed (ICMP, reset)",
        }
    }

    /// Do queries get no reply in time? Then what becomes of real queries shows it.
    pub fn is_silence(self) -> bool {
        match self {
            Self::Killed
            | Self::Stopped
            | Self::LinkDown
            | Self::Firewall
            | Self::Late
            | Self::PortClosed => true,
            Self::Servfail | Self::SerialStuck | Self::TcpDead => false,
        }
    }

    /// Lets it happen to the first backend.
    pub fn begin(self, backends: &mut [Backend<'_>]) -> Result<()> {
        let [it, others @ ..] = backends else { return Ok(()) };
        match self {
            Self::Killed => {
                it.kill();
                Ok(())
            }
            Self::Stopped => it.signal(Signal::SIGSTOP),
            Self::LinkDown => it.set_link(false),
            Self::Firewall => it.set_firewall(true),
            Self::Servfail => it.set(Manner::Servfail),
            Self::Late => it.set(Manner::Late),
            Self::SerialStuck => others.iter_mut().try_for_each(|other| other.set_serial(NEW_SERIAL)),
            Self::TcpDead => it.set(Manner::TcpDead),
            Self::PortClosed => it.set(Manner::Closed),
        }
    }

    /// Repairs it.
    pub fn end(self, backends: &mut [Backend<'_>]) -> Result<()> {
        let [it, ..] = backends else { return Ok(()) };
        match self {
            Self::Killed => it.restart(),
            Self::Stopped => it.signal(Signal::SIGCONT),
            Self::LinkDown => it.set_link(true),
            Self::Firewall => it.set_firewall(false),
            Self::SerialStuck => it.set_serial(NEW_SERIAL),
            Self::Servfail | Self::Late | Self::TcpDead | Self::PortClosed => it.set(Manner::Well),
        }
    }
}
