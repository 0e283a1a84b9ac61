//! Files as the disk has them.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use libc::{O_NOCTTY, O_NONBLOCK};

/// Octets of a file at most. All of it is held in memory, more than once.
const LIMIT: u64 = 1 << 30;

/// Reads a file, but nothing that only looks like one: a pipe might never end, a device might be anything.
pub(in crate::config) fn read(path: &Path) -> io::Result<Vec<u8>> {
    // Without O_NONBLOCK, already opening a pipe waits for somebody who writes into it.
    let file = OpenOptions::new().read(true).custom_flags(O_NONBLOCK | O_NOCTTY).open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(ErrorKind::IsADirectory.into());
    }
    if !metadata.is_file() {
        return Err(io::Error::other("it is a pipe, a socket or a device"));
    }
    within(file, metadata.len(), LIMIT)
}

/// All of a file that is of about this length, and of up to `limit` octets.
fn within(file: File, length: u64, limit: u64) -> io::Result<Vec<u8>> {
    let mut octets = Vec::new();
    // It may grow meanwhile.
    if length <= limit {
        file.take(limit + 1).read_to_end(&mut octets)?;
    }
    if length.max(octets.len() as u64) > limit {
        return Err(io::Error::new(ErrorKind::FileTooLarge, "it is too large"));
    }
    Ok(octets)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_within_its_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "abc").unwrap();
        // However long it was before it was read.
        for length in [0, 3] {
            let read = |limit| within(File::open(&path).unwrap(), length, limit);
            assert_eq!(read(3).unwrap(), b"abc");
            assert_eq!(read(2).unwrap_err().kind(), ErrorKind::FileTooLarge);
        }
    }

    #[test]
    fn a_file_that_is_far_too_large_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        File::create(&path).unwrap().set_len(LIMIT + 1).unwrap();
        assert_eq!(read(&path).unwrap_err().kind(), ErrorKind::FileTooLarge);
    }
}
