//! Records that are not what was written.

use std::fs;
use std::path::Path;

use super::{config, folder, generations, names, put_edit, put_whole, record, route};
use crate::config::Config;
use crate::state::{Content, Kind, Store};

/// Three generations: a whole one and two edits. Returns the configurations.
fn three(folder: &Path) -> [Config; 3] {
    let mut store = Store::open(folder).unwrap();
    let first = config();
    put_whole(&mut store, &first);
    let mut all = [first.clone(), first.clone(), first];
    for (index, change) in [route("y.test", "b"), route("z.test", "nxdomain")].iter().enumerate() {
        put_edit(&mut store, change);
        all[index + 1..].iter_mut().for_each(|config| drop(config.make(change)));
    }
    all
}

fn file(folder: &Path, name: &str) -> std::path::PathBuf {
    folder.join("generations").join(name)
}

#[test]
fn any_octet_that_differs_and_any_cut_is_noticed() {
    let home = folder();
    let [_, second, third] = three(home.path());
    let path = file(home.path(), "3");
    let good = fs::read(&path).unwrap();
    let flipped = (0..good.len()).map(|at| {
        let mut bad = good.clone();
        bad[at] ^= 1 << (at % 8);
        bad
    });
    let cut = (0..good.len()).map(|length| good[..length].to_vec());
    let longer = [[good.clone(), b"{}\n".to_vec()].concat(), [good.clone(), b"\n".to_vec()].concat()];
    for bad in flipped.chain(cut).chain(longer) {
        fs::write(&path, &bad).unwrap();
        let mut store = Store::open(home.path()).unwrap();
        let newest = store.newest().unwrap().unwrap();
        assert_eq!((newest.header.generation, &newest.config), (2, &second), "{}", bad.escape_ascii());
        assert_eq!(store.take_warnings().len(), 1);
        assert_eq!(store.next_generation(), 4, "the number of a damaged one is not used again");
    }
    fs::write(&path, &good).unwrap();
    assert_eq!(Store::open(home.path()).unwrap().newest().unwrap().unwrap().config, third);
}

#[test]
fn a_damaged_record_is_put_aside_and_reported() {
    let home = folder();
    let [_, second, _] = three(home.path());
    let path = file(home.path(), "3");
    let mut bad = fs::read(&path).unwrap();
    let at = bad.windows(6).position(|octets| octets == b"z.test").unwrap();
    bad[at] = b'q';
    fs::write(&path, bad).unwrap();
    let mut store = Store::open(home.path()).unwrap();
    assert_eq!(generations(&store), [3, 2, 1], "headers do not show it");
    assert!(store.config(3).unwrap_err().to_string().contains("go back to another one: 3, 2, 1"));
    assert_eq!(store.newest().unwrap().unwrap().config, second);
    assert_eq!(names(home.path()), ["1", "2", "3.damaged"]);
    let warnings = store.take_warnings();
    let start = format!(
        "generation 3 is left out: {}: it has 2 lines with",
        file(home.path(), "3.damaged").display()
    );
    assert!(warnings.len() == 1 && warnings[0].starts_with(&start), "{warnings:?}");
    assert_eq!(store.take_warnings(), [""; 0]);
}

#[test]
fn what_needs_a_damaged_record_goes_with_it() {
    let home = folder();
    let [first, ..] = three(home.path());
    // The second one has a good header, but is cut.
    let path = file(home.path(), "2");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.split_inclusive('\n').next().unwrap()).unwrap();
    let mut store = Store::open(home.path()).unwrap();
    assert_eq!(store.newest().unwrap().unwrap().config, first);
    assert_eq!(names(home.path()), ["1", "2.damaged", "3.damaged"]);
    let warnings = store.take_warnings();
    assert!(warnings[0].ends_with("2.damaged: it ends behind line 1, without its checksum"), "{warnings:?}");
    assert!(warnings[1].ends_with("3.damaged: it needs generation 2, which is left out"), "{warnings:?}");
}

#[test]
fn other_versions_strange_numbers_and_missing_bases_are_left_out() {
    for (wrong, why) in [
        ("\"dproxy-state\":2", "it is of version 2, which another dproxy writes; this one reads version 1"),
        ("\"generation\":4", "it is the record of generation 4"),
        ("\"base\":3", "it needs generation 3, which is not there"),
        ("\"base\":0", "it needs generation 0, which is not there"),
    ] {
        let home = folder();
        let [_, second, _] = three(home.path());
        let path = file(home.path(), "3");
        let (key, _) = wrong.split_once(':').unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let at = text.find(key).unwrap();
        fs::write(&path, format!("{}{wrong}{}", &text[..at], &text[at + wrong.len()..])).unwrap();
        let mut store = Store::open(home.path()).unwrap();
        assert_eq!(store.newest().unwrap().unwrap().config, second);
        let warnings = store.take_warnings();
        assert!(warnings.len() == 1 && warnings[0].ends_with(why), "{warnings:?}");
    }
}

#[test]
fn nothing_good_is_nothing() {
    let home = folder();
    three(home.path());
    fs::write(file(home.path(), "1"), "").unwrap();
    let mut store = Store::open(home.path()).unwrap();
    assert_eq!(store.newest().unwrap(), None);
    assert_eq!(store.take_warnings().len(), 3);
    let config = config();
    let refused = store.write(record(3, Kind::Start, Content::Whole(&config))).unwrap_err();
    assert_eq!(refused.to_string(), "generation 3 cannot be written: the next one is 4");
    put_whole(&mut store, &config);
    assert_eq!(store.newest().unwrap().unwrap().config, config);
}

#[test]
fn no_more_than_three_damaged_ones_stay() {
    let home = folder();
    three(home.path());
    for name in ["4", "5", "6"] {
        fs::write(file(home.path(), name), "nonsense").unwrap();
    }
    fs::write(file(home.path(), "2"), "").unwrap();
    let mut store = Store::open(home.path()).unwrap();
    store.prune().unwrap();
    assert_eq!(names(home.path()), ["1", "4.damaged", "5.damaged", "6.damaged"]);
}

#[test]
fn what_was_to_be_removed_with_its_base_is_removed() {
    let home = folder();
    let [.., third] = three(home.path());
    let mut store = Store::open(home.path()).unwrap();
    store.make_whole(3, &third).unwrap();
    drop(store);
    fs::remove_file(file(home.path(), "1")).unwrap();
    let mut store = Store::open(home.path()).unwrap();
    assert_eq!((names(home.path()), store.take_warnings()), (vec!["3".to_owned()], Vec::new()));
    assert_eq!(store.newest().unwrap().unwrap().config, third);
}
