//! One daemon a socket.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};

use nix::sys::stat::Mode;

use crate::api::{Client, ClientError, Socket, SocketError};

#[test]
fn folder_and_mode() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run/dproxy/dproxy.sock");
    let socket = Socket::claim(&path).unwrap();
    let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, (Mode::S_IRUSR | Mode::S_IWUSR | Mode::S_IRGRP | Mode::S_IWGRP).bits());
    drop(socket);
    assert!(!path.exists());
    Socket::claim(&path).unwrap();
}

#[test]
fn a_second_daemon_says_who_is_first_and_leaves_it_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dproxy.sock");
    let first = Socket::claim(&path).unwrap();
    let second = Socket::claim(&path).unwrap_err();
    assert_eq!(
        second.to_string(),
        format!(
            "{} is already served by process {}; use --socket or control.socket for a second instance",
            path.display(),
            std::process::id()
        )
    );
    UnixStream::connect(first.path()).unwrap();
}

#[test]
fn what_a_killed_daemon_left_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dproxy.sock");
    // A socket stays when who listened is gone; a lock does not.
    drop(UnixListener::bind(&path).unwrap());
    assert!(UnixStream::connect(&path).is_err());
    let socket = Socket::claim(&path).unwrap();
    UnixStream::connect(socket.path()).unwrap();
}

#[test]
fn a_listener_without_a_lock_is_left_alone_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dproxy.sock");
    let _other = UnixListener::bind(&path).unwrap();
    assert!(matches!(Socket::claim(&path), Err(SocketError::Served { process: Some(_), .. })));
    UnixStream::connect(&path).unwrap();
}

#[test]
fn a_file_is_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dproxy.sock");
    fs::write(&path, "precious").unwrap();
    assert!(matches!(Socket::claim(&path), Err(SocketError::NotASocket(_))));
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "and nothing is left beside it");
}

#[test]
fn of_many_that_start_at_once_one_wins() {
    let folder = tempfile::tempdir().unwrap();
    // Often, because what could go wrong takes two that are in the same place at the same time.
    for round in 0..200 {
        let path = folder.path().join(format!("{round}.sock"));
        drop(UnixListener::bind(&path).unwrap());
        let start = std::sync::Barrier::new(4);
        let claim = || {
            start.wait();
            Socket::claim(&path)
        };
        let claims: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(claim)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(claims.iter().filter(|claim| claim.is_ok()).count(), 1);
        for claim in claims.iter().filter_map(|claim| claim.as_ref().err()) {
            assert!(matches!(claim, SocketError::Served { .. } | SocketError::Claimed(_)), "{claim}");
        }
        UnixStream::connect(&path).unwrap();
    }
}

#[tokio::test]
async fn without_a_daemon_the_client_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dproxy.sock");
    let error = Client::new(&path).get::<serde_json::Value>("/v1/status").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "no dproxy answers on {}: No such file or directory (os error 2); start it with `dproxy run`, or \
             name its socket with --socket or DPROXY_SOCKET",
            path.display()
        )
    );
    drop(UnixListener::bind(&path).unwrap());
    let error = Client::new(&path).get::<serde_json::Value>("/v1/status").await.unwrap_err();
    assert!(matches!(error, ClientError::NoDaemon { .. }), "{error}");
}
