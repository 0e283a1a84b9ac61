//! What is kept from one run to the next.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

const FILE: &str = "manifest";

/// A kernel that was downloaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kernel {
    /// What `uname -r` says.
    pub release: String,
    /// The file with its image, inside the folder.
    pub image: String,
    /// Its octets.
    pub octets: u64,
}

/// The kernels, in the order of the matrix.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// One for each row.
    pub kernels: Vec<Kernel>,
}

impl Manifest {
    /// What a folder says it has, if it has all of it.
    pub fn read(folder: &Path) -> Option<Self> {
        let manifest = Self::parse(&fs::read_to_string(folder.join(FILE)).ok()?)?;
        let is_there = |kernel: &Kernel| {
            fs::metadata(folder.join(&kernel.image)).is_ok_and(|file| file.len() == kernel.octets)
        };
        manifest.kernels.iter().all(is_there).then_some(manifest)
    }

    /// Writes it when all that it names is there.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let (file, new) = (folder.join(FILE), folder.join("manifest.new"));
        fs::write(&new, self.text())
            .and_then(|()| fs::rename(&new, &file))
            .with_context(|| format!("cannot write {}", file.display()))
    }

    fn parse(text: &str) -> Option<Self> {
        let kernel = |line: &str| {
            let [release, image, octets] = line.split('\t').collect::<Vec<_>>().try_into().ok()?;
            Some(Kernel {
                release: release.to_owned(),
                image: image.to_owned(),
                octets: octets.parse().ok()?,
            })
        };
        Some(Self { kernels: text.lines().map(kernel).collect::<Option<_>>()? })
    }

    fn text(&self) -> String {
        let line = |Kernel { release, image, octets }: &Kernel| format!("{release}\t{image}\t{octets}\n");
        self.kernels.iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kernel(name: &str, octets: u64) -> Kernel {
        Kernel { release: name.to_owned(), image: format!("vmlinuz-{name}"), octets }
    }

    #[test]
    fn what_is_written_is_read() {
        let manifest = Manifest { kernels: vec![kernel("6.1.0-57", 3), kernel("6.12.117+deb13", 1 << 33)] };
        assert_eq!(Manifest::parse(&manifest.text()), Some(manifest));
        assert_eq!(Manifest::parse("6.1.0-57\tvmlinuz-6.1.0-57\n"), None, "a field is missing");
        assert_eq!(Manifest::parse("6.1.0-57\tvmlinuz-6.1.0-57\tmany\n"), None);
    }

    #[test]
    fn a_folder_that_lacks_something_is_not_believed() {
        let folder = std::env::temp_dir().join(format!("dproxy-manifest-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("{error}"));
        let manifest = Manifest { kernels: vec![kernel("6.1.0-57", 3)] };
        manifest.write(&folder).unwrap_or_else(|error| panic!("{error:#}"));
        let image = folder.join("vmlinuz-6.1.0-57");
        assert_eq!(Manifest::read(&folder), None, "the image is missing");
        let write = |octets: &str| fs::write(&image, octets).unwrap_or_else(|error| panic!("{error}"));
        write("ab");
        assert_eq!(Manifest::read(&folder), None, "the image is not whole");
        write("abc");
        assert_eq!(Manifest::read(&folder), Some(manifest));
        fs::remove_dir_all(&folder).unwrap_or_else(|error| panic!("{error}"));
    }
}
