//! Where links outlive the process: a folder in a BPF file system.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::sys::statfs::{BPF_FS_MAGIC, statfs};

use super::{
    DatapathError, LoadError, bpf,
    objects::{self, LinkInfo},
};

/// The pinned links: `<bpffs>/links/<network namespace>-<interface index>`, and the same with `-egress`. For a while
/// after a program of another schema was replaced, also the map that has it.
///
/// By index, not by name: a link stays with its interface when that is renamed, and a name may have a
/// dot, which a BPF file system does not take. The namespace's number keeps interfaces with one index
/// apart. There is no ABI version in it: a link can be handed to a program of any version.
#[derive(Debug)]
pub(super) struct Pins {
    folder: PathBuf,
    namespace: u64,
    /// Was there no folder `bpffs` before?
    made_all: bool,
}

impl Pins {
    /// Makes the folder below `bpffs`.
    pub(super) fn open(bpffs: &Path) -> Result<Self, LoadError> {
        check_mounted(bpffs)?;
        let pins = Self::at(bpffs)?;
        pins.make_folder()?;
        Ok(pins)
    }

    /// Those that there are below `bpffs`, if there is a folder for them.
    pub(super) fn existing(bpffs: &Path) -> Result<Option<Self>, DatapathError> {
        let pins = Self::at(bpffs)?;
        Ok(pins.folder.exists().then_some(pins))
    }

    fn at(bpffs: &Path) -> Result<Self, DatapathError> {
        let namespace = fs::metadata("/proc/thread-self/ns/net").map_err(|error| {
            DatapathError(format!("cannot read /proc/thread-self/ns/net: {error}; mount /proc"))
        })?;
        Ok(Self { folder: bpffs.join("links"), namespace: namespace.ino(), made_all: !bpffs.exists() })
    }

    fn make_folder(&self) -> Result<(), DatapathError> {
        fs::create_dir_all(&self.folder).map_err(|error| {
            DatapathError(format!(
                "cannot make the folder {}: {error}; control.bpffs must name a folder that dproxy may write \
                 to, without a dot in its name",
                self.folder.display()
            ))
        })
    }

    /// Pins a link or a map at a path, if it is not.
    pub(super) fn pin(&self, link: BorrowedFd<'_>, path: &Path) -> Result<(), DatapathError> {
        // Another dproxy that has ended may have removed it.
        self.make_folder()?;
        match bpf::pin(link, path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                Err(DatapathError(format!("cannot pin anything at {}: {error}", path.display())))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// The same, whose folders are removed at the end, if they are empty, whoever made them.
    pub(super) fn removed_at_end(mut self) -> Self {
        self.made_all = true;
        self
    }

    /// From now on, the folder stays.
    pub(super) fn stay(&mut self) {
        self.made_all = false;
    }

    /// The folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the egress program's link of an interface is pinned.
    pub(super) fn egress_path(&self, interface: u32) -> PathBuf {
        self.folder.join(format!("{}-{interface}{EGRESS}", self.namespace))
    }

    /// Where the link of an interface is pinned.
    pub(super) fn path(&self, interface: u32) -> PathBuf {
        self.folder.join(format!("{}-{interface}", self.namespace))
    }

    /// Keeps the predecessor of the program of an interface, which the kernel would remove from the map with the
    /// process.
    pub(super) fn pin_predecessor(&self, map: BorrowedFd<'_>, interface: u32) -> Result<(), DatapathError> {
        let path = self.own_predecessor_path(interface);
        // From a process of the same number, long ago.
        remove(&path);
        self.pin(map, &path)
    }

    /// Lets go what this process has kept so.
    pub(super) fn remove_own_predecessor(&self, interface: u32) {
        remove(&self.own_predecessor_path(interface));
    }

    /// Lets go what any process has kept so.
    pub(super) fn remove_predecessors(&self, interface: u32) {
        let prefix = self.predecessor_prefix(interface);
        let is_predecessor =
            |path: &PathBuf| path.file_name().and_then(|name| name.to_str()?.strip_prefix(&prefix)).is_some();
        self.all().filter(is_predecessor).for_each(|path| remove(&path));
    }

    fn own_predecessor_path(&self, interface: u32) -> PathBuf {
        self.folder.join(format!("{}{}", self.predecessor_prefix(interface), std::process::id()))
    }

    fn predecessor_prefix(&self, interface: u32) -> String {
        format!("{}-{interface}-predecessor-", self.namespace)
    }

    /// The interfaces of this namespace for which there is a pin.
    pub(super) fn interfaces(&self) -> BTreeSet<u32> {
        let namespace = self.namespace.to_string();
        let index = |path: PathBuf| {
            let (of, index) = path.file_name()?.to_str()?.split_once('-')?;
            if of == namespace { index.strip_suffix(EGRESS).unwrap_or(index).parse().ok() } else { None }
        };
        self.all().filter_map(index).collect()
    }

    /// Removes the pins, of any namespace, whose interface is gone.
    pub(super) fn remove_dead(&self) {
        let is_dead = |path: &PathBuf| pinned(path).is_some_and(|(_, info)| info.interface == 0);
        self.all().filter(is_dead).for_each(|path| remove(&path));
    }

    fn all(&self) -> impl Iterator<Item = PathBuf> + use<> {
        fs::read_dir(&self.folder).into_iter().flatten().flatten().map(|entry| entry.path())
    }
}

impl Drop for Pins {
    /// Leaves no empty folders of its own behind.
    fn drop(&mut self) {
        let is_empty = fs::remove_dir(&self.folder).is_ok();
        if let Some(bpffs) = self.folder.parent().filter(|_| is_empty && self.made_all) {
            // It may hold what is not dproxy's.
            let _ = fs::remove_dir(bpffs);
        }
    }
}

/// How the names of the egress program's pins end.
const EGRESS: &str = "-egress";

/// The link pinned at a path, and what it is.
pub(super) fn pinned(path: &Path) -> Option<(OwnedFd, LinkInfo)> {
    let link = bpf::open_pin(path).ok()?;
    let info = objects::link_info(link.as_fd()).ok()?;
    matches!(info.kind, LinkInfo::XDP | LinkInfo::TCX).then_some((link, info))
}

/// Removes a pin, if it is there.
pub(super) fn remove(path: &Path) {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!("cannot remove {}: {error}", path.display());
        }
        Ok(()) | Err(_) => {}
    }
}

/// The folder itself may be still to be made, so its nearest existing parent tells.
fn check_mounted(bpffs: &Path) -> Result<(), LoadError> {
    let existing = bpffs.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    match statfs(existing) {
        Ok(found) if found.filesystem_type() == BPF_FS_MAGIC => Ok(()),
        Ok(_) => Err(LoadError::impossible(format!(
            "{} is not in a BPF file system; mount one with `mount -t bpf bpf /sys/fs/bpf`, or let \
             control.bpffs name a folder in another one",
            bpffs.display()
        ))),
        Err(error) => Err(DatapathError(format!("cannot look at {}: {error}", existing.display())).into()),
    }
}
