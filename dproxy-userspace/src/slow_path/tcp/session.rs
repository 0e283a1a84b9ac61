//! The task that serves a client's connection.

use std::io;
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;

use super::buffers::{Input, split};
use super::client::{Client, End};
use super::{TURNS, Tcp};
use crate::slow_path::Reason;
use crate::slow_path::counters::{add, take_one};

/// The connection itself.
pub(super) struct Session {
    tcp: Rc<Tcp>,
    client: Rc<Client>,
    stream: TcpStream,
    input: Input,
    /// No more queries are taken: how the connection ends once all answers have been sent.
    ended: Option<End>,
    /// Octets that its host had not acknowledged when it was last found to read nothing.
    unread: Option<i32>,
}

impl Session {
    pub(super) fn new(tcp: Rc<Tcp>, client: Rc<Client>, stream: TcpStream) -> Self {
        tcp.clients.borrow_mut().push(&client);
        add(&tcp.worker.counters.tcp_connections, 1);
        Self { tcp, client, stream, input: Input::default(), ended: None, unread: None }
    }

    pub(super) async fn serve(mut self) {
        let end = std::future::poll_fn(|cx| self.poll(cx)).await;
        if let End::Because(reason) = end {
            self.tcp.worker.count(reason);
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        self.client.alarm.listen(cx);
        match self.turns(cx) {
            Ok(()) => Poll::Pending,
            Err(end) => Poll::Ready(end),
        }
    }

    /// Takes queries and sends responses as long as there are some.
    fn turns(&mut self, cx: &mut Context<'_>) -> Result<(), End> {
        for _ in 0..TURNS {
            let was_full = !self.client.may_ask();
            let is_more = self.take(cx)?;
            self.send(cx)?;
            if self.client.take_suspicion() {
                self.inspect()?;
            }
            if let Some(end) = self.client.end() {
                return Err(end);
            }
            let goes_on = is_more || was_full && self.client.may_ask();
            if !goes_on {
                let has_answers = self.client.is_busy() || self.client.output.borrow().pending() > 0;
                return self.ended.filter(|_| !has_answers).map_or(Ok(()), Err);
            }
        }
        // The others' turn.
        cx.waker().wake_by_ref();
        Ok(())
    }

    /// Takes queries, those kept or those of one read. False: there are none now.
    fn take(&mut self, cx: &mut Context<'_>) -> Result<bool, End> {
        if !self.client.may_ask() {
            return Ok(false);
        }
        if !self.input.is_empty() && self.dispatch(&[])? {
            return Ok(true);
        }
        if self.ended == Some(End::ByClient) {
            return Ok(false);
        }
        let tcp = Rc::clone(&self.tcp);
        let mut scratch = tcp.scratch.borrow_mut();
        let mut buffer = ReadBuf::new(&mut scratch);
        match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
            Poll::Pending => return Ok(false),
            Poll::Ready(Err(_)) => return Err(End::ByClient),
            Poll::Ready(Ok(())) => {}
        }
        if buffer.filled().is_empty() {
            self.ended.get_or_insert(End::ByClient);
            return Ok(false);
        }
        // What is not read would have the kernel throw away answers when the connection is closed.
        if self.ended.is_some() {
            return Ok(true);
        }
        self.dispatch(buffer.filled())?;
        Ok(true)
    }

    /// Deals with the messages among what was kept and `octets`. False: none is complete.
    fn dispatch(&mut self, octets: &[u8]) -> Result<bool, End> {
        let mut ended = None;
        let Some(view) = self.tcp.worker.view() else {
            return Err(End::Because(Reason::Internal));
        };
        let (tcp, client) = (&self.tcp, &self.client);
        let listener = view.listener_id(&client.listener).unwrap_or(dproxy_common::abi::NO_ID);
        let now = Instant::now();
        let taken = self.input.feed(octets, |octets| {
            let mut rest = octets;
            while client.may_ask()
                && let Some((message, after)) = split(rest)
            {
                rest = after;
                ended = tcp.ask(&view, client, listener, message, now).err();
                if ended.is_some() {
                    // Where the next message begins is anybody's guess.
                    rest = &[];
                }
            }
            Ok::<_, End>(octets.len() - rest.len())
        })?;
        self.ended = ended.or(self.ended);
        if taken > 0 {
            client.touch(now);
        }
        Ok(taken > 0)
    }

    /// Sends what can be sent now.
    fn send(&mut self, cx: &mut Context<'_>) -> Result<(), End> {
        let mut output = self.client.output.borrow_mut();
        let before = output.pending();
        if before == 0 {
            return Ok(());
        }
        let written = output.poll_write(&mut self.stream, cx);
        let sent = before - output.pending();
        drop(output);
        if sent > 0 {
            self.unread = None;
            self.client.sent(sent, Instant::now());
        }
        if let Poll::Ready(Err(_)) = written { Err(End::ByClient) } else { Ok(()) }
    }

    /// Closes the connection if it has been idle, or its client has not read, for too long.
    fn inspect(&mut self) -> Result<(), End> {
        let now = Instant::now();
        let pending = self.client.output.borrow().pending();
        if self.client.quiet_for(now) < self.tcp.patience(pending) {
            return Ok(());
        }
        if pending > 0 {
            // The kernel has room for much: that nothing could be sent does not say that nothing is read.
            let unread = unacknowledged(&self.stream).ok();
            if unread.is_none() || self.unread == unread {
                return Err(End::Because(Reason::ConnectionStalled));
            }
            self.unread = unread;
            self.client.touch(now);
        } else if !self.client.is_busy() {
            return Err(End::Because(Reason::ConnectionIdle));
        }
        Ok(())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.client.gone();
        self.tcp.forget(&self.client);
        self.tcp.clients.borrow_mut().remove(&self.client);
        self.tcp.worker.connections.release(self.client.address.ip());
        take_one(&self.tcp.worker.counters.tcp_connections);
    }
}

/// Octets sent that the peer's host has not acknowledged (tcp(7), SIOCOUTQ).
fn unacknowledged(stream: &TcpStream) -> io::Result<i32> {
    let mut octets = 0;
    // SAFETY: the descriptor is open, and the kernel writes one int.
    match unsafe { libc::ioctl(stream.as_raw_fd(), libc::TIOCOUTQ, &raw mut octets) } {
        0 => Ok(octets),
        _ => Err(io::Error::last_os_error()),
    }
}

/// All clients' connections of a worker.
#[derive(Default)]
pub(super) struct Clients(Vec<Rc<Client>>);

impl Clients {
    fn push(&mut self, client: &Rc<Client>) {
        client.place.set(self.0.len());
        self.0.push(Rc::clone(client));
    }

    fn remove(&mut self, client: &Client) {
        let place = client.place.get();
        self.0.swap_remove(place);
        if let Some(moved) = self.0.get(place) {
            moved.place.set(place);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Rc<Client>> {
        self.0.iter()
    }
}
