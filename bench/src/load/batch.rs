//! Many datagrams in one system call: sendmmsg(2) and recvmmsg(2) on a connected socket.

use std::io;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::ptr::null_mut;

/// As many datagrams as one system call takes here.
pub const BATCH: usize = 64;
/// Queries and their reflections are much smaller.
const DATAGRAM: usize = 512;

/// Room for datagrams that are received together, or sent together.
#[derive(Debug)]
pub struct Batch {
    buffers: Box<[[u8; DATAGRAM]]>,
    /// One for each buffer, and pointing to it: boxed slices stay where they are.
    vectors: Box<[libc::iovec]>,
    /// One for each vector, and pointing to it.
    headers: Box<[libc::mmsghdr]>,
    filled: usize,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        let mut buffers = vec![[0; DATAGRAM]; BATCH].into_boxed_slice();
        let vector = |buffer: &mut [u8; DATAGRAM]| libc::iovec {
            iov_base: buffer.as_mut_ptr().cast(),
            iov_len: DATAGRAM,
        };
        let mut vectors: Box<[_]> = buffers.iter_mut().map(vector).collect();
        let header = |vector: &mut libc::iovec| libc::mmsghdr {
            msg_hdr: libc::msghdr {
                msg_name: null_mut(),
                msg_namelen: 0,
                msg_iov: vector,
                msg_iovlen: 1,
                msg_control: null_mut(),
                msg_controllen: 0,
                msg_flags: 0,
            },
            msg_len: 0,
        };
        let headers = vectors.iter_mut().map(header).collect();
        Self { buffers, vectors, headers, filled: 0 }
    }

    /// Removes all.
    pub fn clear(&mut self) {
        self.filled = 0;
    }

    /// Adds a DNS message with this ID in place of its own; there must be room.
    pub fn push(&mut self, id: u16, message: &[u8]) {
        let buffer = &mut self.buffers[self.filled];
        buffer[..message.len()].copy_from_slice(message);
        buffer[..2].copy_from_slice(&id.to_be_bytes());
        self.vectors[self.filled].iov_len = message.len();
        self.filled += 1;
    }

    /// Sends what is in it, and returns how many the socket took; does not wait.
    pub fn send(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        let (headers, count) = (self.headers.as_mut_ptr(), self.filled as u32);
        // SAFETY: the headers lead to the buffers, which this struct owns and does not touch meanwhile.
        done(unsafe { libc::sendmmsg(socket.as_raw_fd(), headers, count, libc::MSG_DONTWAIT) })
    }

    /// Receives what is there, and returns how many; does not wait.
    pub fn receive(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        for vector in &mut self.vectors {
            vector.iov_len = DATAGRAM;
        }
        let (headers, count) = (self.headers.as_mut_ptr(), BATCH as u32);
        // SAFETY: the headers lead to the buffers, which this struct owns and does not touch meanwhile.
        let received =
            unsafe { libc::recvmmsg(socket.as_raw_fd(), headers, count, libc::MSG_DONTWAIT, null_mut()) };
        self.filled = done(received)?;
        Ok(self.filled)
    }

    /// The datagrams that were received.
    pub fn received(&self) -> impl Iterator<Item = &[u8]> {
        let filled = self.buffers.iter().zip(&self.headers).take(self.filled);
        filled.map(|(buffer, header)| &buffer[..header.msg_len as usize])
    }
}

/// How many datagrams a call has moved: none where it would have had to wait.
fn done(result: i32) -> io::Result<usize> {
    if let Ok(moved) = usize::try_from(result) {
        return Ok(moved);
    }
    let error = io::Error::last_os_error();
    if error.kind() == io::ErrorKind::WouldBlock { Ok(0) } else { Err(error) }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn datagrams_arrive_as_they_were_sent() {
        let (one, other) = (socket(), socket());
        one.connect(other.local_addr().unwrap()).unwrap();
        other.connect(one.local_addr().unwrap()).unwrap();
        let mut batch = Batch::new();
        assert_eq!(batch.receive(&other).unwrap(), 0, "nothing is there yet");
        for round in 0..2 {
            batch.clear();
            batch.push(0x0102, b"..first");
            batch.push(0xfffe, b"..a longer one");
            assert_eq!(batch.send(&one).unwrap(), 2);
            assert_eq!(batch.receive(&other).unwrap(), 2, "round {round}");
            let received: Vec<&[u8]> = batch.received().collect();
            assert_eq!(received, [&b"\x01\x02first"[..], b"\xff\xfea longer one"]);
        }
    }

    fn socket() -> UdpSocket {
        UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()
    }
}
