//! What a program hands over to the next one: the queries that are under way.
//!
//! The maps of *flights* hold the slots, whom and how the ids in them mean, and counters by those ids. A program that
//! uses its predecessor's takes the replies to its predecessor's queries. Nothing but links has to be pinned for
//! that: a link has its program, and a program its maps.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::mem::{offset_of, size_of};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use dproxy_common::abi::{ABI_VERSION, MAGIC, NatSettings, Settings};

use super::bpf;
use super::loaded::{Loaded, own};
use super::objects::{self, MapInfo};
use super::{DatapathError, KernelOptions, maps};

/// The maps that are shared, in the order in which they are made.
pub(super) const MAPS: [&str; 10] = [
    "SLOTS",
    "NEXT_CHUNK",
    "PROCESSORS",
    "DIRECT",
    "BACKENDS",
    "LISTENERS",
    "NEXT_HOPS",
    "LISTENER_COUNTERS",
    "BACKEND_COUNTERS",
    "PREDECESSOR",
];

/// The kernel keeps so much of a map's name.
const NAME: usize = 15;

/// A program that serves, or has served until now.
#[derive(Debug)]
pub(super) struct Predecessor {
    pub(super) program: OwnedFd,
    /// How it numbers queries in flight, if it is of our schema.
    pub(super) nat: Option<NatSettings>,
    maps: BTreeMap<String, (OwnedFd, MapInfo)>,
}

impl Predecessor {
    /// The program of an id, as the kernel knows it.
    pub(super) fn of_id(id: u32) -> io::Result<Self> {
        Self::of(objects::program_by_id(id)?)
    }

    /// The program that this process has loaded. That takes no more rights than to load it.
    pub(super) fn of_this_process(loaded: &Loaded) -> Result<Self, DatapathError> {
        let describe = |map: BorrowedFd<'_>| Ok((map.try_clone_to_owned()?, objects::map_info(map)?));
        let mut maps = BTreeMap::new();
        for name in MAPS {
            let map = describe(loaded.map(name)?).map_err(|error: io::Error| {
                DatapathError(format!("cannot look into the map {name}: {error}"))
            })?;
            maps.insert(name[..name.len().min(NAME)].to_owned(), map);
        }
        Ok(Self { program: own(loaded.program()?)?, nat: Some(loaded.settings.nat), maps })
    }

    fn of(program: OwnedFd) -> io::Result<Self> {
        let (mut maps, mut nat) = (BTreeMap::new(), None);
        for id in objects::maps_of(program.as_fd())? {
            let map = objects::map_by_id(id)?;
            let info = objects::map_info(map.as_fd())?;
            if is_constant(&info) {
                nat = nat.or(settings(&bpf::look_up_only(map.as_fd(), info.value_size as usize)?));
            } else {
                maps.insert(name(&info), (map, info));
            }
        }
        Ok(Self { program, nat, maps })
    }

    /// Can a program with these options take over its flights?
    pub(super) fn fits(&self, options: &KernelOptions) -> bool {
        let sizes = maps::sizes(&options.capacity);
        let has = |map: &str| {
            let wanted = sizes.iter().find(|(name, _)| *name == map).map(|(_, entries)| *entries);
            let found = self.maps.get(&map[..map.len().min(NAME)]);
            found.is_some_and(|(_, info)| wanted.is_none_or(|entries| entries == info.max_entries))
        };
        let ports = options.nat_ports;
        let wanted = (options.capacity.slot_bits, u32::from(ports.first()), u32::from(ports.bits()));
        let numbers = |nat: NatSettings| (nat.slot_bits, nat.port_first, nat.port_bits);
        self.nat.map(numbers) == Some(wanted) && MAPS.iter().all(|map| has(map))
    }

    fn map(&self, name: &str) -> Option<BorrowedFd<'_>> {
        self.maps.get(&name[..name.len().min(NAME)]).map(|(map, _)| map.as_fd())
    }
}

/// Read-only data of a program are an array of one element that it may not write (linux/bpf.h).
const fn is_constant(info: &MapInfo) -> bool {
    const ARRAY: u32 = 2;
    const READ_ONLY_TO_PROGRAMS: u32 = 1 << 7;
    info.kind == ARRAY && info.max_entries == 1 && info.flags & READ_ONLY_TO_PROGRAMS != 0
}

fn name(info: &MapInfo) -> String {
    info.name.iter().take_while(|octet| **octet != 0).map(|octet| char::from(*octet)).collect()
}

/// The settings among a program's read-only data, if they are of our schema.
fn settings(data: &[u8]) -> Option<NatSettings> {
    let magic = MAGIC.to_ne_bytes();
    let first = (0..data.len()).step_by(8).find(|first| data[*first..].starts_with(&magic))?;
    let octets: &[u8; size_of::<Settings>()] = data[first..].first_chunk()?;
    let version = octets[offset_of!(Settings, abi_version)..].first_chunk().copied().map(u32::from_ne_bytes);
    // SAFETY: any octets are a `Settings`, which is an `Entry`; an array of octets need not be aligned.
    let settings = unsafe { octets.as_ptr().cast::<Settings>().read_unaligned() };
    (version == Some(ABI_VERSION)).then_some(settings.nat)
}

/// Names for a predecessor's maps, for as long as the loader needs to find them: it takes maps from a BPF file system
/// alone.
pub(super) struct Lent {
    folder: PathBuf,
}

/// How the folders' names begin; the process's id follows.
const FOLDER: &str = "loading-";

impl Lent {
    pub(super) fn new(predecessor: &Predecessor, bpffs: &Path) -> Result<Self, DatapathError> {
        remove_forgotten(bpffs);
        let lent = Self { folder: bpffs.join(format!("{FOLDER}{}", std::process::id())) };
        let lend = || -> io::Result<()> {
            fs::create_dir_all(&lent.folder)?;
            MAPS.into_iter().try_for_each(|name| {
                let map = predecessor.map(name).ok_or(io::ErrorKind::NotFound)?;
                bpf::pin(map, &lent.path(name))
            })
        };
        lend().map_err(|error| {
            DatapathError(format!("cannot lend maps in {}: {error}", lent.folder.display()))
        })?;
        Ok(lent)
    }

    /// Where a map is.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        remove(&self.folder);
    }
}

/// Removes what a process that was killed meanwhile has left.
fn remove_forgotten(bpffs: &Path) {
    for entry in fs::read_dir(bpffs).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let process = name.to_str().and_then(|name| name.strip_prefix(FOLDER));
        let is_forgotten = |process: &str| {
            process.parse() == Ok(std::process::id()) || !Path::new("/proc").join(process).exists()
        };
        if process.is_some_and(is_forgotten) {
            remove(&entry.path());
        }
    }
}

fn remove(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        super::pins::remove(&entry.path());
    }
    let _ = fs::remove_dir(folder);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_found_by_their_mark_and_of_this_schema_only() {
        let nat = NatSettings { slot_bits: 7, ..NatSettings::default() };
        let data = |abi_version: u32| {
            let settings = Settings { magic: MAGIC, abi_version, nat, ..Settings::ZERO };
            // SAFETY: `Settings` is an `Entry`.
            let octets: [u8; size_of::<Settings>()] = unsafe { std::mem::transmute(settings) };
            [&[1; 16][..], &octets, &[2; 8]].concat()
        };
        assert_eq!(settings(&data(ABI_VERSION)), Some(nat));
        assert_eq!(settings(&data(ABI_VERSION + 1)), None);
        assert_eq!(settings(&data(ABI_VERSION)[..50]), None);
        assert_eq!(settings(&[0; 200]), None);
    }
}
