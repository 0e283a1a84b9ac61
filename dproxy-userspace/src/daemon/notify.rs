//! Tells the service manager how we are (sd_notify(3)).

use std::env;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use tracing::warn;

/// Says `READY=1` or the like, if there is a service manager that wants to know.
pub(super) fn notify(state: &str) {
    let Some(address) = env::var_os("NOTIFY_SOCKET") else { return };
    if let Err(error) = send(address.as_bytes(), state) {
        warn!("cannot notify the service manager: {error}");
    }
}

fn send(address: &[u8], state: &str) -> io::Result<()> {
    let address = match address.split_first() {
        Some((b'@', name)) => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(address))?,
    };
    UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_addresses() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let name = format!("dproxy-test-{}", std::process::id());
        let sockets = [
            (path.as_os_str().as_bytes().to_vec(), UnixDatagram::bind(&path).unwrap()),
            (
                format!("@{name}").into_bytes(),
                UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(name.as_bytes()).unwrap()).unwrap(),
            ),
        ];
        for (address, socket) in sockets {
            send(&address, "READY=1").unwrap();
            let mut octets = [0; 16];
            let length = socket.recv(&mut octets).unwrap();
            assert_eq!(&octets[..length], b"READY=1");
        }
    }
}
