//! From the text of a configuration file to a [`Config`], or to everything that is wrong with it.
//!
//! The text is walked by hand rather than deserialized, because an operator wants all problems at
//! once, each with its place.

mod listen;
mod pools;
mod reader;
mod report;
mod routes;
mod settings;
mod syntax;

use std::fs;
use std::io::{Error, ErrorKind};
use std::path::Path;

use toml::de::DeTable;

use super::model::Config;
use super::rules::check;
use reader::Reader;
pub use report::{ConfigError, FileProblem, Position};

impl Config {
    /// Reads the file at `path`.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let path = path.as_ref();
        let origin = path.display().to_string();
        let octets =
            fs::read(path).map_err(|error| ConfigError::of_file(&origin, unreadable(&error), FILE))?;
        match str::from_utf8(&octets) {
            Ok(text) => Self::parse(text, &origin),
            Err(error) => Err(ConfigError::not_utf8(&origin, &octets, error.valid_up_to())),
        }
    }

    /// Reads a configuration from `text`; messages call it `origin`.
    pub fn parse(text: &str, origin: &str) -> Result<Self, ConfigError> {
        // Some editors put a byte order mark at the front.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut reader = Reader::new(text);
        let (document, errors) = DeTable::parse_recoverable(text);
        let mut config = Self::default();
        if syntax::report(&mut reader, text, errors) {
            config = read(&mut reader, document.get_ref());
            for problem in check(&config) {
                reader.report(problem);
            }
        }
        reader.finish(origin).map(|()| config)
    }
}

fn read(reader: &mut Reader<'_>, document: &DeTable<'_>) -> Config {
    reader.keys("the file", document, &["listen", "fast_path", "slow_path", "control", "pools", "routes"]);
    Config {
        listen: listen::read(reader, document),
        fast_path: settings::fast_path(reader, document),
        slow_path: settings::slow_path(reader, document),
        control: settings::control(reader, document),
        pools: pools::read(reader, document),
        routes: routes::read(reader, document),
    }
}

fn unreadable(error: &Error) -> String {
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

const FILE: &str = "a TOML file that this user may read; name it with --config";
