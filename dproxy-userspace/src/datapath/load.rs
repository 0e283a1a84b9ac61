//! From the object to a loaded program with maps of the right sizes.

use std::error::Error;
use std::io;
use std::iter;

use aya::{
    Ebpf, EbpfLoader, Pod,
    programs::{ProgramError, Xdp},
    util::KernelVersion,
};
use dproxy_common::{
    abi::{ABI_VERSION, MAGIC, NatSettings, Settings, TokenKeys},
    nat,
};

use super::{
    DatapathError, KernelOptions, NEEDS_ROOT, PROGRAM,
    flights::{self, Lent, Predecessor},
    maps,
};

/// The compiled program, as the build script leaves it.
pub(super) static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/dproxy"));

/// The same with calls in it: slower, but with less to look at for the verifier. That of Linux 6.1 gives up on the other
/// one.
pub(super) static OBJECT_WITH_CALLS: &[u8] =
    aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/dproxy-calls"));

/// The oldest kernel whose `BPF_PROG_TEST_RUN` takes metadata for XDP, which explaining needs.
const OLDEST: KernelVersion = KernelVersion::new(5, 15, 0);

/// [`Settings`] as the loader takes them.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Global(Settings);

// SAFETY: `Settings` is an `Entry`: integers, without padding.
unsafe impl Pod for Global {}

/// Why there is no fast path.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// This process cannot have one on this host, whatever the configuration says: it has no right to use
    /// BPF, or there is no BPF file system, or the kernel is too old.
    #[error(transparent)]
    Impossible(DatapathError),
    /// Something else is wrong.
    #[error(transparent)]
    Failed(#[from] DatapathError),
}

/// For whom it makes no difference.
impl From<LoadError> for DatapathError {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Impossible(error) | LoadError::Failed(error) => error,
        }
    }
}

impl LoadError {
    pub(super) fn impossible(text: impl Into<String>) -> Self {
        Self::Impossible(DatapathError(text.into()))
    }
}

/// Creates the maps, but for those of its predecessor's flights, if it takes these over, and loads the program. The
/// machine may have so many processors.
pub(super) fn load(
    options: &KernelOptions,
    predecessor: Option<&Predecessor>,
    processors: usize,
) -> Result<(Ebpf, Settings), LoadError> {
    if let Ok(running) = KernelVersion::current()
        && running < OLDEST
    {
        return Err(LoadError::impossible(format!(
            "this is Linux {running}; the fast path needs {OLDEST} or newer"
        )));
    }
    let settings = settings(options, predecessor.and_then(|predecessor| predecessor.nat))?;
    let ebpf = match load_object(OBJECT, settings, options, predecessor, processors)? {
        Some(ebpf) => ebpf,
        None => {
            tracing::info!("this kernel's verifier gives up on the faster program, so a slower one is used");
            load_object(OBJECT_WITH_CALLS, settings, options, predecessor, processors)?
                .ok_or_else(|| DatapathError("this kernel's verifier gives up on the program".to_owned()))?
        }
    };
    Ok((ebpf, settings))
}

/// The same with a certain object; `None` if it is more than the verifier looks at.
pub(super) fn load_object(
    object: &[u8],
    settings: Settings,
    options: &KernelOptions,
    predecessor: Option<&Predecessor>,
    processors: usize,
) -> Result<Option<Ebpf>, LoadError> {
    let lent = predecessor.map(|predecessor| Lent::new(predecessor, &options.bpffs)).transpose()?;
    let global = Global(settings);
    let mut loader = EbpfLoader::new();
    loader.override_global("SETTINGS", &global, true);
    // Off, the verifier removes what makes the lines.
    let log_level = if options.log_packets { aya_log::Level::Trace as u8 } else { 0 };
    loader.override_global(aya_log::LEVEL, &log_level, true);
    for (map, entries) in maps::sizes(&options.capacity) {
        loader.map_max_entries(map, entries);
    }
    loader.map_max_entries("ROUTE_COUNTERS", options.capacity.route_ids.saturating_mul(processors as u32));
    if let Some(lent) = &lent {
        for map in flights::MAPS {
            loader.map_pin_path(map, lent.path(map));
        }
    }
    let mut ebpf = loader.load(object).map_err(|error| explain_object(&error))?;
    match program_mut(&mut ebpf)?.load() {
        Ok(()) => Ok(Some(ebpf)),
        Err(error) if is_too_large(&error) => Ok(None),
        Err(error) => Err(explain_program(&error)),
    }
}

/// Has the verifier given up, rather than found a fault?
fn is_too_large(error: &ProgramError) -> bool {
    matches!(error, ProgramError::LoadError { io_error, .. } if io_error.raw_os_error() == Some(libc::E2BIG))
}

fn settings(options: &KernelOptions, nat: Option<NatSettings>) -> Result<Settings, DatapathError> {
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

/// The program of an object that [`load`] has loaded.
pub(super) fn program(ebpf: &Ebpf) -> Result<&Xdp, DatapathError> {
    ebpf.program(PROGRAM).and_then(|program| program.try_into().ok()).ok_or_else(incomplete)
}

fn program_mut(ebpf: &mut Ebpf) -> Result<&mut Xdp, DatapathError> {
    ebpf.program_mut(PROGRAM).and_then(|program| program.try_into().ok()).ok_or_else(incomplete)
}

/// The object and this code were not built together.
pub(super) fn incomplete() -> DatapathError {
    DatapathError("this dproxy was built with another eBPF object than its own; build it again".to_owned())
}

fn explain_object(error: &(dyn Error + 'static)) -> LoadError {
    let chain: Vec<_> = iter::successors(Some(error), |&error| error.source()).collect();
    let number = chain.iter().find_map(|error| error.downcast_ref::<io::Error>()?.raw_os_error());
    let text = chain.iter().map(ToString::to_string).collect::<Vec<_>>().join(": ");
    LoadError::Failed(DatapathError(match number {
        Some(libc::EPERM) => return LoadError::impossible(NEEDS_ROOT),
        Some(libc::ENOMEM | libc::E2BIG) => {
            format!("no memory for the tables ({text}); lower fast_path.slots or fast_path.routes")
        }
        _ => format!("cannot create the tables: {text}"),
    }))
}

pub(super) fn explain_program(error: &ProgramError) -> LoadError {
    let ProgramError::LoadError { io_error, verifier_log } = error else { return explain_object(error) };
    if io_error.raw_os_error() == Some(libc::EPERM) {
        return LoadError::impossible(NEEDS_ROOT);
    }
    let log = verifier_log.to_string();
    // Behind what is wrong come statistics.
    const STATISTICS: [&str; 3] = ["processed ", "stack depth ", "verification time "];
    let is_statistics = |line: &&str| line.is_empty() || STATISTICS.iter().any(|text| line.starts_with(text));
    let reason = log.lines().rev().find(|line| !is_statistics(line));
    LoadError::Failed(DatapathError(format!(
        "this kernel does not accept the program ({io_error}: {}); please report this with the output of `uname -r`",
        reason.unwrap_or("no reason given")
    )))
}
