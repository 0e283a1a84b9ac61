//! What runs is written into the files, and looks as if somebody had edited them by hand.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use tempfile::TempDir;

use crate::config::{Config, Pattern, Pool, Switch, Target, WeightedBackend, write_files};

const MAIN: &str = r#"# The edge node in Graz.
include = ["*.routes"]

[listen]
interfaces = ["eth0"]   # the uplink
addresses  = ["192.0.2.53"]

[pools.cryo]   # two sites
backends = [
    "192.168.1.9",      # cellar
    # the attic is warm in summer
    { address = "192.168.1.10", weight = 3 },
]

[pools.blue]
backends = ["192.168.1.11", "192.168.1.12"]

[[pools.green.backends]]
address = "192.168.1.13"

# Routes of our own.
[routes]
"cryo.network"   = "cryo"   # see ticket 4

# An old customer.
"old.example"    = { answer = "refused" }
"#;

const LIST: &str = "# from the registry\na.test cryo   # paid\nb.test\tblue\n\nc.test drop\n";

fn folder() -> (TempDir, Config) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("main.toml"), MAIN).unwrap();
    fs::write(folder.path().join("list.routes"), LIST).unwrap();
    let config = Config::load(folder.path().join("main.toml")).unwrap();
    (folder, config)
}

fn pattern(text: &str) -> Pattern {
    text.parse().unwrap()
}

fn backend(address: &str, weight: u16) -> WeightedBackend {
    WeightedBackend::new(address.parse().unwrap(), weight)
}

/// The texts of both files after an edit.
fn after(edit: impl FnOnce(&mut Config)) -> (String, String) {
    let (folder, mut config) = folder();
    edit(&mut config);
    write_files(&config.rewrites(folder.path().join("main.toml")).unwrap()).unwrap();
    let read = |name| fs::read_to_string(folder.path().join(name)).unwrap();
    (read("main.toml"), read("list.routes"))
}

/// The main file with some of it replaced.
fn main_with(pieces: &[(&str, &str)]) -> String {
    pieces.iter().fold(MAIN.to_owned(), |text, (old, new)| {
        assert!(text.contains(old), "{old}");
        text.replace(old, new)
    })
}

#[test]
fn routes_change_where_they_stand() {
    let (main, list) = after(|config| {
        config.routes.insert(pattern("cryo.network"), Target::from_word("blue"));
        config.routes.insert(pattern("=new.example"), Target::from_word("drop"));
        config.routes.insert(pattern("a.test"), Target::from_word("nxdomain"));
        config.routes.remove(&pattern("b.test"));
        config.routes.remove(&pattern("old.example"));
    });
    let old = "\"old.example\"    = { answer = \"refused\" }\n";
    let new = "\"=new.example\" = { answer = \"drop\" }\n";
    assert_eq!(main, main_with(&[("= \"cryo\"   # see", "= \"blue\"   # see"), (old, new)]));
    assert_eq!(list, "# from the registry\na.test nxdomain   # paid\n\nc.test drop\n");
}

#[test]
fn backends_change_where_they_stand() {
    let (main, list) = after(|config| {
        let cryo = &mut config.pools.get_mut("cryo").unwrap().backends;
        cryo[0].drained = true;
        cryo[1].weight = 5;
        cryo.push(backend("[2001:db8::9]:53", 1));
        let blue = config.pools.get_mut("blue").unwrap();
        blue.backends.remove(0);
        blue.switch = Some(Switch { to: "green".into(), percent: 10 });
        config.pools.get_mut("green").unwrap().backends.push(backend("192.168.1.14:53", 2));
    });
    let expected = main_with(&[
        ("    \"192.168.1.9\",", "    { address = \"192.168.1.9\", drained = true },"),
        ("weight = 3 },\n", "weight = 5 },\n    \"[2001:db8::9]:53\",\n"),
        (
            "[\"192.168.1.11\", \"192.168.1.12\"]\n",
            "[\"192.168.1.12\"]\nswitch = { percent = 10, to = \"green\" }\n",
        ),
        (
            "address = \"192.168.1.13\"\n",
            "address = \"192.168.1.13\"\n\n[[pools.green.backends]]\naddress = \"192.168.1.14:53\"\nweight = 2\n",
        ),
    ]);
    assert_eq!((main, list), (expected, LIST.to_owned()));
}

