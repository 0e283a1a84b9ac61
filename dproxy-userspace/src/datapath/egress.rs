//! The egress program on an interface.
//!
//! As the XDP program, it is attached by a link that is pinned, and that the next process takes over.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use super::{
    DatapathError,
    bpf::{self, ProgramKind},
    load::explain,
    object::Object,
    pins::{self, Pins},
};

/// Its name.
pub(super) const PROGRAM: &str = "dproxy_egress";

/// Loads the program, and says whether this kernel can attach it. If not, why: the text completes "it is on this host,
/// and …".
pub(super) fn load(object: &Object) -> (Option<OwnedFd>, Result<(), String>) {
    let program = match object.load(PROGRAM, ProgramKind::Classifier) {
        Ok(program) => program,
        Err(refusal) => return (None, Err(explain(&refusal).to_string())),
    };
    // No interface has this index. A kernel without TCX does not even look for it.
    let attachable = match bpf::create_egress_link(program.as_fd(), 0) {
        Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Ok(()),
        Ok(_) | Err(_) => Err("this kernel has no TCX links (Linux 6.6)".to_owned()),
    };
    (Some(program), attachable)
}

/// The way out by an interface that is ours to serve.
#[derive(Debug)]
pub(super) struct Egress {
    interface: u32,
    pin: PathBuf,
    link: Option<OwnedFd>,
    /// Is the link from a process before this one, with its program?
    is_left: bool,
    /// Does the end of the process leave it as it is?
    stays: bool,
}

impl Egress {
    /// Claims the way out by a locked interface. A pin for what is no longer this interface is removed.
    pub(super) fn claim(interface: u32, pins: &Pins) -> Self {
        let pin = pins.egress_path(interface);
        let found = pins::pinned(&pin);
        let is_gone = found.as_ref().is_some_and(|(_, info)| info.interface != interface);
        if is_gone {
            pins::remove(&pin);
        }
        let link = found.filter(|_| !is_gone).map(|(link, _)| link);
        Self { interface, pin, is_left: link.is_some(), stays: false, link }
    }

    /// Attaches the program; without a gap, if there is a link already.
    pub(super) fn attach(&mut self, program: BorrowedFd<'_>) -> io::Result<()> {
        match &self.link {
            Some(link) => bpf::update_link(link.as_fd(), program)?,
            None => self.link = Some(bpf::create_egress_link(program, self.interface)?),
        }
        self.is_left = false;
        Ok(())
    }

    /// Is the program that of a process before this one?
    pub(super) fn is_left(&self) -> bool {
        self.is_left
    }

    /// From now on, the end of the process leaves it as it is.
    pub(super) fn stay(&mut self) {
        self.stays = true;
    }

    /// Pins the link, if there is one.
    pub(super) fn pin(&self, pins: &Pins) -> Result<(), DatapathError> {
        self.link.as_ref().map_or(Ok(()), |link| pins.pin(link.as_fd(), &self.pin))
    }

    pub(super) fn detach(&mut self) {
        let Some(link) = self.link.take() else { return };
        if let Err(error) = bpf::detach_link(link.as_fd()) {
            tracing::warn!("cannot detach from what leaves by interface {}: {error}", self.interface);
        }
        pins::remove(&self.pin);
        self.is_left = false;
    }
}

impl Drop for Egress {
    /// What was left by a process before, and not taken over, stays.
    fn drop(&mut self) {
        if !self.is_left && !self.stays {
            self.detach();
        }
    }
}
