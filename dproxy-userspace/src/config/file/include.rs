//! `include`: the files that hold more routes and pools.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use glob::{GlobError, MatchOptions, PatternError};
use toml::de::DeTable;

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
        Some(path) if path.contains(WILDCARDS) => expand(folder, path),
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

/// The files that match a pattern, sorted, or what is wrong with it.
fn expand(folder: &Path, pattern: &str) -> Result<Vec<PathBuf>, String> {
    let malformed = |error: PatternError| format!("is {}, no pattern: {}", Quoted(pattern), error.msg);
    let unreadable =
        |error: GlobError| format!("cannot be followed: {}: {}", error.path().display(), error.error());
    let Some(folder) = folder.to_str() else {
        return Err("is a pattern, but the path of this file's folder is not UTF-8".to_owned());
    };
    let path = Path::new(&glob::Pattern::escape(folder)).join(pattern);
    // Of the whole path, of which `position` in the error would be one.
    let found = glob::glob_with(&path.to_string_lossy(), OPTIONS).map_err(malformed)?;
    let mut files = found.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
    files.sort();
    Ok(files)
}
