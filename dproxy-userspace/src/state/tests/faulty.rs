//! A file system that remembers what a crash would leave of it, and fails when it is told to.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use nix::errno::Errno;

use crate::state::disk::{Disk, Output, System};

/// The files are real, so that they can be read; beside them is kept what is on the disk.
#[derive(Debug, Default)]
pub(super) struct Faulty {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    platter: Platter,
    /// What it was in front of each step.
    before: Vec<Platter>,
    fails: Range<usize>,
}

/// What was written, and what of it is on the disk.
#[derive(Clone, Debug, Default)]
pub(super) struct Platter {
    files: Vec<File>,
    /// Names on the disk.
    durable: BTreeMap<String, usize>,
    /// What has been done to names since, the oldest first.
    pending: Vec<Naming>,
}

#[derive(Clone, Debug, Default)]
struct File {
    content: Vec<u8>,
    /// So much of it is on the disk.
    durable: usize,
}

#[derive(Clone, Debug)]
enum Naming {
    Set(String, usize),
    Renamed(String, String, usize),
    Removed(String),
}

/// What a power cut leaves of what is not on the disk.
#[derive(Clone, Copy, Debug)]
pub(super) enum Torn {
    Nothing,
    Half,
    All,
}

impl Platter {
    /// What a process that is started after a SIGKILL finds.
    pub(super) fn after_kill(&self) -> BTreeMap<String, Vec<u8>> {
        self.after_power_cut(u64::MAX, Torn::All)
    }

    /// What is there after a power cut that let through those pending operations whose bits are set.
    pub(super) fn after_power_cut(&self, through: u64, torn: Torn) -> BTreeMap<String, Vec<u8>> {
        let mut names = self.durable.clone();
        for (bit, naming) in self.pending.iter().enumerate() {
            if through >> bit & 1 == 1 {
                naming.apply(&mut names);
            }
        }
        let content = |file: &File| {
            let rest = file.content.len() - file.durable;
            let length = match torn {
                Torn::Nothing => file.durable,
                Torn::Half => file.durable + rest / 2,
                Torn::All => file.durable + rest,
            };
            file.content[..length].to_vec()
        };
        names.into_iter().map(|(name, file)| (name, content(&self.files[file]))).collect()
    }

    pub(super) fn pending(&self) -> usize {
        self.pending.len()
    }

    fn now(&self) -> BTreeMap<String, usize> {
        let mut names = self.durable.clone();
        self.pending.iter().for_each(|naming| naming.apply(&mut names));
        names
    }
}

impl Naming {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Set(name, file) => {
                names.insert(name.clone(), *file);
            }
            Self::Renamed(from, to, file) => {
                names.remove(from);
                names.insert(to.clone(), *file);
            }
            Self::Removed(name) => {
                names.remove(name);
            }
        }
    }
}

impl Faulty {
    /// One that is full in some of its steps: it takes no more data then, but removes and renames.
    pub(super) fn full_in(steps: Range<usize>) -> Self {
        let faulty = Self::default();
        faulty.lock().fails = steps;
        faulty
    }

    /// How many steps were made.
    pub(super) fn steps(&self) -> usize {
        self.lock().before.len()
    }

    /// What was there in front of each step.
    pub(super) fn platters(&self) -> Vec<Platter> {
        self.lock().before.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl State {
    /// Makes a step, unless it is to fail.
    fn step(&mut self, needs_room: bool) -> io::Result<()> {
        let full = needs_room && self.fails.contains(&self.before.len());
        self.before.push(self.platter.clone());
        if full { Err(Errno::ENOSPC.into()) } else { Ok(()) }
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

impl Disk for Faulty {
    fn create(&self, path: &Path) -> io::Result<Box<dyn Output>> {
        let mut state = self.lock();
        state.step(true)?;
        let real = System.create(path)?;
        let file = state.platter.files.len();
        state.platter.files.push(File::default());
        state.platter.pending.push(Naming::Set(name(path), file));
        Ok(Box::new(Writing { state: Arc::clone(&self.state), file, real }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.step(false)?;
        let file = state.platter.now()[&name(from)];
        state.platter.pending.push(Naming::Renamed(name(from), name(to), file));
        System.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.step(false)?;
        state.platter.pending.push(Naming::Removed(name(path)));
        System.remove(path)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        // Making the folder itself is no step.
        if name(path) != "generations" {
            return Ok(());
        }
        let mut state = self.lock();
        state.step(true)?;
        state.platter.durable = state.platter.now();
        state.platter.pending.clear();
        Ok(())
    }
}

struct Writing {
    state: Arc<Mutex<State>>,
    file: usize,
    real: Box<dyn Output>,
}

impl Write for Writing {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let mut state = self.state.lock().unwrap();
        state.step(true)?;
        state.platter.files[self.file].content.extend_from_slice(octets);
        self.real.write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.real.flush()
    }
}

impl Output for Writing {
    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.state.lock().unwrap();
        state.step(true)?;
        let file = &mut state.platter.files[self.file];
        file.durable = file.content.len();
        Ok(())
    }
}
