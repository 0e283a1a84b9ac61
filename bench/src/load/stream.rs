//! DNS messages over TCP: two octets of length, then the message (RFC 1035 §4.2.2).

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;

/// One read takes that much at most.
const READ: usize = 1 << 16;
/// The largest message, and its length.
const MESSAGE: usize = 2 + u16::MAX as usize;

/// A connection that carries messages; nothing about it waits.
#[derive(Debug)]
pub struct MessageStream {
    socket: TcpStream,
    /// What has come.
    pub input: Input,
    /// What is to be sent.
    pub output: Output,
}

/// Octets that have come, from which messages are taken.
#[derive(Debug, Default)]
pub struct Input {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

/// Octets that are to be sent.
#[derive(Debug, Default)]
pub struct Output {
    buffer: Vec<u8>,
    sent: usize,
}

impl MessageStream {
    /// Takes over a connected socket.
    pub fn new(socket: TcpStream) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        socket.set_nodelay(true)?;
        let input = Input { buffer: vec![0; MESSAGE + READ], ..Input::default() };
        Ok(Self { socket, input, output: Output::default() })
    }

    /// Reads once, and returns whether the other side will still send.
    pub fn receive(&mut self) -> io::Result<bool> {
        self.input.make_room();
        let Input { buffer, end, .. } = &mut self.input;
        match self.socket.read(&mut buffer[*end..]) {
            Ok(0) => Ok(false),
            Ok(read) => {
                *end += read;
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Sends as much as the socket takes.
    pub fn flush(&mut self) -> io::Result<()> {
        let Output { buffer, sent } = &mut self.output;
        while *sent < buffer.len() {
            match self.socket.write(&buffer[*sent..]) {
                Ok(written) => *sent += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        buffer.clear();
        *sent = 0;
        Ok(())
    }
}

impl Input {
    /// The next message that is there as a whole.
    pub fn next_message(&mut self) -> Option<&mut [u8]> {
        let there = &self.buffer[self.start..self.end];
        let length = usize::from(u16::from_be_bytes([*there.first()?, *there.get(1)?]));
        if there.len() < 2 + length {
            return None;
        }
        let message = self.start + 2..self.start + 2 + length;
        self.start = message.end;
        Some(&mut self.buffer[message])
    }

    /// Moves what is left, less than a message, to the front.
    fn make_room(&mut self) {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
    }
}

impl Output {
    /// Adds a message with this ID in place of its own.
    pub fn push(&mut self, id: u16, message: &[u8]) {
        self.buffer.extend((message.len() as u16).to_be_bytes());
        self.buffer.extend(id.to_be_bytes());
        self.buffer.extend(&message[2..]);
    }

    /// Whether all is sent.
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    #[test]
    fn messages_come_whole_however_they_are_cut() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        client.set_nodelay(true).unwrap();
        let mut server = MessageStream::new(listener.accept().unwrap().0).unwrap();
        let mut receive = |expected: &[&[u8]]| {
            let mut messages = Vec::new();
            while messages.len() < expected.len() {
                assert!(server.receive().unwrap());
                while let Some(message) = server.input.next_message() {
                    messages.push(message.to_vec());
                }
            }
            assert_eq!(messages, expected);
        };
        client.write_all(b"\0\x03one\0\x05th").unwrap();
        receive(&[b"one"]);
        client.write_all(b"ree\0").unwrap();
        receive(&[b"three"]);
        client.write_all(b"\x01x\0\0\0\x01y").unwrap();
        receive(&[b"x", b"", b"y"]);
        let large = vec![7; usize::from(u16::MAX)];
        client.write_all(&[b"\xff\xff", &large[..]].concat()).unwrap();
        receive(&[&large]);
    }

    #[test]
    fn a_message_is_sent_with_its_length_and_id() {
        let mut output = Output::default();
        output.push(0x0a0b, b"..rest");
        output.push(1, b"..");
        assert_eq!(output.buffer, b"\0\x06\x0a\x0brest\0\x02\0\x01");
    }
}
