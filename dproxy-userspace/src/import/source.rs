//! Reads the original's files.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::note::{ImportError, Mistake, Note, Origin};
use super::prox::Entries;
use super::settings::{self, Settings};

/// All that the original's files say.
#[derive(Clone, Debug)]
pub struct Source {
    /// The folder that holds `config.gcfg`.
    pub(super) folder: PathBuf,
    pub(super) settings: Settings,
    pub(super) entries: Entries,
    pub(super) notes: Vec<Note>,
}

impl Source {
    /// Reads `config.gcfg` in `folder`, and the route files that it names.
    pub fn load(folder: &Path) -> Result<Self, ImportError> {
        let failed = |mistakes| ImportError { folder: folder.to_owned(), mistakes };
        let unreadable = |file: &str, error: io::Error, allowed: &str| {
            let origin = Origin { file: file.to_owned(), line: 0 };
            failed(vec![Mistake::new(&origin, format!("cannot be read: {error}"), allowed)])
        };
        let allowed = "the folder that the original dproxy was started in, with its config.gcfg";
        let file = folder.join(settings::FILE);
        if file.exists() && !file.is_file() {
            return Err(unreadable(settings::FILE, io::Error::other("not a regular file"), allowed));
        }
        let text = read(&file).map_err(|error| unreadable(settings::FILE, error, allowed))?;
        Self::read(folder, &text, |location, extension| {
            files(&folder.join(location), extension)
                .map_err(|error| unreadable(location, error, "the folder of the route files"))
        })
    }

    /// From texts: that of `config.gcfg`, and those of the route files by name, which `files` gives for a
    /// folder and an extension.
    pub(super) fn read(
        folder: &Path,
        text: &str,
        files: impl FnOnce(&str, &str) -> Result<Vec<(String, RouteFile)>, ImportError>,
    ) -> Result<Self, ImportError> {
        let (mut notes, mut mistakes) = (Vec::new(), Vec::new());
        let Some(settings) = settings::read(text, &mut notes, &mut mistakes) else {
            return Err(ImportError { folder: folder.to_owned(), mistakes });
        };
        let mut entries = Entries::default();
        for (name, file) in files(&settings.location, &settings.extension)? {
            // As the original puts it together.
            let name = format!("{}{name}", settings.location);
            match file {
                RouteFile::Text(text) => entries.read(&name, &text, &mut notes),
                RouteFile::Link => notes.push(skipped_link(name)),
            }
        }
        Ok(Self { folder: folder.to_owned(), settings, entries, notes })
    }
}

/// What there is under the name of a route file.
#[derive(Clone, Debug)]
pub(super) enum RouteFile {
    Text(String),
    Link,
}

fn skipped_link(file: String) -> Note {
    let text = "is a symbolic link, which the original skips; it is not converted.";
    Note::new(super::About::LeftOut, &Origin { file, line: 0 }, text)
}

/// The route files of a folder, by name.
fn files(folder: &Path, extension: &str) -> io::Result<Vec<(String, RouteFile)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // From the last dot on, as the original compares it.
        if name.rfind('.').map_or("", |dot| &name[dot..]) != extension {
            continue;
        }
        let kind = entry.file_type()?;
        if kind.is_file() {
            files.push((name, RouteFile::Text(read(&entry.path())?)));
        } else if kind.is_symlink() {
            files.push((name, RouteFile::Link));
        }
    }
    files.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(files)
}

/// A file's text. What is not UTF-8 is in no name that a query could match.
fn read(path: &Path) -> io::Result<String> {
    Ok(String::from_utf8_lossy(&fs::read(path)?).into_owned())
}
