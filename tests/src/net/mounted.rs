//! A small disk, which can fill up and become read-only.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};

const NONE: Option<&str> = None;
const FILLING: &str = "filling";

/// A mount at a folder; gone when dropped.
pub struct Mounted(PathBuf);

impl Mounted {
    /// An empty disk of 64 KiB.
    pub fn small_disk(folder: &Path) -> Self {
        fs::create_dir_all(folder).unwrap();
        mount(Some("tmpfs"), folder, Some("tmpfs"), MsFlags::empty(), Some("size=64k")).unwrap();
        Self(folder.to_owned())
    }

    /// A read-only view of a folder, in its place.
    pub fn read_only(folder: &Path) -> Self {
        mount(Some(folder), folder, NONE, MsFlags::MS_BIND, NONE).unwrap();
        let mounted = Self(folder.to_owned());
        let flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
        mount(NONE, folder, NONE, flags, NONE).unwrap();
        mounted
    }

    /// Removes what a test that was killed has left mounted below a folder.
    pub fn remove_left(folder: &Path) {
        for file in ["state/generations", "state"] {
            while umount2(&folder.join(file), MntFlags::MNT_DETACH).is_ok() {}
        }
    }

    /// Fills the disk, to the last octet.
    pub fn fill(&self) {
        let mut file = File::create(self.0.join(FILLING)).unwrap();
        let full = (0..1 << 20).find_map(|_| file.write_all(&[0]).err()).unwrap();
        assert_eq!(full.kind(), ErrorKind::StorageFull, "the disk fills up: {full}");
    }

    /// Makes room again.
    pub fn make_room(&self) {
        fs::remove_file(self.0.join(FILLING)).unwrap();
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Detached: who still has files open there, as a daemon to be stopped, may keep them.
        if let Err(error) = umount2(&self.0, MntFlags::MNT_DETACH) {
            eprintln!("{} stays mounted: {error}", self.0.display());
        }
    }
}
