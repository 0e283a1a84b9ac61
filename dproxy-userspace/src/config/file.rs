//! From the text of a configuration file, and of those that it includes, to a
//! [`Config`], or to everything that is wrong with it.
//!
//! The text is walked by hand rather than deserialized, because an operator wants all problems at
//! once, each with its place.

mod disk;
mod files;
mod health;
mod include;
mod listen;
mod plain;
mod pools;
mod reader;
mod report;
mod routes;
mod settings;
mod source;
mod syntax;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::mem;
use std::path::Path;
use std::rc::Rc;

use toml::de::DeTable;

use super::model::{Config, Pool};
use super::problem::Place;
use super::rules::check;
pub(super) use disk::read as read_octets;
pub use files::Files;
use files::{Matched, Version};
pub(super) use plain::words;
use reader::Reader;
pub use report::{ConfigError, FileProblem, Position};
use routes::Routes;
use source::{Source, Spot};

/// Gives the octets of a file.
pub(super) type Fetch<'f> = &'f dyn Fn(&Path) -> io::Result<Vec<u8>>;

impl Config {
    /// Reads the file at `path`, and those that it includes.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        load(path.as_ref(), &disk::read)
    }

    /// The same, with the files as they were before they were read.
    pub fn load_with_files(path: impl AsRef<Path>) -> (Result<Self, ConfigError>, Files) {
        let versions = RefCell::new(Vec::new());
        let (config, matched) = load_and_match(path.as_ref(), &|path| {
            versions.borrow_mut().push((path.to_owned(), Version::of(path)));
            disk::read(path)
        });
        (config, Files { versions: versions.into_inner(), matched })
    }

    /// Reads a configuration from `text`; messages call it `origin`. It cannot include files.
    pub fn parse(text: &str, origin: &str) -> Result<Self, ConfigError> {
        let mut reader = Reader::default();
        let source = reader.open(Source::new(origin, text));
        let config = read(&mut reader, &source, None);
        reader.finish().map(|()| config)
    }
}

/// As [`Config::load`], from whatever gives the octets of files.
pub(super) fn load(path: &Path, fetch: Fetch<'_>) -> Result<Config, ConfigError> {
    load_and_match(path, fetch).0
}

/// The same, with the files that patterns of `include` mean.
fn load_and_match(path: &Path, fetch: Fetch<'_>) -> (Result<Config, ConfigError>, Vec<Matched>) {
    let mut reader = Reader::default();
    let config = match open(&mut reader, path, fetch, MAIN_FILE) {
        Some(source) => read(&mut reader, &source, Some((path, fetch))),
        None => Config::default(),
    };
    let matched = mem::take(&mut reader.matched);
    (reader.finish().map(|()| config), matched)
}

/// Reads a configuration whose main text has been opened.
fn read(reader: &mut Reader, source: &Source, main: Option<(&Path, Fetch<'_>)>) -> Config {
    let mut config = Config::default();
    let (document, errors) = DeTable::parse_recoverable(source.text());
    if syntax::report(reader, source, errors) {
        let document = document.get_ref();
        reader.keys("the file", document, &KEYS);
        config.listen = listen::read(reader, document);
        config.fast_path = settings::fast_path(reader, document);
        config.slow_path = settings::slow_path(reader, document);
        config.control = settings::control(reader, document);
        config.health = health::read(reader, document);
        let mut routes = Routes::default();
        pools::read(reader, document, &mut config.pools);
        routes::read(reader, document, &mut routes);
        let includes = include::read(reader, document, main.map(|(path, _)| path));
        if let Some((_, fetch)) = main {
            for path in includes {
                read_included(reader, &path, fetch, &mut config.pools, &mut routes);
            }
        }
        let (routes, spots) = routes.finish(reader);
        config.routes = routes;
        report(reader, &config, &spots);
    }
    config
}

/// Reads the routes and pools of a file that another one includes.
fn read_included(
    reader: &mut Reader,
    path: &Path,
    fetch: Fetch<'_>,
    pools: &mut BTreeMap<String, Pool>,
    routes: &mut Routes,
) {
    let source = open(reader, path, fetch, INCLUDED_FILE);
    let Some(source) = source else {
        // Nobody knows which pools it has.
        return reader.spoil(Place::Pools);
    };
    if !is_toml(path) {
        return plain::read(reader, source.text(), routes);
    }
    let (document, errors) = DeTable::parse_recoverable(source.text());
    if !syntax::report(reader, &source, errors) {
        return reader.spoil(Place::Pools);
    }
    let document = document.get_ref();
    reader.keys("an included file", document, &["pools", "routes"]);
    pools::read(reader, document, pools);
    routes::read(reader, document, routes);
}

/// An included file is in the plain format unless it is called `*.toml`.
pub(super) fn is_toml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "toml")
}

/// Notes the rules that a configuration breaks. `spots` are the places of its routes, in their order.
fn report(reader: &mut Reader, config: &Config, spots: &[Spot]) {
    let problems = check(config);
    if !problems.is_empty() {
        for (pattern, spot) in config.routes.keys().zip(spots) {
            reader.remember_at(Place::Route(pattern.clone()), *spot);
        }
    }
    for problem in problems {
        reader.report(problem);
    }
}

/// Opens a file, or notes why that is impossible.
fn open(reader: &mut Reader, path: &Path, fetch: Fetch<'_>, allowed: &str) -> Option<Rc<Source>> {
    let name = path.display().to_string();
    let octets = match fetch(path) {
        Ok(octets) => octets,
        Err(error) => {
            reader.open(Source::new(name, ""));
            reader.refuse_all(unreadable(&error), allowed);
            return None;
        }
    };
    match String::from_utf8(octets) {
        Ok(text) => Some(reader.open(Source::new(name, text))),
        Err(error) => {
            let valid = error.utf8_error().valid_up_to();
            let octets = error.into_bytes();
            let source = reader.open(Source::new(name, String::from_utf8_lossy(&octets[..valid])));
            let what = format!("octet 0x{:02x} is not UTF-8", octets[valid]);
            reader.refuse(source.text().len(), what, "UTF-8 text");
            None
        }
    }
}

fn unreadable(error: &io::Error) -> String {
    let known = [
        (ErrorKind::NotFound, "does not exist"),
        (ErrorKind::IsADirectory, "is a folder"),
        (ErrorKind::PermissionDenied, "may not be read by this user"),
    ];
    match known.iter().find(|(kind, _)| *kind == error.kind()) {
        Some((_, what)) => (*what).to_owned(),
        None => format!("cannot be read: {error}"),
    }
}

const KEYS: [&str; 8] =
    ["include", "listen", "fast_path", "slow_path", "control", "health", "pools", "routes"];
const MAIN_FILE: &str = "a regular file in TOML, up to 1 GiB, that this user may read; name it with --config";
const INCLUDED_FILE: &str =
    "a regular file, up to 1 GiB, that this user may read, or no such entry in include";
