//! Attaching the program to interfaces.
//!
//! A program is attached by a link that is pinned (see [`Pins`]): when the process is killed, the fast
//! path goes on, and the next process puts its own program into the same link. A process that ends in
//! order takes its links away.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use super::{
    Attachment, DatapathError, bpf,
    egress::Egress,
    interface::Interface,
    left,
    lock::InterfaceLock,
    pins::{self, Pins},
};
use crate::config::XdpMode;

/// An interface that is ours to serve: it is locked, and free of programs that are not ours.
#[derive(Debug)]
pub(super) struct Place {
    interface: Interface,
    pin: PathBuf,
    link: Option<Link>,
    fallback: Option<String>,
    /// Does the end of the process leave all as it is?
    stays: bool,
    // Dropped, and so detached, after the XDP program: its queries may be under way.
    egress: Egress,
    _lock: InterfaceLock,
}

/// What attaches a program to an interface.
#[derive(Debug)]
struct Link {
    fd: OwnedFd,
    mode: XdpMode,
    /// From a process before this one, with its program.
    is_left: bool,
    /// The id of that program.
    program: u32,
}

impl Place {
    /// Claims an interface by its name.
    pub(super) fn claim(name: &str, pins: &Pins) -> Result<Self, DatapathError> {
        let lock = InterfaceLock::take(Interface::named(name)?.index, name)?;
        // Asked again, because only from now on nobody else changes it.
        let interface = Interface::named(name)?;
        let pin = pins.path(interface.index);
        let link = left_link(&interface, &pin);
        let ours = link.as_ref().map(|link| link.program);
        if let Some(&(other, _)) = interface.programs.iter().find(|(id, _)| Some(*id) != ours) {
            return Err(not_ours(name, other, pins));
        }
        let egress = Egress::claim(interface.index, pins);
        Ok(Self { interface, pin, link, fallback: None, stays: false, egress, _lock: lock })
    }

    /// The id of the program that a process before this one has left, if it has not been replaced yet.
    pub(super) fn left_program(&self) -> Option<u32> {
        self.link.as_ref().filter(|link| link.is_left).map(|link| link.program)
    }

    /// From now on, the end of the process leaves all as it is.
    pub(super) fn stay(&mut self) {
        self.stays = true;
        self.egress.stay();
    }

    /// What keeps packets from getting to our program.
    pub(super) fn fault(&self) -> Option<String> {
        let name = &self.interface.name;
        let program = pins::pinned(&self.pin).map(|(_, info)| info.program);
        match Interface::numbered(self.interface.index) {
            None => Some(format!("interface {name} is gone: restart dproxy when it is back")),
            Some(now) if !now.is_up => Some(format!("interface {name} is down")),
            Some(now) if program.and_then(|program| now.mode_of(program)).is_none() => {
                let instead = match now.programs.first() {
                    Some((other, _)) => format!("carries XDP program {other} instead of the fast path"),
                    None => "does not carry the fast path any more".to_owned(),
                };
                Some(format!("interface {name} {instead}: restart dproxy"))
            }
            Some(_) => None,
        }
    }

    /// What to tell about it.
    pub(super) fn attachment(&self) -> Attachment {
        let link = self.link.as_ref().filter(|link| !link.is_left);
        Attachment {
            interface: self.interface.name.clone(),
            index: self.interface.index,
            mode: link.map_or(XdpMode::Auto, |link| link.mode),
            fallback: self.fallback.clone(),
        }
    }

    fn is_left(&self) -> bool {
        self.link.as_ref().is_some_and(|link| link.is_left)
    }

    /// Attaches a program; without a gap, if there is a link of this mode already.
    fn attach(&mut self, program: BorrowedFd<'_>, mode: XdpMode) -> io::Result<()> {
        if let Some(link) = self.link.as_mut().filter(|link| link.mode == mode) {
            bpf::update_link(link.fd.as_fd(), program)?;
            link.is_left = false;
            return Ok(());
        }
        self.detach();
        let fd = bpf::create_xdp_link(program, self.interface.index, flags(mode))?;
        self.link = Some(Link { fd, mode, is_left: false, program: 0 });
        Ok(())
    }

    /// Attaches the egress program, or removes that of the process before, if there is none.
    fn attach_egress(&mut self, program: Option<BorrowedFd<'_>>) -> Result<(), DatapathError> {
        let Some(program) = program else {
            self.egress.detach();
            return Ok(());
        };
        self.egress.attach(program).map_err(|error| {
            let name = &self.interface.name;
            DatapathError(format!("cannot attach to what leaves by interface {name} (TCX): {error}"))
        })
    }

    fn detach(&mut self) {
        let Some(link) = self.link.take() else { return };
        left::detach(link.fd.as_fd(), &self.interface.name);
        pins::remove(&self.pin);
    }
}

impl Drop for Place {
    /// What was left by a process before, and not taken over, stays.
    fn drop(&mut self) {
        if !self.is_left() && !self.stays {
            self.detach();
        }
    }
}

