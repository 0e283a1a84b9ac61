//! For every name, the converted configuration does what the original did, unless a note says otherwise.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::config::matching;
use crate::config::{Name, Target};
use crate::import::About;

/// A model of the original, as close to its code as can be: keys and values as in its Redis, and names as
/// texts.
#[derive(Default)]
struct Original(HashMap<String, String>);

impl Original {
    fn read(&mut self, text: &str) {
        let mut name = String::new();
        for line in text.split('\n') {
            if line.is_empty() || line.contains('#') {
                continue;
            }
            let line = line.replace('\t', "");
            let parts: Vec<&str> = line.split('=').collect();
            let (field, value) = if parts.len() > 1 { (parts[0], parts[1]) } else { ("server", parts[0]) };
            let value: String = value.chars().filter(|c| !"[ ]".contains(*c)).collect();
            if field == "server" {
                name = if value.ends_with('.') { value } else { value + "." };
            } else {
                self.0.insert(format!("upstream:{name}:{field}").replace(' ', ""), value);
            }
        }
    }

    fn get(&self, name: &str, field: &str) -> Option<&str> {
        self.0.get(&format!("upstream:{name}:{field}")).map(String::as_str)
    }

    /// What it dials for a name with a dot at its end; `None`: the default.
    fn check_domain(&self, name: &str) -> Option<String> {
        if name.matches('.').count() > 2 {
            let parts: Vec<&str> = name.split('.').collect();
            let wildcard = format!("*.{}.{}.", parts[parts.len() - 3], parts[parts.len() - 2]);
            if let Some(address) = self.get(&wildcard, "address") {
                return Some(format!("{address}:{}", self.get(&wildcard, "port").unwrap_or_default()));
            }
        }
        let address = self.get(name, "address").unwrap_or_default();
        self.get(name, "port").map(|port| format!("{address}:{port}"))
    }

    /// What comes of it: a backend, or SERVFAIL for what cannot be dialled.
    fn outcome(&self, name: &str) -> String {
        let Some(dialled) = self.check_domain(name) else { return "default".to_owned() };
        match dialled.split(':').collect::<Vec<_>>().as_slice() {
            [_, ""] => "servfail".to_owned(),
            ["" | "0.0.0.0", port] => format!("127.0.0.1:{port}"),
            [_, _] => dialled,
            _ => "servfail".to_owned(),
        }
    }
}

/// What the converted configuration does, and whether a note excuses it.
fn ours(converted: &Converted, name: &Name) -> (String, bool) {
    let (pattern, target) = matching(&converted.config, name).next().unwrap();
    let excuse = |about: About, words: &str| {
        converted.notes.iter().any(|note| note.about == about && note.text.contains(words))
    };
    let spelled = excuse(About::Route(pattern.clone()), "upper-case");
    match target {
        Target::Pool(pool) if pattern.name.is_root() => {
            (format!("default {pool}").replace(" master", ""), spelled)
        }
        Target::Pool(pool) => {
            let address = converted.config.pools[&**pool].backends[0].address.to_string();
            (address, spelled || excuse(About::Pool(pool.to_string()), "IPv6"))
        }
        Target::Answer(answer) => (answer.to_string(), spelled),
    }
}

fn label() -> impl Strategy<Value = &'static str> {
    prop_oneof![6 => Just("a"), 3 => Just("b"), 1 => Just("c")]
}

fn name(labels: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = String> {
    prop::collection::vec(label(), labels).prop_map(|labels| labels.join("."))
}

/// A line of a route file.
fn line() -> impl Strategy<Value = String> {
    let address = prop_oneof![
        12 => Just("10.0.0.1"), 6 => Just("10.0.0.2"), 3 => Just("10.0.0.3"), 1 => Just(""), 1 => Just("0.0.0.0"),
        1 => Just("[2001:db8::1]"),
    ];
    let wildcard = || prop_oneof![Just(""), Just("*.")];
    prop_oneof![
        8 => (wildcard(), name(1..=4), address.clone())
            .prop_map(|(wildcard, name, address)| format!("[{wildcard}{name}]\n\taddress = {address}\n\tport\t= 53")),
        4 => (wildcard(), name(2..=2)).prop_map(|(wildcard, name)| format!("[ {wildcard}{name} ]")),
        1 => name(2..=3).prop_map(|name| format!("[{}]", name.to_uppercase())),
        1 => name(2..=3).prop_map(|name| format!("[{name}.] # comment")),
        3 => address.prop_map(|address| format!("address={address}")),
        3 => prop_oneof![Just("port = 53"), Just("port=54"), Just(" port = 53 # no"), Just("Port = 1")]
            .prop_map(str::to_owned),
        1 => prop_oneof![Just("#[a.a]"), Just(""), Just("a.b"), Just("[a.b"), Just("[.]"), Just("[*]")]
            .prop_map(str::to_owned),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn names_are_routed_as_before(
        files in prop::collection::vec(prop::collection::vec(line(), 0..12), 1..3),
        names in prop::collection::vec(name(1..=5), 20),
    ) {
        let files: Vec<String> = files.iter().map(|lines| lines.join("\n")).collect();
        let mut original = Original::default();
        files.iter().for_each(|text| original.read(text));
        let texts: Vec<(&str, &str)> = ["a.prox", "b.prox"].into_iter().zip(files.iter().map(String::as_str)).collect();
        let converted = import(SETTINGS, &texts).unwrap();
        prop_assert_eq!(&Config::parse(&converted.to_toml(), "converted").unwrap(), &converted.config);
        for name in names {
            let expected = original.outcome(&format!("{name}."));
            let (found, excused) = ours(&converted, &name.parse().unwrap());
            prop_assert!(
                found == expected || excused,
                "{name} is {found}, and was {expected}\n{files:?}\n{}", converted.to_toml()
            );
        }
    }

    #[test]
    fn no_text_makes_it_panic(settings in "(?s).{0,80}", routes in "(?s).{0,200}") {
        let _ = import(&settings, &[]);
        if let Ok(converted) = import(SETTINGS, &[("a.prox", &routes)]) {
            prop_assert_eq!(Config::parse(&converted.to_toml(), "f").unwrap(), converted.config);
        }
    }

    /// Likelier to come to something than any text at all.
    #[test]
    fn no_route_file_makes_it_panic(routes in "(\\[[a-zA-Z*.\\\\\u{1}\u{7f}é=#\"-]{0,9}\\]?\r?\n(address|port)[ \t]*=[0-9.a\u{0}\\]]{0,8}\n){0,9}") {
        if let Ok(converted) = import(SETTINGS, &[("a.prox", &routes)]) {
            prop_assert_eq!(Config::parse(&converted.to_toml(), "f").unwrap(), converted.config);
        }
    }
}
