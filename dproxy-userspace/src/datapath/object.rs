//! The compiled object, and what the kernel makes of it.
//!
//! aya-obj reads and relocates it. Maps are created, and programs loaded, with bpf(2): a loader that creates every map of
//! an object as it stands there has no tables, whose size the object does not know, and takes a predecessor's maps only
//! if they are pinned.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use aya_obj::{EbpfSectionKind, Map};

use super::{
    DatapathError,
    bpf::{self, Definition, ProgramKind},
    load::incomplete,
};

/// How the sections of tables are called; their names follow.
const TABLES: &str = ".bss.";

/// An object with its maps, which is not loaded yet.
#[derive(Debug)]
pub(super) struct Object {
    parsed: aya_obj::Object,
    maps: Maps,
}

/// Maps by name, tables among them.
pub(super) type Maps = BTreeMap<String, OwnedFd>;

/// A program that the kernel does not take.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) error: io::Error,
    /// What the verifier says.
    pub(super) log: String,
}

impl Object {
    /// Reads an object, and sets these constants in it, by name.
    pub(super) fn read(octets: &[u8], constants: &[(&str, &[u8])]) -> Result<Self, DatapathError> {
        let mut parsed = aya_obj::Object::parse(octets).map_err(|_| incomplete())?;
        let constants: HashMap<_, _> =
            constants.iter().map(|(name, value)| (*name, (*value, true))).collect();
        parsed.patch_map_data(constants).map_err(|_| incomplete())?;
        Ok(Self { parsed, maps: Maps::new() })
    }

    /// Gives the programs their maps. `other` has the maps that are not to be created as the object says; of the tables,
    /// it must have all.
    pub(super) fn link<E: From<DatapathError> + From<MapError>>(
        &mut self,
        mut other: impl FnMut(&str, bool) -> Result<Option<OwnedFd>, E>,
    ) -> Result<(), E> {
        let described: Vec<(String, Map)> = self.parsed.maps.drain().collect();
        for (section, map) in &described {
            let name = section.strip_prefix(TABLES).unwrap_or(section);
            let made = match other(name, map.section_kind() == EbpfSectionKind::Bss)? {
                Some(made) => made,
                None => create(name, map).map_err(|error| MapError { name: name.to_owned(), error })?,
            };
            self.maps.insert(name.to_owned(), made);
        }
        let linked = described.iter().filter_map(|(section, map)| {
            let made = self.maps.get(section.strip_prefix(TABLES).unwrap_or(section))?;
            Some((section.as_str(), made.as_raw_fd(), map))
        });
        let code = self.parsed.functions.keys().map(|(section, _)| *section).collect();
        self.parsed.relocate_maps(linked, &code).map_err(|_| incomplete())?;
        self.parsed.relocate_calls(&code).map_err(|_| incomplete())?;
        Ok(())
    }

    /// Loads the program of this name.
    pub(super) fn load(&self, name: &str, kind: ProgramKind) -> Result<OwnedFd, Refusal> {
        let program = self.parsed.programs.get(name);
        let function = program.and_then(|program| self.parsed.functions.get(&program.function_key()));
        let Some(function) = function else {
            return Err(Refusal { error: io::ErrorKind::NotFound.into(), log: incomplete().0 });
        };
        let (instructions, license) = (&function.instructions, &self.parsed.license);
        let mut loaded = bpf::load_program(kind, name, instructions, license, None);
        for _ in 0..INTERRUPTIONS {
            match &loaded {
                Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => {
                    loaded = bpf::load_program(kind, name, instructions, license, None);
                }
                Ok(_) | Err(_) => break,
            }
        }
        loaded.map_err(|error| {
            // Once more, for what the verifier says.
            let mut log = vec![0; LOG];
            let _ = bpf::load_program(kind, name, instructions, license, Some(&mut log));
            let end = log.iter().position(|octet| *octet == 0).unwrap_or(log.len());
            Refusal { error, log: String::from_utf8_lossy(&log[..end]).into_owned() }
        })
    }

    /// The maps.
    pub(super) fn into_maps(self) -> Maps {
        self.maps
    }
}

/// A signal to this thread makes the verifier end early (bpf_check, EAGAIN); it is asked again, so often.
const INTERRUPTIONS: u32 = 20;

/// Room for what the verifier says.
const LOG: usize = 1 << 24;

/// A map that cannot be created.
#[derive(Debug)]
pub(super) struct MapError {
    pub(super) name: String,
    pub(super) error: io::Error,
}

/// Creates a map as the object says, with what is in it.
fn create(name: &str, map: &Map) -> io::Result<OwnedFd> {
    let made = bpf::create_map(
        name,
        &Definition {
            kind: map.map_type(),
            key_size: map.key_size(),
            value_size: map.value_size(),
            max_entries: map.max_entries(),
            flags: map.map_flags(),
        },
    )?;
    if !map.data().is_empty() {
        // SAFETY: a section's map is made for its data.
        unsafe { bpf::update(made.as_fd(), 0, map.data()) }?;
    }
    if map.section_kind() == EbpfSectionKind::Rodata {
        bpf::freeze(made.as_fd())?;
    }
    Ok(made)
}
