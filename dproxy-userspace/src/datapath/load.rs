//! From the object to a loaded program with maps of the right sizes.

use std::io;
use std::mem;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use aya::util::KernelVersion;
use dproxy_common::{
    abi::{ABI_VERSION, MAGIC, NatSettings, Settings, TokenKeys},
    nat,
};

use super::{
    DatapathError, KernelOptions, NEEDS_ROOT, PROGRAM,
    bpf::{self, Definition, ProgramKind},
    egress,
    flights::Predecessor,
    loaded::own,
    maps::{self, Size},
    object::{MapError, Maps, Object, Refusal},
};

/// The compiled program, as the build script leaves it.
pub(super) static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/dproxy"));

/// The oldest kernel whose arrays have elements of more than 4 MiB (array_map_alloc_check), which tables need.
const OLDEST: KernelVersion = KernelVersion::new(6, 1, 0);

/// What the kernel has of an object.
#[derive(Debug)]
pub(super) struct Programs {
    pub(super) xdp: OwnedFd,
    /// If the kernel takes it.
    pub(super) egress: Option<OwnedFd>,
    /// Whether it can be attached, see [`egress::load`].
    pub(super) egress_attachable: Result<(), String>,
    maps: Maps,
}

impl Programs {
    /// A map, or a table.
    pub(super) fn map(&self, name: &str) -> Result<BorrowedFd<'_>, DatapathError> {
        self.maps.get(name).map(AsFd::as_fd).ok_or_else(incomplete)
    }
}

/// Why there is no fast path.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// This process cannot have one on this host, whatever the configuration says: it has no right to use
    /// BPF, or there is no BPF file system, or the kernel is too old.
    #[error(transparent)]
    Impossible(DatapathError),
    /// The kernel's verifier does not take the program, and no program of an earlier process serves, which going on
    /// without a fast path would remove.
    #[error(transparent)]
    Refused(DatapathError),
    /// Something else is wrong.
    #[error(transparent)]
    Failed(#[from] DatapathError),
}

/// For whom it makes no difference.
impl From<LoadError> for DatapathError {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Impossible(error) | LoadError::Refused(error) | LoadError::Failed(error) => error,
        }
    }
}

impl LoadError {
    pub(super) fn impossible(text: impl Into<String>) -> Self {
        Self::Impossible(DatapathError(text.into()))
    }

    /// What it is while a program of an earlier process serves: then a refused program is no reason to do without.
    pub(super) fn while_served(self) -> Self {
        match self {
            Self::Refused(why) => Self::Failed(DatapathError(format!(
                "{why}; the fast path of the dproxy before serves on: start that version again, or remove it (`dproxy \
                 detach`), and all queries take the slow path"
            ))),
            Self::Impossible(_) | Self::Failed(_) => self,
        }
    }
}

/// Creates the maps, but for those of its predecessor's flights, if it takes these over, and loads the program. Numbers of
/// the machine's processors are below `processors`.
pub(super) fn load(
    options: &KernelOptions,
    predecessor: Option<&Predecessor>,
    processors: u32,
) -> Result<(Programs, Settings), LoadError> {
    if let Ok(running) = KernelVersion::current()
        && running < OLDEST
    {
        return Err(LoadError::impossible(format!(
            "this is Linux {running}; the fast path needs {OLDEST} or newer"
        )));
    }
    let settings = settings(options, processors, predecessor.and_then(|predecessor| predecessor.nat))?;
    let programs = load_object(settings, options, predecessor)?;
    Ok((programs, settings))
}

fn load_object(
    settings: Settings,
    options: &KernelOptions,
    predecessor: Option<&Predecessor>,
) -> Result<Programs, LoadError> {
    // SAFETY: `Settings` is an `Entry`: integers, without padding.
    let octets: [u8; size_of::<Settings>()] = unsafe { mem::transmute(settings) };
    // Off, the verifier removes what makes the lines.
    let log_level = [if options.log_packets { aya_log::Level::Trace as u8 } else { 0 }];
    let mut object = Object::read(OBJECT, &[("SETTINGS", &octets), (aya_log::LEVEL, &log_level)])?;
    let sizes = maps::sizes(&options.capacity, settings.processors);
    object.link(|name, is_table| -> Result<Option<OwnedFd>, LoadError> {
        if let Some(flight) = predecessor.and_then(|predecessor| predecessor.flight(name)) {
            return Ok(Some(own(flight)?));
        }
        let size = sizes.iter().find(|size| size.name == name);
        size.map(|size| create(size, is_table)).transpose()
    })?;
    let xdp = object.load(PROGRAM, ProgramKind::Xdp).map_err(|refusal| explain(&refusal))?;
    let (egress, egress_attachable) = egress::load(&object);
    Ok(Programs { xdp, egress, egress_attachable, maps: object.into_maps() })
}

/// The verifier follows no offset in an element beyond this (`BPF_MAX_VAR_OFF`).
const LARGEST_TABLE: u64 = 1 << 29;

