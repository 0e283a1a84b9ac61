//! Files that can and cannot be read, and the whole message.

use std::fs;

use super::{LISTEN, POOL};
use crate::config::{Config, Position};

/// What loading a path says, with the path itself replaced by `F`.
fn message(path: &std::path::Path) -> String {
    Config::load(path).unwrap_err().to_string().replace(&path.display().to_string(), "F")
}

const ALLOWED: &str = "allowed: a regular file in TOML, up to 1 GiB, that this user may read; name it with --config\n\
                       1 problem; nothing was changed";

#[test]
fn a_good_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dproxy.toml");
    fs::write(&path, format!("{LISTEN}{POOL}")).unwrap();
    assert_eq!(Config::load(&path).unwrap().pools["cryo"].backends.len(), 1);
}

#[test]
fn paths_that_are_no_files() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(message(folder.path()), format!("F: is a folder\n    {ALLOWED}"));
    assert_eq!(message(&folder.path().join("no.toml")), format!("F: does not exist\n    {ALLOWED}"));
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    assert_eq!(
        message(&file.join("below")),
        format!("F: cannot be read: Not a directory (os error 20)\n    {ALLOWED}")
    );
}

#[test]
fn a_file_that_is_not_text() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dproxy.toml");
    fs::write(&path, b"[listen]\n# \xc3\xa9 \xe9\n").unwrap();
    assert_eq!(
        message(&path),
        "F:2:5: octet 0xe9 is not UTF-8\n    allowed: UTF-8 text\n\
         1 problem; nothing was changed"
    );
}

#[test]
fn all_problems_at_once_in_the_order_of_the_file() {
    let text = "[listen]\naddresses = [\"192.0.2.53\"]\n\n[pools.cryo]\nbackends = [\"192.168.1.9:8053\"]\n\
                [pools.resolvers]\nbackends = [\"192.168.1.10\"]\npolicy = \"maglef\"\n\n\
                [routes]\n\"www.example.org\" = \"resolverz\"\n";
    let error = Config::parse(text, "/etc/dproxy/dproxy.toml").unwrap_err();
    assert_eq!(
        error.to_string(),
        "/etc/dproxy/dproxy.toml:1:1: listen.interfaces names no interface\n    \
         allowed: the interfaces that queries and replies arrive on: [\"eth0\"]; none is needed with \
         xdp = \"off\"\n\
         /etc/dproxy/dproxy.toml:8:10: policy \"maglef\" does not exist\n    \
         allowed: maglev, random, failover, round-robin, least-latency; did you mean \"maglev\"?\n\
         /etc/dproxy/dproxy.toml:11:1: route \"www.example.org\" names pool \"resolverz\", which does not \
         exist\n    allowed: a pool defined under [pools] (cryo, resolvers) or an answer ({ answer = \
         \"refused\" | \"nxdomain\" | \"servfail\" | \"truncate\" | \"drop\" }); did you mean \
         \"resolvers\"?\n3 problems; nothing was changed"
    );
    assert_eq!(error.problems()[1].position, Some(Position { line: 8, column: 10 }));
}
