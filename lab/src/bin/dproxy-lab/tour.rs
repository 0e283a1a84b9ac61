//! The tour: each question is asked, and who answered is seen from the servers' own counts.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use dproxy_lab::dns::rr::Name;
use dproxy_lab::{AskError, Interrupt, LISTENERS, Question, Reply};

use crate::internet::{Internet, Placed};
use crate::path::{Expectation, Path};
use crate::questions::{By, HOME, Planned, QUESTIONS};

/// What the tour has shown so far.
#[derive(Default)]
pub(crate) struct Tour {
    /// Packets that dproxy must have counted.
    pub(crate) expected: Expectation,
    /// One line for each question that was not answered as planned.
    pub(crate) failures: Vec<String>,
}

/// One question, asked.
struct Asked<'a> {
    planned: &'a Planned,
    listener: IpAddr,
    result: Result<Reply, AskError>,
    /// The server that got the question.
    server: Option<&'a Placed>,
}

/// Asks all questions over IPv4, then over IPv6, and prints a line for each. `None`: interrupted.
pub(crate) fn ask_all(
    internet: &Internet,
    interrupt: &Interrupt,
    out: &mut impl Write,
) -> Result<Option<Tour>> {
    update_home(internet)?;
    let title = row(' ', ["over", "question", "type", "answer", "answered by", "time"]);
    writeln!(out, "\n{title}\n  {}", "─".repeat(title.chars().count() - 2))?;
    let mut tour = Tour::default();
    for listener in LISTENERS {
        for planned in &QUESTIONS {
            if interrupt.came()? {
                return Ok(None);
            }
            let asked = ask(internet, planned, listener)?;
            writeln!(out, "{}", asked.shown())?;
            tour.note(&asked);
        }
    }
    Ok(Some(tour))
}

fn ask<'a>(internet: &'a Internet, planned: &'a Planned, listener: IpAddr) -> Result<Asked<'a>> {
    let count = |placed: &Placed| {
        let queries = placed.server.queries();
        if planned.tcp { queries.tcp } else { queries.udp }
    };
    let before: Vec<u64> = internet.servers.iter().map(count).collect();
    let mut question = Question::new(Name::from_ascii(planned.name)?, planned.record_type).edns(1232);
    if planned.tcp {
        question = question.tcp();
    }
    let client = &internet.topology.client.namespace;
    let result = question.ask(client, SocketAddr::from((listener, 53)));
    let asked = internet.servers.iter().zip(before).find(|(placed, before)| count(placed) > *before);
    Ok(Asked { planned, listener, result, server: asked.map(|(placed, _)| placed) })
}

impl Tour {
    fn note(&mut self, asked: &Asked) {
        if let Some(path) = asked.path() {
            path.add_to(&mut self.expected);
        }
        if !asked.is_as_planned() {
            let Planned { name, record_type, .. } = asked.planned;
            let (over, answer, by) = (asked.over(), asked.answer(), asked.answered_by());
            self.failures.push(format!("{name} {record_type} over {over}: {answer} ({by})"));
        }
    }
}

impl Asked<'_> {
    /// The way that the question must have taken to whoever got it.
    fn path(&self) -> Option<Path> {
        match (self.server, self.planned.by) {
            (Some(placed), _) => {
                Some(Path::to(placed.host, placed.is_of_family(self.listener), self.planned.tcp))
            }
            (None, By::Kernel(reason)) => Some(Path::Answered(reason)),
            (None, By::Server(_)) => None,
        }
    }

    fn over(&self) -> &'static str {
        match (self.planned.tcp, self.listener.is_ipv4()) {
            (false, true) => "UDP, IPv4",
            (false, false) => "UDP, IPv6",
            (true, true) => "TCP, IPv4",
            (true, false) => "TCP, IPv6",
        }
    }

    fn is_as_planned(&self) -> bool {
        let name = self.server.map(|placed| placed.server.name());
        let by_whom = match (self.planned.by, name) {
            (By::Server(planned), Some(name)) => name.starts_with(planned),
            (By::Kernel(_), None) => self.result.is_ok(),
            (By::Server(_), None) | (By::Kernel(_), Some(_)) => false,
        };
        by_whom && self.planned.answer.or(name) == Some(&self.answer())
    }

    fn shown(&self) -> String {
        let Planned { name, record_type, .. } = self.planned;
        let mark = if self.is_as_planned() { ' ' } else { '✗' };
        let milliseconds = |reply: &Reply| format!("{:.2} ms", reply.time.as_secs_f64() * 1e3);
        let time = self.result.as_ref().map_or_else(|_| String::new(), milliseconds);
        let (record_type, answer, by) = (record_type.to_string(), self.answer(), self.answered_by());
        row(mark, [self.over(), name, &record_type, &answer, &by, &time])
    }

    /// The answer's data, or else the response code as dig shows it, or else why there is none.
    fn answer(&self) -> String {
        let message = match &self.result {
            Ok(reply) => &reply.message,
            Err(AskError::Timeout { .. }) => return "no reply".to_owned(),
            Err(AskError::Io { source, .. }) => return source.to_string(),
            Err(AskError::Malformed(_)) => return "not a DNS message".to_owned(),
        };
        if message.answers.is_empty() {
            return format!("{:?}", message.response_code).to_uppercase();
        }
        let data: Vec<String> = message.answers.iter().map(|record| record.data.to_string()).collect();
        data.join(" ")
    }

    fn answered_by(&self) -> String {
        match self.server {
            Some(placed) => format!("{} on {}", placed.server.name(), placed.host),
            None if self.result.is_ok() => "dproxy, in the kernel".to_owned(),
            None => "nobody".to_owned(),
        }
    }
}

fn row(mark: char, [over, question, record_type, answer, by, time]: [&str; 6]) -> String {
    let row =
        format!("{mark} {over:<9}  {question:<25}  {record_type:<4}  {answer:<19}  {by:<23}  {time:>8}");
    row.trim_end().to_owned()
}

/// Sets home.dyn.test by HTTP, as a router at home would.
fn update_home(internet: &Internet) -> Result<()> {
    let address = internet.update_address();
    let exchange = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2))?;
        write!(stream, "POST /update?name=home.dyn.test&address={HOME} HTTP/1.0\r\n\r\n")?;
        let mut response = String::new();
        stream.read_to_string(&mut response)?;
        Ok(response)
    };
    let response = internet.topology.client.namespace.enter(exchange)?;
    let response = response.with_context(|| format!("update the dynamic zone at http://{address}"))?;
    ensure!(response.contains(" 200 "), "the dynamic zone refused an update: {response}");
    Ok(())
}
