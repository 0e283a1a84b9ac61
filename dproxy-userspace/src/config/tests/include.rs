//! Files that include others.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use tempfile::TempDir;

use super::{LISTEN, POOL};
use crate::config::{Config, Target};

/// A folder with these files; the main one is `main.toml`.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn load(folder: &Path) -> Config {
    Config::load(folder.join("main.toml")).unwrap_or_else(|error| panic!("{error}"))
}

/// What is wrong with the files, their folder left out.
fn problems(files: &[(&str, &str)]) -> String {
    let folder = folder(files);
    let error = Config::load(folder.path().join("main.toml")).unwrap_err();
    let text: String = error.problems().iter().map(|problem| format!("{problem}\n")).collect();
    text.replace(&format!("{}/", folder.path().display()), "")
}

/// A main file with these entries of `include`.
fn main_file(include: &str) -> String {
    format!("include = [{include}]\n{LISTEN}{POOL}[routes]\n\"main.test\" = \"cryo\"\n")
}

#[test]
fn routes_and_pools_come_from_everywhere() {
    let folder = folder(&[
        ("main.toml", &main_file(r#""one.toml", "routes.d/*", "none.d/*.routes", "routes.d/a.routes""#)),
        (
            "one.toml",
            "[pools.one]\nbackends = [\"192.168.1.8\"]\n[routes]\n\"one.test\" = { answer = \"drop\" }",
        ),
        (
            "routes.d/a.routes",
            "# a list\n\na.test cryo\n\t=B.test.   one # of another file\n*.c.test nxdomain",
        ),
        ("routes.d/b", "\u{feff}d#.test one\r\n#\r\n\r\n. refused\r\n"),
        ("routes.d/.hidden", "not a route at all"),
    ]);
    let config = load(folder.path());
    assert_eq!(config.pools.keys().collect::<Vec<_>>(), ["cryo", "one"]);
    let routes: Vec<_> =
        config.routes.iter().map(|(pattern, target)| format!("{pattern} {target}")).collect();
    assert_eq!(
        routes,
        [
            ". refused",
            "a.test cryo",
            "=b.test one",
            "*.c.test nxdomain",
            "d#.test one",
            "main.test cryo",
            "one.test drop",
        ]
    );
}

#[test]
fn routes_to_a_pool_share_its_name() {
    let folder = folder(&[("main.toml", &main_file("\"more\"")), ("more", "a.test cryo\nb.test cryo")]);
    let names: Vec<Arc<str>> = load(folder.path())
        .routes
        .into_values()
        .map(|target| match target {
            Target::Pool(name) => name,
            Target::Answer(_) => panic!("no answers here"),
        })
        .collect();
    assert_eq!(names.len(), 3);
    assert!(names.iter().all(|name| Arc::ptr_eq(name, &names[0])));
}

#[test]
fn a_path_may_have_characters_of_patterns() {
    let folder =
        folder(&[("[a]*/main.toml", &main_file("\"*.routes\"")), ("[a]*/x.routes", "x.test refused")]);
    assert_eq!(load(&folder.path().join("[a]*")).routes.len(), 2);
}

#[test]
fn a_line_that_is_no_route() {
    let found = problems(&[
        ("main.toml", &main_file("\"a\"")),
        ("a", "ü.test cryo\n  alone # here\nx.test cryo two three\ny.test kryo\n"),
    ]);
    assert_eq!(
        found,
        "a:1:1: name \"ü.test\" contains \"ü\", which is not ASCII\n    allowed: ASCII; write an \
         internationalised name in its A-label form, xn--… (RFC 5890)\n\
         a:2:3: route \"alone\" has no target\n    allowed: PATTERN TARGET, where TARGET is the name of a \
         pool or an answer: refused, nxdomain, servfail, truncate, drop\n\
         a:3:13: route \"x.test\" has \"two\" behind its target\n    allowed: PATTERN TARGET, where TARGET is \
         the name of a pool or an answer: refused, nxdomain, servfail, truncate, drop\n\
         a:4:1: route \"y.test\" names pool \"kryo\", which does not exist\n    allowed: a pool defined under \
         [pools] (cryo) or an answer ({ answer = \"refused\" | \"nxdomain\" | \"servfail\" | \"truncate\" | \
         \"drop\" }); did you mean \"cryo\"?\n"
    );
}

#[test]
fn nothing_is_given_twice() {
    let found = problems(&[
        ("main.toml", &main_file("\"a\", \"b.toml\"")),
        ("a", "x.test cryo\nMAIN.test cryo\n*.x.test cryo\nx.test. drop\n"),
        ("b.toml", "[routes]\n\"X.test\" = \"cryo\"\n[pools.cryo]\nbackends = [\"192.168.1.9\"]\n"),
    ]);
    let once = "one route for each pattern; upper and lower case are the same (RFC 4343), a dot at the end \
                makes no difference";
    assert_eq!(
        found,
        format!(
            "a:2:1: route \"MAIN.test\" is route \"main.test\" once more (see main.toml:8:1)\n    \
             allowed: {once}\n\
             a:4:1: route \"x.test.\" is route \"x.test\" once more (see 1:1)\n    allowed: {once}\n\
             b.toml:2:1: route \"X.test\" is route \"x.test\" once more (see a:1:1)\n    allowed: {once}\n\
             b.toml:3:8: pool \"cryo\" is there twice (see main.toml:5:8)\n    allowed: each pool once\n"
        )
    );
}

#[test]
fn all_problems_of_all_files() {
    let folder = folder(&[
        (
            "main.toml",
            &format!(
                "{}\"x.test\" = \"two\"\n\"y.test\" = 5\n",
                main_file("\"*.toml\", \"[\", \"no\", 3, \"d\"")
            ),
        ),
        ("a.toml", "include = []\n[routes\n"),
        ("b.toml", "fast_path.slots = 3\nroutes = 5"),
        ("c.toml", ""),
        ("d/x", ""),
    ]);
    fs::write(folder.path().join("c.toml"), b"# \xff").unwrap();
    let error = Config::load(folder.path().join("main.toml")).unwrap_err().to_string();
    let path = "a path, from the folder of this file on, or a pattern: \"routes.d/*.routes\"";
    let file = "a regular file, up to 1 GiB, that this user may read, or no such entry in include";
    assert_eq!(
        error.replace(&format!("{}/", folder.path().display()), ""),
        format!(
            "main.toml:1:12: entry 1 of include is this very file, or matches it\n    allowed: other files\n\
             main.toml:1:22: entry 2 of include is \"[\", no pattern: invalid range pattern\n    \
             allowed: {path}\n\
             main.toml:1:33: entry 4 of include is 3\n    allowed: {path}\n\
             main.toml:10:12: route \"y.test\" is 5\n    \
             allowed: the name of a pool, or {{ answer = \"refused\" }} or another answer\n\
             a.toml:2:8: not TOML: unclosed table\n    allowed: `]`\n\
             b.toml:1:1: an included file has the unknown key \"fast_path\"\n    allowed: pools, routes\n\
             b.toml:2:10: routes is 5\n    allowed: a table: [routes]\n\
             c.toml:1:3: octet 0xff is not UTF-8\n    allowed: UTF-8 text\n\
             no: does not exist\n    allowed: {file}\n\
             d: is a folder\n    allowed: {file}\n\
             10 problems; nothing was changed"
        )
    );
}

#[test]
fn what_only_looks_like_a_file_is_not_waited_for() {
    let folder =
        folder(&[("main.toml", &main_file("\"routes.d/*\", \"link\"")), ("routes.d/a", "a.test cryo")]);
    mkfifo(&folder.path().join("routes.d/pipe"), Mode::S_IRWXU).unwrap();
    symlink("/dev/zero", folder.path().join("link")).unwrap();
    let error = Config::load(folder.path().join("main.toml")).unwrap_err().to_string();
    let says = "cannot be read: it is a pipe, a socket or a device\n    \
                allowed: a regular file, up to 1 GiB, that this user may read, or no such entry in include";
    assert_eq!(
        error.replace(&format!("{}/", folder.path().display()), ""),
        format!("routes.d/pipe: {says}\nlink: {says}\n2 problems; nothing was changed")
    );
    symlink("routes.d/a", folder.path().join("good")).unwrap();
    fs::write(folder.path().join("main.toml"), main_file("\"good\"")).unwrap();
    assert_eq!(load(folder.path()).routes.len(), 2);
}

#[test]
fn whether_files_are_still_the_same() {
    let list = "routes.d/a.routes";
    let folder = folder(&[("main.toml", &main_file("\"routes.d/*\"")), (list, "a.test cryo"), ("x", "")]);
    let path = |name: &str| folder.path().join(name);
    let files = || Config::load_with_files(path("main.toml")).1;
    for change in [
        &|| fs::write(path("main.toml"), main_file("\"routes.d/*\", \"gone\"")) as io::Result<()>,
        &|| fs::write(path(list), "ab.test cryo"),
        &|| fs::write(path("new"), "ab.test cryo").and_then(|()| fs::rename(path("new"), path(list))),
        &|| fs::write(path("routes.d/b"), ""),
        &|| fs::write(path("gone"), ""),
        &|| fs::remove_file(path(list)),
    ] as [&dyn Fn() -> io::Result<()>; 6]
    {
        let before = files();
        fs::write(path("routes.d/.hidden"), "").unwrap();
        assert!(before.are_the_same());
        change().unwrap();
        assert!(!before.are_the_same(), "{before:?}");
    }
}

#[test]
fn a_text_without_a_folder_includes_nothing() {
    let error = Config::parse(&main_file("\"a\""), "f").unwrap_err();
    assert_eq!(
        error.problems()[0].to_string(),
        "f:1:11: include is there, but this text has no folder that its paths could begin in\n    \
         allowed: include in a file, or all routes and pools in one text"
    );
}
