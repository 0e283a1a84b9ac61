//! Folders as they are found.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::{config, folder, generations, names, put, put_whole, record};
use crate::state::{Content, Kind, Record, StateError, Store};

#[test]
fn a_missing_folder_is_created() {
    let home = folder();
    let path = home.path().join("var/dproxy");
    let mut store = Store::open(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o750);
    assert_eq!((store.newest().unwrap(), store.read_only()), (None, None));
    put_whole(&mut store, &config());
    assert_eq!(names(&path), ["1"]);
    assert_eq!(fs::metadata(path.join("generations/1")).unwrap().permissions().mode() & 0o777, 0o640);
}

#[test]
fn two_daemons_never_share_a_folder() {
    let home = folder();
    let store = Store::open(home.path()).unwrap();
    assert_eq!(
        Store::open(home.path()).unwrap_err().to_string(),
        format!(
            "state folder {} is in use by process {}; stop that one, or name another folder with --state",
            home.path().display(),
            std::process::id()
        )
    );
    drop(store);
    Store::open(home.path()).unwrap();
}

#[test]
fn what_was_not_completed_is_removed() {
    let home = folder();
    let mut store = Store::open(home.path()).unwrap();
    let config = config();
    put_whole(&mut store, &config);
    put(&mut store, Record { unconfirmed: true, ..record(2, Kind::Apply, Content::Whole(&config)) }).unwrap();
    drop(store);
    for name in [".3", "README", "007", "1.bak"] {
        fs::write(home.path().join("generations").join(name), "").unwrap();
    }
    let mut store = Store::open(home.path()).unwrap();
    assert_eq!(names(home.path()), ["007", "1", "1.bak", "README"], "other people's files stay");
    assert_eq!((store.left_unconfirmed(), store.next_generation()), (Some(2), 3));
    assert_eq!(store.newest().unwrap().unwrap().header.generation, 1);
    drop(store);
    assert_eq!(Store::open(home.path()).unwrap().left_unconfirmed(), None);
}

#[test]
fn a_folder_that_cannot_be_created_is_tried_again_with_each_edit() {
    let home = folder();
    let (file, path) = (home.path().join("file"), home.path().join("file/dproxy"));
    fs::write(&file, "").unwrap();
    let mut store = Store::open(&path).unwrap();
    let refused = StateError::Write {
        folder: path.clone(),
        cause: "Not a directory".to_owned(),
        advice: "edits are refused until the folder can be written, or name another with --state",
    };
    assert_eq!(store.read_only(), Some(&refused));
    assert_eq!(store.newest().unwrap(), None);
    let config = config();
    let first = || record(1, Kind::Start, Content::Whole(&config));
    assert_eq!(store.write(first()).unwrap_err(), refused);
    fs::remove_file(&file).unwrap();
    put(&mut store, first()).unwrap();
    assert_eq!((store.read_only(), names(&path)), (None, vec!["1".to_owned()]));
    assert!(matches!(Store::open(&path), Err(StateError::Locked { .. })), "the lock is taken, too");
}

#[test]
fn a_folder_that_turns_up_with_a_history_is_left_alone() {
    let home = folder();
    let (path, away) = (home.path().join("state"), home.path().join("away"));
    put_whole(&mut Store::open(&path).unwrap(), &config());
    fs::rename(&path, &away).unwrap();
    fs::write(&path, "").unwrap();
    let mut store = Store::open(&path).unwrap();
    fs::remove_file(&path).unwrap();
    fs::rename(&away, &path).unwrap();
    let config = config();
    let refused = store.write(record(2, Kind::Edit, Content::Whole(&config))).unwrap_err();
    assert_eq!(refused, StateError::Changed(path.clone()));
    assert_eq!(names(&path), ["1"]);
}

#[test]
fn a_folder_that_can_only_be_read_is_read() {
    let home = folder();
    let path = home.path().join("state");
    let mut store = Store::open(&path).unwrap();
    let config = config();
    put_whole(&mut store, &config);
    put(&mut store, Record { unconfirmed: true, ..record(2, Kind::Apply, Content::Whole(&config)) }).unwrap();
    drop(store);
    open_for_all(home.path(), 0o755);
    let config = &config;
    without_privileges(move || {
        let mut store = Store::open(&path).unwrap();
        assert_eq!(
            store.read_only().unwrap().to_string(),
            format!(
                "cannot write in {}: Permission denied; edits are refused until the folder can be written, or \
                 name another with --state",
                path.display()
            )
        );
        assert_eq!(generations(&store), [1], "the unconfirmed one is ignored");
        assert_eq!(store.newest().unwrap().unwrap().config, *config);
        let refused = store.write(record(3, Kind::Edit, Content::Whole(config))).unwrap_err();
        assert_eq!(Some(&refused), store.read_only());
        assert!(
            matches!(Store::open(&path), Err(StateError::Locked { .. })),
            "the lock is taken all the same"
        );
    });
    open_for_all(home.path(), 0o700);
}

/// Lets everybody read a folder and what is in it; nobody but root can write there.
fn open_for_all(path: &Path, folders: u32) {
    let children = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    for child in children.collect::<Vec<_>>() {
        match child.is_dir() {
            true => open_for_all(&child, folders),
            false => fs::set_permissions(child, Permissions::from_mode(0o444)).unwrap(),
        }
    }
    fs::set_permissions(path, Permissions::from_mode(folders & 0o755)).unwrap();
}

/// Runs something on a thread that is nobody. Root's privileges would open everything.
fn without_privileges(run: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            // SAFETY: the system call itself, unlike the C library's function, concerns this thread alone.
            let _ = unsafe { libc::syscall(libc::SYS_setresuid, 65534, 65534, 65534) };
            run();
        });
        thread.join().unwrap();
    });
}
