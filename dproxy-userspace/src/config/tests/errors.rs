//! Everything that can be wrong with a file, and the exact words for it.
//!
//! A case of the text files is a title behind `===`, a configuration file, and behind `---` all
//! problems that are found in it.

use super::{LISTEN, POOL};
use crate::config::Config;

/// Compares what is found wrong in each case of a text file with what it says.
fn assert_cases(cases: &str) {
    let mut different = String::new();
    for case in cases.split("=== ").skip(1) {
        let (title, case) = case.split_once('\n').expect("a title");
        let (text, expected) = case.split_once("---\n").expect("a line that separates text and problems");
        let found = problems(text);
        if found != expected {
            different += &format!("=== {title}\n{text}---\n{found}expected:\n{expected}");
        }
    }
    assert!(different.is_empty(), "\n{different}");
}

/// Everything that is wrong with a file, without the closing line.
fn problems(text: &str) -> String {
    match Config::parse(text, "f") {
        Ok(_) => "nothing\n".to_owned(),
        Err(error) => error.problems().iter().map(|problem| format!("{problem}\n")).collect(),
    }
}

#[test]
fn listen() {
    assert_cases(include_str!("errors/listen.txt"));
}

#[test]
fn sections() {
    assert_cases(include_str!("errors/sections.txt"));
}

#[test]
fn pools() {
    assert_cases(include_str!("errors/pools.txt"));
}

#[test]
fn health() {
    assert_cases(include_str!("errors/health.txt"));
}

#[test]
fn routes() {
    assert_cases(include_str!("errors/routes.txt"));
}

#[test]
fn syntax() {
    assert_cases(include_str!("errors/syntax.txt"));
}

#[test]
fn a_byte_order_mark_is_no_column() {
    assert_eq!(problems("\u{feff}listen = 1"), "f:1:10: listen is 1\n    allowed: a table: [listen]\n");
}

#[test]
fn number_of_listeners() {
    let text = |count| {
        let addresses: String = (0..count).map(|host| format!("\"192.0.2.{host}\", ")).collect();
        format!("[listen]\ninterfaces = [\"eth0\"]\naddresses = [{addresses}]")
    };
    assert_eq!(problems(&text(64)), "nothing\n");
    assert_eq!(problems(&text(65)), "f:3:13: listen.addresses has 65 addresses\n    allowed: at most 64\n");
}

#[test]
fn length_of_the_socket_path() {
    let text = |octets: usize| format!("{LISTEN}[control]\nsocket = \"/{}\"", "s".repeat(octets - 1));
    assert_eq!(problems(&text(107)), "nothing\n");
    assert_eq!(
        problems(&text(108)),
        "f:5:10: control.socket is a path of 108 octets\n    allowed: at most 107 octets (unix(7))\n"
    );
}

#[test]
fn length_of_a_name() {
    let name = "a.".repeat(128);
    assert_eq!(
        problems(&format!("{LISTEN}{POOL}[routes]\n\"{name}\" = \"cryo\"")),
        format!(
            "f:7:1: name \"{}…\" has 257 octets in wire form\n    allowed: at most 255 octets in wire form: \
             each label, a length octet for it, and the root octet (RFC 1035 §2.3.4)\n",
            &name[..120]
        )
    );
}

/// Two routes for each name: the root and names with 1, 2, … labels.
fn routes_of_depths(depths: usize) -> String {
    let name = |depth| if depth == 0 { ".".to_owned() } else { "a.".repeat(depth) };
    let route = |depth| format!("\"{0}\" = \"cryo\"\n\"={0}\" = \"cryo\"\n", name(depth));
    format!("{LISTEN}{POOL}[routes]\n{}", (0..=depths).map(route).collect::<String>())
}

#[test]
fn label_counts() {
    assert_eq!(problems(&routes_of_depths(32)), "nothing\n");
    assert_eq!(
        problems(&routes_of_depths(33)),
        "f:6:1: [routes] has names with 33 different numbers of labels\n    \
         allowed: at most 32, a limit of the fast path\n"
    );
}

#[test]
fn the_room_to_begin_with_is_no_limit() {
    assert_eq!(problems(&format!("{}[fast_path]\nroutes = 2", routes_of_depths(3))), "nothing\n");
}
