//! `include`: the files that hold more routes and pools.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use glob::{GlobError, MatchOptions, PatternError};
use toml::de::DeTable;

use super::files::Matched;
use super::reader::{Reader, Value};
use crate::config::problem::Place;
use crate::config::wording::Quoted;

/// Hidden files are left alone: editors, and our own writing of files, put unfinished ones there.
const OPTIONS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };
const WILDCARDS: [char; 3] = ['*', '?', '['];
const PATTERN: &str = "a path, from the folder of this file on, or a pattern: \"routes.d/*.routes\"";

/// The files that `include` names, each once, in the order in which they are read: that of the patterns, and
/// sorted for each. `main` is the file that they are included in.
pub(super) fn read(reader: &mut Reader, document: &DeTable<'_>, main: Option<&Path>) -> Vec<PathBuf> {
    let Some(value) = document.get("include") else { return Vec::new() };
    let Some(main) = main else {
        let what = "include is there, but this text has no folder that its paths could begin in";
        reader.refuse(value.span().start, what, "include in a file, or all routes and pools in one text");
        reader.spoil(Place::Pools);
        return Vec::new();
    };
    let Some(list) = reader.list("include", value, "a list of paths: [\"routes.d/*.routes\"]") else {
        reader.spoil(Place::Pools);
        return Vec::new();
    };
    let mut seen = HashSet::new();
    let mut files = Vec::new();
    for (index, item) in list.iter().enumerate() {
        let found = matches(reader, &format!("entry {} of include", index + 1), item, main);
        files.extend(found.into_iter().filter(|file| seen.insert(file.clone())));
    }
    files
}

/// The files that one entry means.
fn matches(reader: &mut Reader, subject: &str, item: &Value<'_>, main: &Path) -> Vec<PathBuf> {
    let offset = item.span().start;
    let folder = main.parent().unwrap_or(Path::new(""));
    let found = match reader.string(subject, item, PATTERN) {
        Some(path) if path.contains(WILDCARDS) => find(reader, folder, path),
        Some(path) => Ok(vec![folder.join(path)]),
        None => Ok(Vec::new()),
    };
    let Ok(mut files) = found.map_err(|what| reader.refuse(offset, format!("{subject} {what}"), PATTERN))
    else {
        reader.spoil(Place::Pools);
        return Vec::new();
    };
    files.retain(|file| {
        let itself = file == main;
        if itself {
            reader.refuse(offset, format!("{subject} is this very file, or matches it"), "other files");
        }
        !itself
    });
    files
}

/// The files that match a pattern, or what is wrong with it. The reader remembers them.
fn find(reader: &mut Reader, folder: &Path, pattern: &str) -> Result<Vec<PathBuf>, String> {
    let Some(folder) = folder.to_str() else {
        return Err("is a pattern, but the path of this file's folder is not UTF-8".to_owned());
    };
    let path = Path::new(&glob::Pattern::escape(folder)).join(pattern);
    let whole = path.to_string_lossy().into_owned();
    let files = expand(&whole).map_err(|error| match error {
        // Of the whole path, of which `position` in the error would be one.
        Unexpanded::Malformed(what) => format!("is {}, no pattern: {what}", Quoted(pattern)),
        Unexpanded::Unreadable(what) => format!("cannot be followed: {what}"),
    })?;
    reader.matched.push(Matched { pattern: whole, files: files.clone() });
    Ok(files)
}

/// Why nobody knows which files match a pattern.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unexpanded {
    Malformed(&'static str),
    Unreadable(String),
}

/// The files that match a whole path, sorted.
pub(super) fn expand(path: &str) -> Result<Vec<PathBuf>, Unexpanded> {
    let malformed = |error: PatternError| Unexpanded::Malformed(error.msg);
    let unreadable =
        |error: GlobError| Unexpanded::Unreadable(format!("{}: {}", error.path().display(), error.error()));
    let found = glob::glob_with(path, OPTIONS).map_err(malformed)?;
    let mut files = found.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
    files.sort();
    Ok(files)
}
