//! What `config.gcfg` says, in the original's terms.

use super::gcfg::{self, Variable};
use super::note::{About, Mistake, Note, Origin};
use crate::config::Quoted;

/// The file's name, below the folder that is converted.
pub(super) const FILE: &str = "config.gcfg";

/// The settings that mean something here.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// Where the original listened.
    pub(super) port: u16,
    /// Folder of the route files, with the slash at its end.
    pub(super) location: String,
    /// The end of their names, with the dot.
    pub(super) extension: String,
    /// Where what matches no route goes.
    pub(super) default: DefaultRoute,
    /// The line that says so.
    pub(super) default_origin: Origin,
}

/// What becomes of names that match no route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum DefaultRoute {
    /// They go to a server, `host:port`.
    Master(String),
    /// NXDOMAIN.
    Nxdomain,
}

/// Reads the file. `None`: there are mistakes.
pub(super) fn read(text: &str, notes: &mut Vec<Note>, mistakes: &mut Vec<Mistake>) -> Option<Settings> {
    let variables = gcfg::read(FILE, text, mistakes);
    for variable in &variables {
        notes.extend(remark(variable));
    }
    // The last one counts.
    let find = |name: &str| variables.iter().rev().find(|v| v.section == "dproxy" && v.name == name);
    let whole = Origin { file: FILE.to_owned(), line: 0 };

    let port = port(find("port"), &whole, mistakes);
    let text_of = |name, default: &str| match find(name).and_then(|variable| variable.value.as_ref()) {
        Some(value) => value.clone(),
        None => default.to_owned(),
    };
    let mut location = text_of("upstreamlocation", "");
    if location.is_empty() {
        let what = "has no upstreamlocation in [dproxy], the folder of the route files";
        mistakes.push(Mistake::new(&whole, what, "upstreamlocation = \"upstream/\""));
    } else if !location.ends_with('/') {
        let origin = find("upstreamlocation").map_or(&whole, |variable| &variable.origin);
        let text = "upstreamlocation has no / at its end, so that the original read empty files; it is \
                    converted as meant.";
        notes.push(Note::new(About::Whole, origin, text));
        location.push('/');
    }
    let use_master = find("usemasterupstream");
    let (default, default_origin) = if truth(use_master, mistakes) {
        let origin = find("masterupstream").or(use_master).map_or(&whole, |variable| &variable.origin);
        (DefaultRoute::Master(text_of("masterupstream", "")), origin)
    } else {
        (DefaultRoute::Nxdomain, use_master.map_or(&whole, |variable| &variable.origin))
    };
    let extension = text_of("upstreamextension", "");
    let default_origin = default_origin.clone();
    mistakes.is_empty().then_some(Settings { port: port?, location, extension, default, default_origin })
}

fn port(variable: Option<&Variable>, whole: &Origin, mistakes: &mut Vec<Mistake>) -> Option<u16> {
    let Some(variable) = variable else {
        mistakes.push(Mistake::new(whole, "has no port in [dproxy]", "port = 53"));
        return None;
    };
    let value = variable.value.as_deref().unwrap_or_default();
    let port = value.parse().ok().filter(|port| *port != 0);
    if port.is_none() {
        mistakes.push(Mistake::new(&variable.origin, format!("port is {}", Quoted(value)), "1 to 65535"));
    }
    port
}

/// The words that the original's library knows; no `=` is true, and what is not there false.
fn truth(variable: Option<&Variable>, mistakes: &mut Vec<Mistake>) -> bool {
    let Some(variable) = variable else { return false };
    let Some(value) = &variable.value else { return true };
    match value.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => true,
        "false" | "no" | "off" | "0" => false,
        _ => {
            let what = format!("usemasterupstream is {}", Quoted(value));
            mistakes.push(Mistake::new(&variable.origin, what, "true, yes, on, 1, false, no, off, 0"));
            false
        }
    }
}

/// What there is to say about a variable that is not converted.
fn remark(Variable { section, name, value: _, origin }: &Variable) -> Option<Note> {
    const KNOWN: [&str; 5] =
        ["port", "upstreamlocation", "upstreamextension", "usemasterupstream", "masterupstream"];
    let text = match (section.as_str(), name.as_str()) {
        ("dproxy", name) if KNOWN.contains(&name) => return None,
        ("dproxy", "loglevel") => {
            "loglevel is dropped: it is an argument, `dproxy run --log debug`.".to_owned()
        }
        ("redis", name @ ("host" | "password")) => {
            format!("{name} of [redis] is dropped: routes are kept in the daemon itself.")
        }
        (section, name) => {
            format!("{} of [{section}] is unknown to the original as well, and dropped.", Quoted(name))
        }
    };
    Some(Note::new(About::Whole, origin, text))
}
