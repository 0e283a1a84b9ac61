//! `dproxy import`.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Write};
use std::net::{IpAddr, Ipv4Addr, ToSocketAddrs};
use std::path::Path;

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;

use super::args::ImportDproxy;
use super::style::printable_lines;
use super::{Failure, print_text};
use crate::import::{Converted, Serving, Source, convert};

/// `dproxy import dproxy`: the file to standard output or to a file, the notes to standard error.
pub(super) fn dproxy(import: &ImportDproxy) -> Result<(), Failure> {
    let source = Source::load(&import.folder)?;
    let converted = convert(&source, &serving(import)?, &look_up)?;
    match &import.output {
        None => print_text(&converted.to_toml())?,
        Some(file) => write(file, &converted.to_toml(), import.force)?,
    }
    tell(&converted);
    Ok(())
}

/// What was asked for, or else what this host has.
fn serving(import: &ImportDproxy) -> Result<Serving, Failure> {
    let ImportDproxy { interfaces, listen, .. } = import;
    if !interfaces.is_empty() && !listen.is_empty() {
        return Ok(Serving { interfaces: interfaces.clone(), addresses: listen.clone(), remark: None });
    }
    let host = host().map_err(Failure::Addresses)?;
    let mut serving = Serving { interfaces: interfaces.clone(), addresses: listen.clone(), remark: None };
    let mut remark = Vec::new();
    if interfaces.is_empty() {
        serving.interfaces = host.interfaces.into_iter().collect();
        remark.push("These are the interfaces that had a global address when this file was made.");
    }
    if listen.is_empty() {
        serving.addresses = host.addresses.into_iter().map(|ip| (ip, None)).collect();
        remark.push(
            "The original serves every address of its host; these are the global ones that this host had \
             when this file was made.",
        );
    }
    serving.remark = Some(remark.join(" "));
    Ok(serving)
}

#[derive(Default)]
struct Host {
    interfaces: BTreeSet<String>,
    addresses: BTreeSet<IpAddr>,
}

/// The global addresses of this host, and the interfaces that have one.
fn host() -> io::Result<Host> {
    let mut host = Host::default();
    for interface in getifaddrs()? {
        let address = interface.address.as_ref();
        let v4 = address.and_then(|address| address.as_sockaddr_in()).map(|v4| IpAddr::V4(v4.ip()));
        let v6 = address.and_then(|address| address.as_sockaddr_in6()).map(|v6| IpAddr::V6(v6.ip()));
        let Some(ip) = v4.or(v6).filter(is_global) else { continue };
        if !interface.flags.contains(InterfaceFlags::IFF_UP) {
            continue;
        }
        host.addresses.insert(ip);
        // Addresses of its own on the loopback interface are asked for through the others.
        if !interface.flags.contains(InterfaceFlags::IFF_LOOPBACK) {
            host.interfaces.insert(interface.interface_name);
        }
    }
    Ok(host)
}

fn is_global(ip: &IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => !v4.is_loopback() && !v4.is_link_local() && *v4 != Ipv4Addr::UNSPECIFIED,
        IpAddr::V6(v6) => !v6.is_loopback() && !v6.is_unicast_link_local() && !v6.is_unspecified(),
    }
}

fn look_up(host: &str) -> Result<Vec<IpAddr>, String> {
    let addresses = (host, 0).to_socket_addrs().map_err(|error| error.to_string())?;
    Ok(addresses.map(|address| address.ip()).collect())
}

fn write(file: &Path, text: &str, replace: bool) -> Result<(), Failure> {
    let mut options = OpenOptions::new();
    options.write(true).create(replace).truncate(replace).create_new(!replace);
    let written = options.open(file).and_then(|mut file| file.write_all(text.as_bytes()));
    let file = file.display().to_string();
    written.map_err(|error| match error.kind() == ErrorKind::AlreadyExists {
        true => Failure::Exists { file },
        false => Failure::Write { file, error },
    })
}

/// What there is to know, on standard error: standard output may be the file.
fn tell(converted: &Converted) {
    let notes = converted.notes.iter().map(|note| format!("{note}\n"));
    let text: String = notes.chain([format!("converted: {}\n", converted.summary())]).collect();
    // There is nobody left to tell if this fails.
    let _ = io::stderr().write_all(printable_lines(&text).as_bytes());
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_is_replaced_only_by_force() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("dproxy.toml");
        write(&file, "a longer text", false).unwrap();
        let error = write(&file, "b", false).unwrap_err().to_string();
        assert_eq!(
            error,
            format!(
                "{} is there already\n    allowed: another file, or --force to replace it",
                file.display()
            )
        );
        assert_eq!(fs::read_to_string(&file).unwrap(), "a longer text");
        write(&file, "b", true).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "b");

        let error = write(&folder.path().join("none/f"), "", true).unwrap_err().to_string();
        assert!(error.starts_with("cannot write "), "{error}");
    }
}
