//! What to do with a query, by the very code that decides in the kernel.

mod members;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::net::SocketAddr;

use dproxy_common::{
    abi::{Answer, MAX_DEPTHS, NO_ID, Pool, Subject},
    answer,
    message::{DNS_HEADER, TYPE_AND_CLASS, find_opt},
    name::Name,
    query,
    reason::Reason as FastReason,
    select,
    tables::Tables,
    wire::{Be16, DnsHeader, Opt},
    work::Work,
};

use super::message::{self, Made, MessageView};
use super::{Instead, PoolSettings, Reason, View};

/// Names of routes that a look-up may compare in full: unlike the kernel's, all that there can be.
const ALL_HITS: usize = MAX_DEPTHS + 1;

/// What came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked<'m> {
    /// The DNS message.
    pub message: &'m [u8],
    /// Who sent it.
    pub client: SocketAddr,
    /// Id of the listener asked.
    pub listener: u16,
    /// Did it come over TCP?
    pub over_tcp: bool,
}

/// What to do with a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Send it to a backend.
    Forward(Forward),
    /// Respond to it.
    Answer(Response),
    /// Nothing, for this reason.
    Drop(Reason, Subject),
}

/// A query to forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forward {
    /// Whom it concerns; the backend chosen is in it.
    pub subject: Subject,
    /// Where that backend listens.
    pub address: SocketAddr,
    /// Octets of its first question, 0 if it has none.
    pub question_length: usize,
    /// Its OPT record, in case dproxy has to respond itself.
    pub opt: Opt,
    /// Does the backend expect the PROXY protocol?
    pub proxy_protocol: bool,
    /// Does it ask for a zone transfer?
    pub is_transfer: bool,
    /// May it be sent twice, and to another backend of the pool? Not if it is for the primary, or an UPDATE.
    pub is_for_any: bool,
}

/// A response that dproxy makes itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Response {
    /// Why.
    pub reason: Reason,
    /// Whom it concerns.
    pub subject: Subject,
    question_length: usize,
    opt: Opt,
    made: Made,
}

impl Response {
    /// SERVFAIL to a query that was to be forwarded.
    pub(super) fn servfail(reason: Reason, forward: &Forward) -> Self {
        let Forward { subject, question_length, opt, .. } = *forward;
        let subject = Subject { backend: NO_ID, ..subject };
        Self { reason, subject, question_length, opt, made: Made::SERVFAIL }
    }

    /// Appends the message to `out`.
    pub fn write(&self, query: &[u8], out: &mut Vec<u8>) {
        message::respond(query, self.question_length, self.opt, self.made, out);
    }
}

/// Decides for one worker: keeps room for what is known about a query, and random numbers.
pub struct Decider {
    work: Box<Work>,
    random: u64,
    /// How often another backend was looked for.
    turn: Cell<usize>,
    /// By pool, how many turns there were, if it goes round.
    turns: BTreeMap<u16, u32>,
}

/// A message that was understood.
struct Understood {
    dns: DnsHeader,
    question_length: usize,
    opt: Opt,
}

impl Decider {
    /// With a seed other than 0 for policies that draw at random.
    pub fn new(seed: u64) -> Self {
        Self { work: Box::new(Work::EMPTY), random: seed | 1, turn: Cell::new(0), turns: BTreeMap::new() }
    }

    /// Decides about a query.
    pub fn decide(&mut self, view: &View, asked: &Asked<'_>) -> Decision {
        self.work.subject = Subject { listener: asked.listener, ..Subject::UNKNOWN };
        match self.route(view, asked) {
            Ok(understood) => self.follow(view, asked, &understood),
            Err(reason) => Decision::Drop(Reason::of_packet_path(reason), self.work.subject),
        }
    }

    /// Finds the route; leaves it, and the name's hash, in `work.name`.
    fn route(&mut self, view: &View, asked: &Asked<'_>) -> Result<Understood, FastReason> {
        let packet = MessageView(asked.message);
        let dns = message::header(asked.message).ok_or(FastReason::NotDns)?;
        if dns.is_response() {
            return Err(FastReason::UnexpectedResponse);
        }
        if asked.client.port() == 0 {
            return Err(FastReason::BadSource);
        }
        let work = &mut *self.work;
        work.half = view.half();
        work.frame.network.source = asked.client.ip().to_canonical().into();
        let generation = view.generation(work.half).ok_or(FastReason::Internal)?;
        let end = asked.message.len() as u32;
        let mut question_end = DNS_HEADER;
        if dns.questions == Be16::new(0) {
            // It has no name, so it is the root's.
            work.name = Name::EMPTY;
            work.name.route = generation.root_at;
        } else {
            question_end += query::find_route::<ALL_HITS, _, _>(&packet, view, 0, end, generation, work)?;
        }
        let opt =
            if dns.questions.get() <= 1 { find_opt(&packet, &dns, question_end, end) } else { Opt::NONE };
        Ok(Understood { dns, question_length: (question_end - DNS_HEADER) as usize, opt })
    }

