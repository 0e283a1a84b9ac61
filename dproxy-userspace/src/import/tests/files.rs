//! The files themselves: which are read.

use std::fs;
use std::os::unix::fs::symlink;

use super::*;

const ENTRY: &str = "[a.test]\naddress = 10.0.0.1\nport = 53\n";

fn load(folder: &Path) -> Result<Converted, ImportError> {
    convert(&Source::load(folder)?, &serving(), &look_up)
}

#[test]
fn regular_files_with_the_extension_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("config.gcfg"), SETTINGS).unwrap();
    fs::create_dir_all(path("upstream/folder.prox")).unwrap();
    fs::write(path("upstream/a.b.prox"), ENTRY).unwrap();
    fs::write(path("upstream/b.prox.old"), ENTRY.replace("a.test", "b.test")).unwrap();
    fs::write(path("upstream/c.prox"), ENTRY.replace("a.test", "c.\u{e9}\n[d.test")).unwrap();
    symlink(path("upstream/b.prox.old"), path("upstream/link.prox")).unwrap();

    let converted = load(folder.path()).unwrap();
    assert_eq!(shown(&converted), ["=a.test 10.0.0.1:53", "=d.test 10.0.0.1:53"]);
    let toml = converted.to_toml();
    assert!(toml.contains("\"=a.test\" = \"a-test\"  # upstream/a.b.prox:1\n"), "{toml}");
    assert!(toml.contains("# NOTE: upstream/link.prox: is a symbolic link, which the original"), "{toml}");
}

#[test]
fn what_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = load(folder.path()).unwrap_err().to_string();
    assert!(
        error.starts_with(&format!("{}/config.gcfg: cannot be read: ", folder.path().display())),
        "{error}"
    );
    fs::write(folder.path().join("config.gcfg"), SETTINGS.replace("upstream/", "elsewhere/")).unwrap();
    let error = load(folder.path()).unwrap_err().to_string();
    assert!(
        error.starts_with(&format!("{}/elsewhere/: cannot be read: ", folder.path().display())),
        "{error}"
    );
}
