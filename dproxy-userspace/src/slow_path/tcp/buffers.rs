//! What has come and is not understood yet, and what is to be sent.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use tokio::io::AsyncWrite;
use tokio::net::TcpStream;

use crate::slow_path::message;

/// Octets of memory that an emptied buffer may keep.
const KEPT: usize = 64 << 10;

/// The first message of a stream, each of which follows its length (RFC 1035 §4.2.2), and what comes after
/// it. `None`: it is not complete.
pub(super) fn split(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = octets.split_first_chunk::<2>()?;
    rest.split_at_checked(u16::from_be_bytes(*length).into())
}

/// What has come and cannot be dealt with yet. Takes no memory while it is empty.
#[derive(Debug, Default)]
pub(super) struct Input {
    octets: Vec<u8>,
    start: usize,
}

impl Input {
    pub(super) fn is_empty(&self) -> bool {
        self.start == self.octets.len()
    }

    /// Has `take` deal with what was kept and with `octets`, which came after that; it says how many octets
    /// it took, the rest is kept.
    pub(super) fn feed<E>(
        &mut self,
        octets: &[u8],
        take: impl FnOnce(&[u8]) -> Result<usize, E>,
    ) -> Result<usize, E> {
        if self.is_empty() {
            let taken = take(octets)?;
            self.keep(&octets[taken..]);
            return Ok(taken);
        }
        self.keep(octets);
        let taken = take(&self.octets[self.start..])?;
        self.start += taken;
        if self.is_empty() {
            *self = Self::default();
        }
        Ok(taken)
    }

    fn keep(&mut self, octets: &[u8]) {
        if octets.is_empty() {
            return;
        }
        self.octets.drain(..self.start);
        self.start = 0;
        self.octets.extend_from_slice(octets);
    }
}

/// What is to be sent.
#[derive(Debug, Default)]
pub(super) struct Output {
    octets: Vec<u8>,
    start: usize,
}

impl Output {
    /// Octets that wait.
    pub(super) fn pending(&self) -> usize {
        self.octets.len() - self.start
    }

    /// All that waits.
    pub(super) fn octets(&self) -> &[u8] {
        &self.octets[self.start..]
    }

    /// Appends octets that are not a message.
    pub(super) fn push_raw(&mut self, octets: &[u8]) {
        self.octets.extend_from_slice(octets);
    }

    /// Appends a message, with another ID.
    pub(super) fn push(&mut self, message: &[u8], id: u16) {
        self.frame(|out| {
            let start = out.len();
            out.extend_from_slice(message);
            message::set_id(&mut out[start..], id);
        });
    }

    /// Appends the message, of up to 65,535 octets, that `write` appends, after its length.
    pub(super) fn frame(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        // What was sent is moved over when it is the larger part: each octet at most once.
        if self.start > self.octets.len() / 2 {
            self.octets.drain(..self.start);
            self.start = 0;
        }
        let length_at = self.octets.len();
        self.octets.extend_from_slice(&[0; 2]);
        write(&mut self.octets);
        let length = (self.octets.len() - length_at - 2) as u16;
        self.octets[length_at..length_at + 2].copy_from_slice(&length.to_be_bytes());
    }

    /// Sends what can be sent now. Ready when nothing is left.
    pub(super) fn poll_write(
        &mut self,
        stream: &mut TcpStream,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while self.pending() > 0 {
            let octets = &self.octets[self.start..];
            match ready!(Pin::new(&mut *stream).poll_write(cx, octets))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                sent => self.start += sent,
            }
        }
        self.octets.clear();
        self.start = 0;
        self.octets.shrink_to(KEPT);
        Poll::Ready(Ok(()))
    }

    /// Gives memory back, if nothing waits.
    pub(super) fn shrink(&mut self) {
        if self.pending() == 0 {
            *self = Self::default();
        }
    }
}

/// How a task is told by another one that there is something to do.
#[derive(Debug, Default)]
pub(super) struct Alarm(RefCell<Option<Waker>>);

impl Alarm {
    /// The task of `cx` is to be told.
    pub(super) fn listen(&self, cx: &Context<'_>) {
        let mut waker = self.0.borrow_mut();
        if !waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
    }

    pub(super) fn ring(&self) {
        if let Some(waker) = &*self.0.borrow() {
            waker.wake_by_ref();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(messages: &[&[u8]]) -> Vec<u8> {
        let mut output = Output::default();
        for message in messages {
            output.frame(|out| out.extend_from_slice(message));
        }
        output.octets
    }

    /// Feeds a stream in pieces; at most `at_once` messages are taken in a turn.
    fn messages(stream: &[u8], piece: usize, at_once: usize) -> Vec<Vec<u8>> {
        let mut input = Input::default();
        let mut all = Vec::new();
        let mut pieces = stream.chunks(piece);
        loop {
            let next = pieces.next();
            let taken = input.feed(next.unwrap_or_default(), |octets| {
                let mut rest = octets;
                for _ in 0..at_once {
                    let Some((message, after)) = split(rest) else { break };
                    all.push(message.to_vec());
                    rest = after;
                }
                Ok::<_, ()>(octets.len() - rest.len())
            });
            if next.is_none() && taken == Ok(0) {
                assert!(input.is_empty());
                return all;
            }
        }
    }

    #[test]
    fn messages_are_found_however_they_are_cut() {
        let expected: Vec<&[u8]> = vec![b"one", b"", b"second", &[7; 700]];
        let stream = frames(&expected);
        for piece in 1..stream.len() {
            for at_once in [1, 2, 10] {
                assert_eq!(messages(&stream, piece, at_once), expected, "{piece} octets, {at_once} at once");
            }
        }
    }

    #[test]
    fn what_was_sent_does_not_pile_up() {
        let mut output = Output::default();
        for _ in 0..10_000 {
            output.push(&[0; 98], 1);
            output.push(&[0; 98], 2);
            // As if a client read slowly, and never all.
            output.start += 199;
        }
        assert_eq!(output.pending(), 10_000);
        assert!(output.octets.capacity() < 80_000, "{}", output.octets.capacity());
    }
}