    /// Does what the route says.
    fn follow(&mut self, view: &View, asked: &Asked<'_>, understood: &Understood) -> Decision {
        let target = self.work.name.route;
        if understood.dns.opcode() == message::STATEFUL {
            return self.respond(understood, Reason::AnsweredNotimp, Made::rcode(message::NOTIMP));
        }
        if !target.target.is_some() {
            return self.answer(asked, understood, Answer::Refused, Reason::NoRoute);
        }
        self.work.subject.route = target.route;
        match target.target.decode() {
            Ok(pool) => self.forward(view, asked, understood, pool),
            Err(answer) => match answer::reason(answer) {
                Ok(reason) => self.answer(asked, understood, answer, Reason::of_packet_path(reason)),
                Err(reason) => Decision::Drop(Reason::of_packet_path(reason), self.work.subject),
            },
        }
    }

    fn answer(&self, asked: &Asked<'_>, understood: &Understood, answer: Answer, reason: Reason) -> Decision {
        if understood.dns.questions.get() > 1 && understood.dns.opcode() == 0 {
            return self.respond(understood, Reason::AnsweredFormerr, Made::rcode(message::FORMERR));
        }
        if understood.opt.is_some() && understood.opt.version != 0 {
            let made = Made { rcode: 16, truncated: false };
            return self.respond(understood, Reason::AnsweredBadvers, made);
        }
        // Over TCP there is nowhere else to ask again.
        let truncated = matches!(answer, Answer::Truncate);
        let answer = if truncated && asked.over_tcp { Answer::Refused } else { answer };
        let made =
            Made { rcode: answer::response_code(answer).into(), truncated: truncated && !asked.over_tcp };
        self.respond(understood, reason, made)
    }

    fn respond(&self, understood: &Understood, reason: Reason, made: Made) -> Decision {
        let Understood { question_length, opt, .. } = *understood;
        Decision::Answer(Response { reason, subject: self.work.subject, question_length, opt, made })
    }

    fn forward(&mut self, view: &View, asked: &Asked<'_>, understood: &Understood, id: u16) -> Decision {
        let Some(pool) = select::pool(view, view.half(), id, self.work.frame.network.source) else {
            return Decision::Drop(Reason::Internal, self.work.subject);
        };
        self.work.subject.pool = pool.id;
        let mut settings = view.settings(pool.id);
        let opcode = understood.dns.opcode();
        let primary = settings.primary.filter(|_| matches!(opcode, message::NOTIFY | message::UPDATE));
        match primary {
            Some(backend) => self.work.subject.backend = backend,
            None => {
                if let Err(instead) = self.select(view, pool, &mut settings) {
                    self.work.subject.backend = NO_ID;
                    return match instead {
                        Instead::Drop => Decision::Drop(Reason::PoolDownDrop, self.work.subject),
                        Instead::Servfail | Instead::Pool(_) => {
                            self.respond(understood, Reason::ServfailUnreachable, Made::SERVFAIL)
                        }
                    };
                }
            }
        }
        let subject = self.work.subject;
        let Some(address) = view.address(subject.backend) else {
            return Decision::Drop(Reason::Internal, self.work.subject);
        };
        let question_length = understood.question_length;
        let is_transfer = asked.over_tcp && opcode == 0 && asks_for_transfer(asked.message, question_length);
        Decision::Forward(Forward {
            subject,
            address,
            question_length,
            opt: understood.opt,
            proxy_protocol: settings.proxy_protocol,
            is_transfer,
            // Two backends that both make an update may come to different results.
            is_for_any: primary.is_none() && opcode != message::UPDATE,
        })
    }

    /// Chooses a backend of a pool or, if it has none, of the pool that is there for that case.
    fn select(&mut self, view: &View, pool: &Pool, settings: &mut PoolSettings) -> Result<(), Instead> {
        if self.select_in(view, pool).is_ok() {
            return Ok(());
        }
        let instead = settings.when_down;
        let Instead::Pool(id) = instead else { return Err(instead) };
        let other = view.pool_in_use(id).ok_or(instead)?;
        self.select_in(view, other).map_err(|_| instead)?;
        self.work.subject.pool = other.id;
        *settings = view.settings(other.id);
        Ok(())
    }

    fn select_in(&mut self, view: &View, pool: &Pool) -> Result<(), FastReason> {
        let (random, turns) = (self.draw(), &mut self.turns);
        let turn = || {
            let turn = turns.entry(pool.id).or_default();
            *turn = turn.wrapping_add(1);
            *turn
        };
        match select::select(view, pool, random, turn, &mut self.work) {
            Err(FastReason::BackendUnresolved) => self.take_any(view, pool),
            selected => selected,
        }
    }

    /// xorshift64*: for policies, not for secrets.
    fn draw(&mut self) -> u32 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        (self.random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) as u32
    }
}

fn asks_for_transfer(message: &[u8], question_length: usize) -> bool {
    let end = message::HEADER + question_length;
    let Some(rr_type) = end.checked_sub(TYPE_AND_CLASS as usize).and_then(|at| message.get(at..at + 2))
    else {
        return false;
    };
    question_length > 0 && message::TRANSFERS.contains(&u16::from_be_bytes([rr_type[0], rr_type[1]]))
}

#[cfg(test)]
mod tests;