/// Creates a map. As a table, it has one element for all entries.
fn create(size: &Size, is_table: bool) -> Result<OwnedFd, LoadError> {
    let definition = match is_table {
        false => Definition::array(size.entry, size.entries),
        true if size.octets() <= LARGEST_TABLE => Definition::array(size.octets() as u32, 1),
        true => {
            let error =
                io::Error::other(format!("it would have {} octets of {LARGEST_TABLE}", size.octets()));
            return Err(LoadError::Failed(no_memory(size.name, &error)));
        }
    };
    let created = bpf::create_map(size.name, &definition);
    Ok(created.map_err(|error| MapError { name: size.name.to_owned(), error })?)
}

impl From<MapError> for LoadError {
    fn from(MapError { name, error }: MapError) -> Self {
        match error.raw_os_error() {
            Some(libc::EPERM) => LoadError::impossible(NEEDS_ROOT),
            Some(libc::ENOMEM | libc::E2BIG) => Self::Failed(no_memory(&name, &error)),
            _ => Self::Failed(DatapathError(format!("cannot create the table {name}: {error}"))),
        }
    }
}

fn no_memory(name: &str, error: &io::Error) -> DatapathError {
    DatapathError(format!(
        "no memory for the tables ({name}: {error}); lower fast_path.slots or fast_path.routes"
    ))
}

fn settings(
    options: &KernelOptions,
    processors: u32,
    nat: Option<NatSettings>,
) -> Result<Settings, DatapathError> {
    let [explain_key, first, second] = random()?;
    let KernelOptions { capacity, nat_ports, .. } = options;
    let token_bits = nat::token_bits(u32::from(nat_ports.bits()));
    let token_keys = TokenKeys::from_random([first as u32, (first >> 32) as u32, second as u32], token_bits);
    let ours = NatSettings {
        token_keys,
        slot_bits: capacity.slot_bits,
        port_first: u32::from(nat_ports.first()),
        port_bits: u32::from(nat_ports.bits()),
    };
    Ok(Settings {
        magic: MAGIC,
        abi_version: ABI_VERSION,
        explain_key,
        nat: nat.unwrap_or(ours),
        route_buckets: capacity.route_buckets,
        routes: capacity.routes,
        long_names: capacity.long_names,
        pools: capacity.pool_ids(),
        route_ids: capacity.route_ids,
        backends: capacity.backend_ids,
        listeners: capacity.listener_ids,
        next_hops: capacity.next_hops,
        processors,
        reserved: 0,
        candidate_lines: capacity.candidate_lines,
    })
}

/// Random words from the kernel.
pub(super) fn random<const N: usize>() -> Result<[u64; N], DatapathError> {
    let mut words = [0; N];
    let octets = size_of_val(&words);
    // SAFETY: the kernel writes at most so many octets, and any octets are integers.
    match unsafe { libc::getrandom(words.as_mut_ptr().cast(), octets, 0) } {
        // Up to 256 octets come whole, or not at all (getrandom(2)).
        read if read as usize == octets => Ok(words),
        _ => Err(DatapathError(format!("cannot get random numbers: {}", io::Error::last_os_error()))),
    }
}

/// The object and this code were not built together.
pub(super) fn incomplete() -> DatapathError {
    DatapathError("this dproxy was built with another eBPF object than its own; build it again".to_owned())
}

/// Why the kernel does not take a program.
pub(super) fn explain(Refusal { error, log }: &Refusal) -> LoadError {
    if error.raw_os_error() == Some(libc::EPERM) {
        return LoadError::impossible(NEEDS_ROOT);
    }
    // Behind what is wrong come statistics.
    const STATISTICS: [&str; 3] = ["processed ", "stack depth ", "verification time "];
    let is_statistics = |line: &&str| line.is_empty() || STATISTICS.iter().any(|text| line.starts_with(text));
    let reason = log.lines().rev().find(|line| !is_statistics(line));
    LoadError::Refused(DatapathError(format!(
        "this kernel does not accept the program ({error}: {}); please report this with the output of `uname -r`",
        reason.unwrap_or("no reason given")
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{Capacity, MAX_ROUTES};

    #[test]
    fn the_largest_tables_can_be_made() {
        // As many slots as the configuration allows.
        let capacity = Capacity { long_names: MAX_ROUTES, ..Capacity::for_routes(MAX_ROUTES, 23) };
        let object = aya_obj::Object::parse(OBJECT).unwrap();
        let is_table = |size: &&Size| object.maps.contains_key(&format!(".bss.{}", size.name));
        let sizes = maps::sizes(&capacity, 256);
        let tables: Vec<_> = sizes.iter().filter(is_table).collect();
        assert!(tables.len() > 10);
        let too_large: Vec<_> = tables.iter().filter(|size| size.octets() > LARGEST_TABLE).collect();
        assert!(too_large.is_empty(), "{too_large:?}");
    }

    #[test]
    fn a_refused_program_is_no_reason_to_remove_the_one_before() {
        let refused = || LoadError::Refused(DatapathError("the reason".to_owned()));
        let LoadError::Failed(DatapathError(text)) = refused().while_served() else {
            panic!("going on without a fast path would remove the one that serves")
        };
        assert!(text.starts_with("the reason; ") && text.contains("dproxy detach"), "{text}");
        assert!(matches!(LoadError::impossible("no rights").while_served(), LoadError::Impossible(_)));
    }
}