/// Attaches the programs to all places, XDP in one mode; then removes what dproxy left on other interfaces. `attached`
/// is called when all XDP programs are there, and not yet all of the egress programs.
pub(super) fn attach(
    places: &mut [Place],
    (program, egress): (BorrowedFd<'_>, Option<BorrowedFd<'_>>),
    mode: XdpMode,
    pins: &Pins,
    attached: impl FnOnce(),
) -> Result<(), DatapathError> {
    // There will be replies as soon as there are queries. But what a process before has left, it may need on, if
    // this one is refused.
    for place in places.iter_mut().filter(|place| !place.egress.is_left()) {
        place.attach_egress(egress)?;
    }
    for interface in places.iter().map(|place| &place.interface).filter(|interface| !interface.is_up) {
        tracing::warn!("interface {0} is down; `ip link set {0} up` lets packets in", interface.name);
    }
    let fallback = match mode {
        XdpMode::Generic => attach_all(places, program, mode).map(|()| None)?,
        XdpMode::Native => attach_all(places, program, mode).map(|()| None).map_err(|refused| {
            DatapathError(format!("{refused}; listen.xdp = \"auto\" goes on without native XDP"))
        })?,
        XdpMode::Auto => attach_auto(places, program)?,
        XdpMode::Off => None,
    };
    attached();
    for place in places.iter_mut().filter(|place| place.egress.is_left()) {
        place.attach_egress(egress)?;
    }
    for place in &mut *places {
        place.fallback.clone_from(&fallback);
        if let Some(link) = &place.link {
            pins.pin(link.fd.as_fd(), &place.pin)?;
        }
        place.egress.pin(pins)?;
    }
    let served: Vec<u32> = places.iter().map(|place| place.interface.index).collect();
    left::remove_others(&served, pins);
    Ok(())
}

/// Native on all, else generic on all, and why: a native program cannot redirect to an interface without
/// native XDP; the kernel drops such packets silently.
fn attach_auto(places: &mut [Place], program: BorrowedFd<'_>) -> Result<Option<String>, DatapathError> {
    let reason = match places.iter().find_map(why_not_native) {
        Some(reason) => reason,
        None => match attach_all(places, program, XdpMode::Native) {
            Ok(()) => return Ok(None),
            Err(refused) => refused.0,
        },
    };
    attach_all(places, program, XdpMode::Generic)?;
    Ok(Some(reason))
}

fn why_not_native(place: &Place) -> Option<String> {
    let Interface { name, is_veth, .. } = &place.interface;
    if *is_veth {
        // Their checksums are partial, and those of rewritten ones would be wrong.
        return Some(format!(
            "{name} is a veth, where native XDP sees packets before their checksums are made"
        ));
    }
    let is_generic = place.link.as_ref().is_some_and(|link| link.mode == XdpMode::Generic);
    is_generic.then(|| {
        format!("{name} was generic when dproxy ended, and goes on so without a gap; `dproxy detach` and a start try native")
    })
}

/// Attaches to places without a link first: if one refuses, those with a link from before still have
/// the program from before.
fn attach_all(places: &mut [Place], program: BorrowedFd<'_>, mode: XdpMode) -> Result<(), DatapathError> {
    for left in [false, true] {
        for place in places.iter_mut().filter(|place| place.is_left() == left) {
            place.attach(program, mode).map_err(|error| refused(&place.interface.name, mode, &error))?;
        }
    }
    Ok(())
}

/// `XDP_FLAGS_*_MODE` (linux/if_link.h).
const fn flags(mode: XdpMode) -> u32 {
    match mode {
        XdpMode::Auto | XdpMode::Off => 0,
        XdpMode::Generic => 1 << 1,
        XdpMode::Native => 1 << 2,
    }
}

/// The link that a process before this one left on an interface. A pin for
/// what is no longer this interface is removed.
fn left_link(interface: &Interface, pin: &Path) -> Option<Link> {
    let (fd, info) = pins::pinned(pin)?;
    match interface.mode_of(info.program).filter(|_| info.interface == interface.index) {
        Some(mode) => Some(Link { fd, mode, is_left: true, program: info.program }),
        None => {
            pins::remove(pin);
            None
        }
    }
}

fn not_ours(interface: &str, program: u32, pins: &Pins) -> DatapathError {
    let mut programs = aya::programs::loaded_programs().flatten();
    let name =
        programs.find(|info| info.id() == program).and_then(|info| info.name_as_str().map(str::to_owned));
    let name = name.filter(|name| !name.is_empty()).unwrap_or_else(|| "without a name".to_owned());
    let hint = if name == super::PROGRAM {
        format!(
            " (no dproxy that keeps its pins in {} left it: was control.bpffs another?)",
            pins.folder().display()
        )
    } else {
        String::new()
    };
    DatapathError(format!(
        "interface {interface} carries an XDP program that is not this dproxy's, and is left alone: {name}, id \
         {program}{hint}; `bpftool net show dev {interface}` tells how it is attached: detach it, or take \
         {interface} out of listen.interfaces"
    ))
}

fn refused(interface: &str, mode: XdpMode, error: &io::Error) -> DatapathError {
    let text = match error.raw_os_error() {
        Some(libc::EPERM) => super::NEEDS_ROOT.to_owned(),
        Some(libc::EOPNOTSUPP) => format!("the driver of {interface} has no {mode} XDP"),
        Some(libc::ENODEV) => {
            format!("interface {interface} has just gone; start dproxy again when it is back")
        }
        Some(libc::EBUSY | libc::EEXIST) => format!(
            "interface {interface}, or one on top of it, has just got another XDP program ({error}); `bpftool net` \
             lists them"
        ),
        _ => format!(
            "the driver of {interface} refuses {mode} XDP ({error}), often because of its MTU or number of \
             queues; `dmesg` may say why"
        ),
    };
    DatapathError(text)
}
