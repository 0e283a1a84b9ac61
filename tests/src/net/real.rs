//! DNS servers of the distribution, each as its operators run it, but in the foreground and in a folder of
//! ours.

mod configuration;

use std::env;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use dproxy_lab::dns::op::ResponseCode;
use dproxy_lab::dns::rr::{Name, RecordType};
use dproxy_lab::{Host, Namespace, Question, Topology};
use nix::sys::signal::Signal;

use self::configuration::Place;
use super::commands::{Killed, end, installed};
use super::{wait_until, zone_file};

const START: Duration = Duration::from_secs(20);

/// A server program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Software {
    /// NLnet Labs' authoritative server.
    Nsd,
    /// CZ.NIC's authoritative server.
    Knot,
    /// ISC's server.
    Bind,
    /// NLnet Labs' resolver, with zones of its own.
    Unbound,
}

/// A running server; killed on drop.
pub struct Real {
    process: Killed,
    /// Where it listens, IPv4 first.
    pub addresses: [SocketAddr; 2],
}

impl Real {
    /// Starts a server on a host with these zones (see [`zone_file`]), and waits until it answers.
    pub fn start(topology: &Topology, host: &Host, software: Software, zones: &[&str]) -> Self {
        Self::start_at(topology, &host.namespace, host.sockets(53), software, zones)
    }

    /// The same in any namespace, at any addresses and ports.
    pub fn start_at(
        topology: &Topology,
        namespace: &Namespace,
        addresses: [SocketAddr; 2],
        software: Software,
        zones: &[&str],
    ) -> Self {
        let files: Vec<(&str, String)> = zones.iter().map(|zone| (*zone, zone_file(zone))).collect();
        Self::start_with(topology, namespace, addresses, software, &files)
    }

    /// The same with any zone files.
    pub fn start_with(
        topology: &Topology,
        namespace: &Namespace,
        addresses: [SocketAddr; 2],
        software: Software,
        files: &[(&str, String)],
    ) -> Self {
        let name = format!("{}-{}-{}", namespace.name(), software.program(), addresses[0].port());
        let folder = topology.instance().folder().join(name);
        fs::create_dir(&folder).unwrap();
        for (zone, text) in files {
            fs::write(folder.join(zone), text).unwrap();
        }
        let zones: Vec<&str> = files.iter().map(|(zone, _)| *zone).collect();
        let place = Place { folder: &folder, addresses, zones: &zones };
        let file = folder.join("configuration");
        fs::write(&file, software.configuration(&place)).unwrap();

        let log = File::create(folder.join("log")).unwrap();
        let mut command = namespace.command(copy(software.program()));
        command.args(software.foreground()).arg("-c").arg(&file).current_dir(&folder);
        command.stdout(log.try_clone().unwrap()).stderr(log);
        let mut process = Killed(command.spawn().unwrap());
        let origin = Name::from_ascii(zones[0]).unwrap();
        let question = Question::new(origin, RecordType::SOA).timeout(Duration::from_millis(100));
        let (start, shown) = (Instant::now(), format!("{software:?}"));
        wait_until(&format!("{shown} to answer"), START, || {
            if let Some(status) = process.0.try_wait().unwrap() {
                panic!("{shown} ended ({status}): {}", fs::read_to_string(folder.join("log")).unwrap());
            }
            addresses.iter().all(|address| {
                let reply = question.ask(namespace, *address);
                reply.is_ok_and(|reply| reply.message.response_code == ResponseCode::NoError)
            })
        });
        println!("{shown} answers after {:?}", start.elapsed());
        Self { process, addresses }
    }

    /// Sends a signal to the server.
    pub fn signal(&self, signal: Signal) {
        end(self.process.0.id(), signal);
    }
}

/// A copy of a server's program, to run instead: what AppArmor allows a server to read goes by the path of
/// its program, and our folder is not part of it.
fn copy(program: &str) -> PathBuf {
    let folder = env::current_exe().unwrap().with_file_name("servers");
    let (copy, new) = (folder.join(program), folder.join(format!("{program}.new")));
    fs::create_dir_all(folder).unwrap();
    fs::copy(installed(program), &new).unwrap();
    // Not written in place: it may be running.
    fs::rename(new, &copy).unwrap();
    copy
}

impl Software {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Nsd, Self::Knot, Self::Bind, Self::Unbound];

    fn program(self) -> &'static str {
        match self {
            Self::Nsd => "nsd",
            Self::Knot => "knotd",
            Self::Bind => "named",
            Self::Unbound => "unbound",
        }
    }

    fn foreground(self) -> &'static [&'static str] {
        match self {
            Self::Nsd => &["-d"],
            Self::Knot => &[],
            Self::Bind => &["-g"],
            Self::Unbound => &["-d", "-p"],
        }
    }
}
