//! Lines about single packets: from the program's ring into the log, at target `packets`.
//!
//! The program writes numbers, in the order of [`Line::parse`]; here they get their names.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::{self, PipeReader, PipeWriter};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use aya_log::EbpfLogger;
use dproxy_common::{
    abi::{NO_ID, NO_ROUTE},
    reason::Reason,
    wire::Address,
};
use log::{Log, Metadata, Record};
use nix::errno::Errno;
use nix::net::if_::if_indextoname;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tracing::{dispatcher, field, trace, warn};

use super::{DatapathError, objects};
use crate::config::Pattern;
use crate::control::{Patch, SnapshotNames};

/// What ids mean now.
#[derive(Debug, Default)]
struct Names(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    names: Arc<SnapshotNames>,
    /// Those of removed routes linger until somebody else gets their ids.
    routes: BTreeMap<u32, Pattern>,
}

impl Names {
    fn get(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads the ring until it is dropped.
#[derive(Debug)]
pub(super) struct PacketLog {
    names: Arc<Names>,
    /// Closed to end the reader.
    end: Option<PipeWriter>,
    reader: Option<JoinHandle<()>>,
}

impl PacketLog {
    /// Begins to read the ring of a loaded program, which takes CAP_SYS_ADMIN. The lines go where those of this thread go.
    pub(super) fn start(program: BorrowedFd<'_>) -> Result<Self, DatapathError> {
        let failed = |error: &dyn Display| DatapathError(format!("cannot log packets: {error}"));
        let names = Arc::<Names>::default();
        let id = objects::program_info(program).map_err(|error| failed(&error))?.id;
        let lines = EbpfLogger::init_from_id_with_logger(id, Naming(Arc::clone(&names)));
        let lines = lines.map_err(|error| failed(&error))?;
        let (ended, end) = io::pipe().map_err(|error| failed(&error))?;
        let log = dispatcher::get_default(Clone::clone);
        let reader = thread::Builder::new().name("packet-log".to_owned()).spawn(move || {
            dispatcher::with_default(&log, || read(lines, &ended));
        });
        Ok(Self { names, end: Some(end), reader: Some(reader.map_err(|error| failed(&error))?) })
    }

    /// From now on, ids mean these.
    pub(super) fn rename(&self, patch: &Patch) {
        let mut known = self.names.get();
        known.names = Arc::clone(&patch.names);
        known.routes.extend(patch.route_names());
    }
}

impl Drop for PacketLog {
    /// What is in the ring is still logged.
    fn drop(&mut self) {
        self.end = None;
        if self.reader.take().is_some_and(|reader| reader.join().is_err()) {
            warn!("the log of packets had ended early; please report this");
        }
    }
}

fn read(mut lines: EbpfLogger<Naming>, ended: &PipeReader) {
    loop {
        let mut waited_for = [lines.as_fd(), ended.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        let polled = poll(&mut waited_for, PollTimeout::NONE);
        let has_ended = waited_for[1].any() != Some(false);
        lines.flush();
        match polled {
            Ok(_) if has_ended => return,
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => {
                warn!("packets are no longer logged: {error}");
                return;
            }
        }
    }
}

/// What the program says about a packet.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    reason: Reason,
    interface: u32,
    length: u32,
    listener: u16,
    route: u32,
    pool: u16,
    backend: u16,
    source: Address,
    source_port: u16,
    suppressed: u64,
}

impl Line {
    fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split(' ').map(str::parse::<u64>);
        let mut next = || numbers.next()?.ok();
        let line = Self {
            reason: *Reason::ALL.get(usize::try_from(next()?).ok()?)?,
            interface: next()?.try_into().ok()?,
            length: next()?.try_into().ok()?,
            listener: next()?.try_into().ok()?,
            route: next()?.try_into().ok()?,
            pool: next()?.try_into().ok()?,
            backend: next()?.try_into().ok()?,
            source: Address { high: next()?, low: next()? },
            source_port: u16::from_be(next()?.try_into().ok()?),
            suppressed: next()?,
        };
        numbers.next().is_none().then_some(line)
    }

    fn log(&self, Known { names, routes }: &Known) {
        let Self { reason, length, listener, route, pool, backend, source_port, suppressed, .. } = *self;
        let interface = if_indextoname(self.interface).ok().and_then(|name| name.into_string().ok());
        let interface = interface.unwrap_or_else(|| self.interface.to_string());
        let source =
            (self.source != Address::default()).then(|| SocketAddr::new(self.source.into(), source_port));
        let listener = name(names.listeners.get(&listener), listener, listener == NO_ID);
        let route = name(routes.get(&route), route, route == NO_ROUTE);
        let pool = name(names.pools.get(&pool), pool, pool == NO_ID);
        let backend =
            name(names.backends.get(&backend).map(|member| &member.address), backend, backend == NO_ID);
        trace!(
            target: "packets",
            verdict = %reason.verdict().label(),
            interface = %interface,
            length,
            from = source.map(field::display),
            listener = listener.map(field::display),
            route = route.map(field::display),
            pool = pool.map(field::display),
            backend = backend.map(field::display),
            suppressed = (suppressed > 0).then_some(suppressed),
            "{}",
            reason.label(),
        );
    }
}

/// Who an id stands for; the id itself, if it has just become nobody's.
fn name(name: Option<&impl ToString>, id: impl Display, is_nobody: bool) -> Option<String> {
    (!is_nobody).then(|| name.map_or_else(|| format!("#{id}"), ToString::to_string))
}

/// Gives the numbers in the program's lines their names.
struct Naming(Arc<Names>);

impl Log for Naming {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let text = record.args().to_string();
        match Line::parse(&text) {
            Some(line) => line.log(&self.0.get()),
            None => trace!(target: "packets", "{text}"),
        }
    }

    fn flush(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_in_the_programs_order() {
        let Address { high, low } = Address::from("192.0.2.7".parse::<std::net::IpAddr>().unwrap());
        let port = 4711u16.to_be();
        let line = Line::parse(&format!("0 2 71 1 4294967295 65535 3 {high} {low} {port} 12"));
        let expected = Line {
            reason: Reason::QueryForwarded,
            interface: 2,
            length: 71,
            listener: 1,
            route: NO_ROUTE,
            pool: NO_ID,
            backend: 3,
            source: Address { high, low },
            source_port: 4711,
            suppressed: 12,
        };
        assert_eq!(line, Some(expected));
    }

    #[test]
    fn what_is_no_line_is_none() {
        for text in ["", "0", "0 1 2 3 4 5 6 7 8 9", "999 1 2 3 4 5 6 7 8 9 10", "0 1 2 3 4 5 6 7 8 9 10 11"]
        {
            assert_eq!(Line::parse(text), None, "{text:?}");
        }
    }
}
