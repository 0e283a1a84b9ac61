//! One lab of a name at a time: a lock, and a folder for its files.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;
use std::{env, process};

use anyhow::{Context, Result, bail, ensure};
use nix::fcntl::{Flock, FlockArg};

const RUN: &str = "/run/dproxy-lab";

/// The right to use a name prefix, held by one process at a time, and the folder that goes with it.
/// Both are gone on drop; when the holder is killed, the next one takes over.
#[derive(Debug)]
pub struct Instance {
    prefix: String,
    folder: PathBuf,
    _lock: Flock<File>,
}

impl Instance {
    /// Takes `prefix`; fails when a living process has it, and says which.
    pub fn claim(prefix: &str) -> Result<Self> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        ensure!(
            !prefix.is_empty() && prefix.bytes().all(allowed),
            "the lab's name is {prefix:?}, but may only have a-z, 0-9 and -: it becomes part of the \
             names of network namespaces"
        );
        let lock = lock(prefix)?;
        let folder = Path::new(RUN).join(prefix);
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("remove {}", folder.display()))?;
        }
        make_folder(&folder)?;
        Ok(Self { prefix: prefix.to_owned(), folder, _lock: lock })
    }

    /// The prefix of everything that is named.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// A folder that is empty at first, for sockets, logs and configuration.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // Nothing can be done about a failure, and the next claim removes both anyway. The lock is
        // unlinked while it is held: whoever waits for it sees that and makes a new one.
        let _ = fs::remove_dir_all(&self.folder);
        let _ = fs::remove_file(lock_path(&self.prefix));
        let _ = fs::remove_dir(RUN);
    }
}

fn lock(prefix: &str) -> Result<Flock<File>> {
    let path = lock_path(prefix);
    let context = || format!("lock {}", path.display());
    loop {
        make_folder(Path::new(RUN))?;
        let mut options = OpenOptions::new();
        let file = match options.read(true).write(true).create(true).truncate(false).open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue, // The last lab just left.
            file => file.with_context(context)?,
        };
        let mut lock = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => lock,
            Err((file, nix::Error::EWOULDBLOCK)) => {
                let holder = holder(file).with_context(context)?;
                bail!(
                    "the lab {prefix:?} is already running: {holder}; stop that one first, or give this \
                     one another name"
                )
            }
            Err((_, error)) => return Err(error).with_context(context),
        };
        if !is_file(&lock, &path).with_context(context)? {
            continue; // Unlinked between our open and our lock.
        }
        lock.set_len(0).with_context(context)?;
        let command = env::args().collect::<Vec<_>>().join(" ");
        write!(lock, "pid {} ({command})", process::id()).with_context(context)?;
        return Ok(lock);
    }
}

/// Who has the lock, as they wrote into it. Who has just taken it needs a moment to write.
fn holder(mut file: File) -> io::Result<String> {
    let mut holder = String::new();
    for _ in 0..20 {
        file.read_to_string(&mut holder)?;
        if !holder.is_empty() {
            return Ok(holder);
        }
        sleep(Duration::from_millis(10));
    }
    Ok("by a process that does not say who it is".to_owned())
}

/// Whether `path` still is the opened `file`.
fn is_file(file: &File, path: &Path) -> io::Result<bool> {
    match fs::metadata(path) {
        Ok(named) => Ok(named.ino() == file.metadata()?.ino()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn lock_path(prefix: &str) -> PathBuf {
    Path::new(RUN).join(format!("{prefix}.lock"))
}

fn make_folder(path: &Path) -> Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o755).create(path);
    made.with_context(|| format!("make the folder {}", path.display()))
}
