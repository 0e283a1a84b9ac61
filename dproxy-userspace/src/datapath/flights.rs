//! What a program hands over to the next one: the queries that are under way.
//!
//! The maps of *flights* hold the slots, whom and how the ids in them mean, and counters by those ids. A program that
//! uses its predecessor's takes the replies to its predecessor's queries. Nothing but links has to be pinned for
//! that: a link has its program, and a program its maps.

use std::collections::BTreeMap;
use std::io;
use std::mem::{offset_of, size_of};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use dproxy_common::abi::{ABI_VERSION, MAGIC, NatSettings, Settings};

use super::bpf;
use super::loaded::{Loaded, own};
use super::objects::{self, MapInfo};
use super::{DatapathError, KernelOptions, maps};

/// The maps that are shared, in the order in which they are made.
pub(super) const MAPS: [&str; 11] = [
    "SLOTS",
    "NEXT_CHUNK",
    "PROCESSORS",
    "DIRECT",
    "BACKENDS",
    "LISTENERS",
    "NEXT_HOPS",
    "LISTENER_COUNTERS",
    "BACKEND_COUNTERS",
    "BACKEND_LATENCY",
    "PREDECESSOR",
];

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
            let map = describe(loaded.programs.map(name)?).map_err(|error: io::Error| {
                DatapathError(format!("cannot look into the map {name}: {error}"))
            })?;
            maps.insert(bpf::kept_name(name).to_owned(), map);
        }
        Ok(Self { program: own(loaded.programs.xdp.as_fd())?, nat: Some(loaded.settings.nat), maps })
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

    /// Can a program with these options, for so many processors, take over its flights?
    pub(super) fn fits(&self, options: &KernelOptions, processors: u32) -> bool {
        let sizes = maps::sizes(&options.capacity, processors);
        let has = |map: &str| {
            let wanted = sizes.iter().find(|size| size.name == map);
            let found = self.maps.get(bpf::kept_name(map));
            found.is_some_and(|(_, info)| {
                let octets = u64::from(info.value_size) * u64::from(info.max_entries);
                wanted.is_none_or(|wanted| wanted.octets() == octets)
            })
        };
        let ports = options.nat_ports;
        let wanted = (options.capacity.slot_bits, u32::from(ports.first()), u32::from(ports.bits()));
        let numbers = |nat: NatSettings| (nat.slot_bits, nat.port_first, nat.port_bits);
        self.nat.map(numbers) == Some(wanted) && MAPS.iter().all(|map| has(map))
    }

    /// The map of this name, if it is one of flights.
    pub(super) fn flight(&self, name: &str) -> Option<BorrowedFd<'_>> {
        if !MAPS.contains(&name) {
            return None;
        }
        self.maps.get(bpf::kept_name(name)).map(|(map, _)| map.as_fd())
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