#[test]
fn what_is_new_stands_at_the_end() {
    let (main, _) = after(|config| {
        let backends = vec![backend("192.168.1.20:53", 1), backend("192.168.1.21:53", 2)];
        config.pools.insert("new".into(), Pool { backends, ..Pool::default() });
        config.pools.remove("green");
        config.slow_path.workers = Some(2);
        config.listen.addresses.push("[2001:db8::53]:53".parse().unwrap());
    });
    let new = "\n[slow_path]\nworkers = 2\n\n[pools.new]\nbackends = [\"192.168.1.20:53\", { address = \
               \"192.168.1.21:53\", weight = 2 }]\n";
    let expected = main_with(&[
        ("[[pools.green.backends]]\naddress = \"192.168.1.13\"\n", ""),
        ("[\"192.0.2.53\"]", "[\"192.0.2.53\", \"[2001:db8::53]:53\"]"),
    ]);
    assert_eq!(main, expected + new);
}

#[test]
fn nothing_changes_without_a_change() {
    let (folder, config) = folder();
    assert_eq!(config.rewrites(folder.path().join("main.toml")).unwrap(), []);
}

#[test]
fn there_and_back_is_the_same_text() {
    let (folder, config) = folder();
    let path = folder.path().join("main.toml");
    let mut other = config.clone();
    other.pools.get_mut("blue").unwrap().switch = Some(Switch { to: "green".into(), percent: 1 });
    other.pools.get_mut("cryo").unwrap().backends[1].drained = true;
    other.routes.insert(pattern("x.test"), Target::from_word("cryo"));
    for config in [&other, &config] {
        write_files(&config.rewrites(&path).unwrap()).unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), MAIN);
}

#[test]
fn mode_and_links_stay_and_nothing_is_left_behind() {
    let (folder, mut config) = folder();
    let (path, link) = (folder.path().join("main.toml"), folder.path().join("link.toml"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    symlink("main.toml", &link).unwrap();
    // As a predecessor leaves it that was killed.
    fs::write(folder.path().join(format!(".main.toml.{}", std::process::id())), "half a").unwrap();
    config.routes.clear();
    write_files(&config.rewrites(&link).unwrap()).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(Config::load(&link).unwrap(), config);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
}

#[test]
fn files_that_somebody_works_on_are_left_alone() {
    let (folder, mut config) = folder();
    let path = folder.path().join("main.toml");
    let (list, main) = (folder.path().join("list.routes"), Path::new(&path));
    config.routes.clear();
    let rewrites = config.rewrites(main).unwrap();
    assert_eq!(rewrites.len(), 2);
    fs::write(&list, "half a line").unwrap();
    let error = write_files(&rewrites).unwrap_err().to_string();
    assert!(error.ends_with(
        "list.routes: was changed by somebody else in the meantime; nothing was written, try again"
    ));
    assert_eq!(fs::read_to_string(main).unwrap(), MAIN);
    let error = config.rewrites(main).unwrap_err().to_string();
    assert!(error.starts_with("the files that are there cannot be edited:\n"), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn a_byte_order_mark_and_line_ends_stay() {
    let (folder, mut config) = folder();
    let path = folder.path().join("main.toml");
    fs::write(&path, format!("\u{feff}{}", MAIN.replace('\n', "\r\n"))).unwrap();
    config.routes.insert(pattern("cryo.network"), Target::from_word("blue"));
    write_files(&config.rewrites(&path).unwrap()).unwrap();
    let expected = main_with(&[("= \"cryo\"   # see", "= \"blue\"   # see")]).replace('\n', "\r\n");
    assert_eq!(fs::read_to_string(&path).unwrap(), format!("\u{feff}{expected}"));
}
