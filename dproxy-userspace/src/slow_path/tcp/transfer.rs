//! Zone transfers: a backend connection of its own for each, and as much of the zone in memory as the
//! client is about to read.

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{timeout, timeout_at};

use super::Tcp;
use super::buffers::{Input, Output, split};
use super::client::{Client, End};
use super::connection::connect;
use super::forward::header;
use super::transfer_end::{Progress, TransferEnd};
use crate::slow_path::counters::{add, take_one};
use crate::slow_path::decide::Response;
use crate::slow_path::limits::prefix;
use crate::slow_path::{Forward, Reason, message};

/// Zone transfers of one worker at a time: each takes one of the hundred or so connections that its backend
/// has room for.
const MOST: usize = 64;
/// Of one client, so that it does not take all of them.
pub(super) const MOST_OF_CLIENT: usize = 8;

/// A zone transfer.
pub(super) struct Transfer {
    tcp: Rc<Tcp>,
    client: Rc<Client>,
    query: Vec<u8>,
    forward: Forward,
    /// Was it asked of another backend?
    is_moved: bool,
    _taken: Taken,
}

/// Zone transfers under way of a worker, by client: an IPv4 address, or an IPv6 /64.
#[derive(Default)]
pub(super) struct Transfers(RefCell<HashMap<IpAddr, usize>>);

impl Transfers {
    /// One of a client is about to begin. `None`: there are too many, of it or of all.
    fn take(self: &Rc<Self>, client: IpAddr) -> Option<Taken> {
        let client = prefix(client);
        let mut under_way = self.0.borrow_mut();
        let all: usize = under_way.values().sum();
        let of_client = under_way.get(&client).copied().unwrap_or(0);
        if all >= MOST || of_client >= MOST_OF_CLIENT {
            return None;
        }
        under_way.insert(client, of_client + 1);
        Some(Taken { transfers: Rc::clone(self), client })
    }
}

/// One of the [`Transfers`], until it is dropped.
struct Taken {
    transfers: Rc<Transfers>,
    client: IpAddr,
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut under_way = self.transfers.0.borrow_mut();
        if let Some(number) = under_way.get_mut(&self.client) {
            *number -= 1;
        }
        under_way.retain(|_, number| *number > 0);
    }
}

/// Why a transfer did not come to its end.
enum Stopped {
    /// Nothing has come yet, so another backend may be asked. The reason to do so, and the one to answer
    /// SERVFAIL.
    Before(Reason, Reason),
    /// In the middle.
    Within,
}

const BROKEN: Stopped = Stopped::Before(Reason::RetriedUnreachable, Reason::ServfailBroken);

impl Transfer {
    /// `None`: there are too many already.
    pub(super) fn new(tcp: &Rc<Tcp>, client: &Rc<Client>, query: &[u8], forward: Forward) -> Option<Self> {
        let taken = tcp.transfers.take(client.address.ip())?;
        tcp.worker.counters.count_query(Reason::TransferForwarded, &forward.subject);
        client.begin_transfer();
        let (tcp, client, query) = (Rc::clone(tcp), Rc::clone(client), query.to_vec());
        Some(Self { tcp, client, query, forward, is_moved: false, _taken: taken })
    }

    /// Passes it through, as long as the client is there.
    pub(super) async fn run(mut self) {
        let client = Rc::clone(&self.client);
        tokio::select! {
            biased;
            () = client.until_gone() => {}
            () = self.pass() => {}
        }
    }

    async fn pass(&mut self) {
        let mut result = self.attempt().await;
        if let Err(Stopped::Before(reason, _)) = result
            && !self.is_moved
            && let Some(forward) = self.another()
        {
            (self.is_moved, self.forward) = (true, forward);
            self.tcp.worker.count(reason);
            self.tcp.worker.counters.count_backend_query(forward.subject.backend);
            result = self.attempt().await;
        }
        match result {
            Ok(()) => {}
            Err(Stopped::Before(_, reason)) => {
                let response = Response::servfail(reason, &self.forward);
                self.tcp.worker.count(reason);
                self.tcp.respond(&self.client, &self.query, &response, Instant::now());
            }
            // Who goes on would take what follows for the rest of the zone.
            Err(Stopped::Within) => self.client.close(End::Because(Reason::TransferBroken)),
        }
    }

    /// How long the backend may take to begin: large zones take their time, and one that is silent is to be
    /// found out only while there is another to ask.
    fn patience(&self) -> Duration {
        let limits = &self.tcp.worker.limits;
        let is_last = self.is_moved || self.another().is_none();
        if is_last { limits.idle_timeout } else { limits.timeout / 3 }
    }

