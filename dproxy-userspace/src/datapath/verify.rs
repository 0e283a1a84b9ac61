//! Asking the loaded program about a generation before it is put in force.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use dproxy_common::{abi::NO_ROUTE, explain::Explain};

use super::{DatapathError, question::query_frame};
use crate::{
    config::{Name, Quoted},
    control::{Patch, Question},
};

/// QTYPE A (RFC 1035 §3.2.2).
const TYPE_A: u16 = 1;

/// Asks about every listener, and about each of a patch's questions. The program must name the listener and the
/// route.
pub(super) fn verify(
    patch: &Patch,
    ask: impl Fn(&[u8]) -> Result<Explain, DatapathError>,
) -> Result<(), DatapathError> {
    let Patch { names, questions, .. } = patch;
    let turns = questions.len().max(names.listeners.len());
    let pairs = names.listeners.iter().cycle().zip(questions.iter().cycle()).take(turns);
    for ((&id, &listener), question) in pairs {
        let answer = ask(&query_frame(client_of(listener), listener, &question.name, TYPE_A)?)?;
        if answer.subject.route != question.route.unwrap_or(NO_ROUTE) || answer.subject.listener != id {
            return Err(wrong(listener, question, &answer));
        }
    }
    Ok(())
}

/// Somebody (RFC 5737, RFC 3849) who may ask the listener.
fn client_of(listener: SocketAddr) -> SocketAddr {
    let clients: [IpAddr; 2] = match listener {
        SocketAddr::V4(_) => [1, 2].map(|host| Ipv4Addr::new(192, 0, 2, host).into()),
        SocketAddr::V6(_) => [1, 2].map(|host| Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, host).into()),
    };
    let [first, second] = clients;
    SocketAddr::new(if first == listener.ip() { second } else { first }, 1024)
}

fn wrong(listener: SocketAddr, question: &Question, answer: &Explain) -> DatapathError {
    let name = Name::from_wire(&question.name).map(|name| name.to_string()).unwrap_or_default();
    let route = |id: Option<u32>| id.map_or_else(|| "no route".to_owned(), |id| format!("route {id}"));
    DatapathError(format!(
        "the loaded program does not read the new generation as it was written: at {listener}, it finds {} \
         where {} was written for {} ({}); the generation before stays in force; please report this with the \
         configuration",
        route(Some(answer.subject.route).filter(|id| *id != NO_ROUTE)),
        route(question.route),
        Quoted(&name),
        answer.reason().map_or("no reason", |reason| reason.label()),
    ))
}
