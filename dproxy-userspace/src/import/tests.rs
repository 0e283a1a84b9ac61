use std::net::IpAddr;
use std::path::Path;

use super::source::RouteFile;
use super::{Converted, ImportError, Serving, Source, convert};
use crate::config::Config;

mod behaviour;
mod examples;
mod files;
mod mistakes;

/// `config.gcfg` as the original comes with it.
const SETTINGS: &str = "[dproxy]\n\tloglevel\t\t= \"debug\"\n\tport\t\t\t= 53\n\
    \tupstreamlocation\t= \"upstream/\"\n\tupstreamextension\t= \".prox\"\n\
    \tusemasterupstream\t= true\n\tmasterupstream\t\t= \"8.8.8.8:53\"\n\n\
    [redis]\n\thost\t\t\t= \"localhost:6379\"\n\tpassword\t\t= \"\"\n";

fn serving() -> Serving {
    let addresses = ["192.0.2.53", "2001:db8::53"].map(|ip| (ip.parse().unwrap(), None)).to_vec();
    Serving { interfaces: vec!["eth0".to_owned()], addresses, remark: None }
}

/// A resolver that knows two names.
fn look_up(host: &str) -> Result<Vec<IpAddr>, String> {
    match host {
        "localhost" => Ok(vec!["::1".parse().unwrap(), "127.0.0.1".parse().unwrap()]),
        "six.example" => Ok(vec!["2001:db8::6".parse().unwrap()]),
        "empty.example" => Ok(vec![]),
        _ => Err("no such host".to_owned()),
    }
}

/// Converts settings and route files.
fn import(settings: &str, files: &[(&str, &str)]) -> Result<Converted, ImportError> {
    let texts = files.iter().map(|(name, text)| ((*name).to_owned(), RouteFile::Text((*text).to_owned())));
    let source = Source::read(Path::new("old"), settings, |_, _| Ok(texts.collect()))?;
    convert(&source, &serving(), &look_up)
}

/// Converts one route file, with the settings that the original comes with.
fn routes(text: &str) -> Converted {
    let converted = import(SETTINGS, &[("a.prox", text)]).unwrap_or_else(|error| panic!("{error}"));
    let parsed = Config::parse(&converted.to_toml(), "converted");
    let parsed = parsed.unwrap_or_else(|error| panic!("{error}\n{}", converted.to_toml()));
    assert_eq!(parsed, converted.config, "the file says the same as the model\n{}", converted.to_toml());
    converted
}

/// The routes but the default, as `pattern address` or `pattern answer`.
fn shown(converted: &Converted) -> Vec<String> {
    let Config { routes, pools, .. } = &converted.config;
    let others = routes.iter().filter(|(pattern, _)| !pattern.name.is_root());
    let target = |target: &crate::config::Target| match pools.get(&target.to_string()) {
        Some(pool) => pool.backends[0].address.to_string(),
        None => target.to_string(),
    };
    others.map(|(pattern, to)| format!("{pattern} {}", target(to))).collect()
}

/// The notes that come from the route file, without its name.
fn notes(converted: &Converted) -> Vec<String> {
    let notes = converted.notes.iter().map(ToString::to_string);
    notes.filter_map(|note| note.strip_prefix("upstream/a.prox").map(str::to_owned)).collect()
}