    fn another(&self) -> Option<Forward> {
        self.tcp.worker.decider.borrow().another(&*self.tcp.worker.view()?, &self.forward)
    }

    /// Asks the backend.
    async fn attempt(&self) -> Result<(), Stopped> {
        let third = self.tcp.worker.limits.timeout / 3;
        let Ok(Ok(stream)) = timeout(third, connect(self.forward.address)).await else {
            self.tcp.worker.count(Reason::BackendConnectFailed);
            return Err(Stopped::Before(Reason::RetriedUnreachable, Reason::ServfailUnreachable));
        };
        self.tcp.worker.count(Reason::BackendConnected);
        let end = TransferEnd::new(&self.query, self.forward.question_length);
        let id = self.tcp.random.borrow_mut().next_u16();
        let gauge = &self.tcp.worker.counters.backend_connections;
        add(gauge, 1);
        let _taken = OnDrop(|| take_one(gauge));
        Relay { transfer: self, stream, id, input: Input::default(), end, has_begun: false }.run().await
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        self.client.end_transfer();
    }
}

struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// The connection that a transfer comes by.
struct Relay<'t> {
    transfer: &'t Transfer,
    stream: TcpStream,
    /// The ID that the backend was asked with.
    id: u16,
    input: Input,
    end: TransferEnd,
    has_begun: bool,
}

impl Relay<'_> {
    async fn run(mut self) -> Result<(), Stopped> {
        let Transfer { tcp, client, query, forward, .. } = self.transfer;
        let mut output = Output::default();
        output.push_raw(&header(client, forward));
        output.push(query, self.id);
        let mut until = Instant::now() + self.transfer.patience();
        if !matches!(timeout_at(until.into(), self.stream.write_all(output.octets())).await, Ok(Ok(()))) {
            return Err(BROKEN);
        }
        loop {
            match timeout_at(until.into(), poll_fn(|cx| self.poll_take(cx))).await {
                Ok(Ok(Progress::Complete)) => return Ok(()),
                Ok(Ok(Progress::More)) => {}
                Ok(Err(_)) if self.has_begun => return Err(Stopped::Within),
                Ok(Err(_)) => return Err(BROKEN),
                Err(_) if self.has_begun => return Err(Stopped::Within),
                Err(_) => return Err(Stopped::Before(Reason::RetriedTimeout, Reason::ServfailTimeout)),
            }
            client.room().await;
            if self.has_begun {
                until = Instant::now() + tcp.worker.limits.idle_timeout;
            }
        }
    }

    /// Takes the messages of one read. Fails if the backend closes the connection, or sends something else.
    fn poll_take(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Progress>> {
        let tcp = &self.transfer.tcp;
        let mut scratch = tcp.scratch.borrow_mut();
        let mut buffer = ReadBuf::new(&mut scratch);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
        if buffer.filled().is_empty() {
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        let mut progress = Progress::More;
        let mut input = std::mem::take(&mut self.input);
        input.feed(buffer.filled(), |octets| {
            let mut rest = octets;
            while progress == Progress::More
                && let Some((message, after)) = split(rest)
            {
                progress = self.message(message).map_err(|reason| {
                    tcp.worker.count(reason);
                    io::Error::from(io::ErrorKind::InvalidData)
                })?;
                rest = after;
            }
            Ok::<_, io::Error>(octets.len() - rest.len())
        })?;
        self.input = input;
        Poll::Ready(Ok(progress))
    }

    /// Passes on one message.
    fn message(&mut self, reply: &[u8]) -> Result<Progress, Reason> {
        let Transfer { tcp, client, query, forward, .. } = self.transfer;
        if message::id(reply) != Some(self.id) {
            return Err(Reason::ReplyUnknown);
        }
        let response_code = message::response_code(reply);
        if self.has_begun {
            // Later messages need not repeat the question (RFC 5936 §2.2.1).
            tcp.worker.count(Reason::TransferReplied);
        } else {
            message::is_reply_to(query, forward.question_length, reply)?;
            tcp.worker.counters.count_reply(Reason::TransferReplied, &forward.subject, response_code);
        }
        let progress = self.end.see(reply).ok_or(Reason::ReplyNotDns)?;
        self.has_begun = true;
        let original = message::id(query).unwrap_or_default();
        client.respond(Instant::now(), |output| output.push(reply, original));
        Ok(progress)
    }
}
