//! Many datagrams by one system call: recvmmsg(2) and sendmmsg(2).

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use libc::{iovec, mmsghdr, msghdr, sockaddr_in, sockaddr_in6, sockaddr_storage};

/// Datagrams received or sent at once.
pub const BATCH: usize = 64;
/// Octets of the longest datagram.
const LONGEST: usize = 65535;

/// Room for a batch of datagrams.
///
/// Each has room for the longest there is. That is 4 MiB of addresses, but the kernel gives memory only to
/// pages that something was written to.
pub struct Received {
    octets: Vec<u8>,
    addresses: Vec<sockaddr_storage>,
    vectors: Vec<iovec>,
    headers: Vec<mmsghdr>,
}

const NO_VECTOR: iovec = iovec { iov_base: ptr::null_mut(), iov_len: 0 };

fn empty_header() -> mmsghdr {
    // SAFETY: integers and pointers, of which zero is a value.
    unsafe { std::mem::zeroed() }
}

fn empty_address() -> sockaddr_storage {
    // SAFETY: integers.
    unsafe { std::mem::zeroed() }
}

impl Received {
    pub fn new() -> Self {
        let mut this = Self {
            octets: vec![0; BATCH * LONGEST],
            addresses: vec![empty_address(); BATCH],
            vectors: vec![NO_VECTOR; BATCH],
            headers: vec![empty_header(); BATCH],
        };
        for (index, room) in this.octets.chunks_exact_mut(LONGEST).enumerate() {
            this.vectors[index] = iovec { iov_base: room.as_mut_ptr().cast(), iov_len: LONGEST };
            let header = &mut this.headers[index].msg_hdr;
            header.msg_iov = &raw mut this.vectors[index];
            header.msg_iovlen = 1;
            header.msg_name = (&raw mut this.addresses[index]).cast();
        }
        this
    }

    /// Receives what is there, up to a batch; returns how many. Fewer than [`BATCH`]: there was no more.
    pub fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        for header in &mut self.headers {
            header.msg_hdr.msg_namelen = size_of::<sockaddr_storage>() as u32;
        }
        // SAFETY: the headers point to vectors, addresses and octets that this struct owns and that do not
        // move while it lives: the vectors' elements are on the heap and nothing is added to them.
        let received = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                BATCH as u32,
                libc::MSG_DONTWAIT,
                ptr::null_mut(),
            )
        };
        usize::try_from(received).map_err(|_| io::Error::last_os_error())
    }

    /// A datagram of the batch received last.
    pub fn octets(&mut self, index: usize) -> &mut [u8] {
        let length = self.headers.get(index).map_or(0, |header| header.msg_len as usize);
        let begin = index * LONGEST;
        self.octets.get_mut(begin..begin + length).unwrap_or_default()
    }

    /// The same, to look at.
    pub fn peek(&self, index: usize) -> &[u8] {
        let length = self.headers.get(index).map_or(0, |header| header.msg_len as usize);
        let begin = index * LONGEST;
        self.octets.get(begin..begin + length).unwrap_or_default()
    }

    /// Where it came from.
    pub fn sender(&self, index: usize) -> Option<SocketAddr> {
        address(self.addresses.get(index)?)
    }
}

/// A datagram to send, in two parts.
pub struct Datagram<'a> {
    /// In front of the message; may be empty.
    pub prefix: &'a [u8],
    /// The message.
    pub message: &'a [u8],
    /// Where to, on a socket that is not connected.
    pub to: Option<SocketAddr>,
}

/// Arrays for sending, kept from one time to the next.
pub struct Sender {
    addresses: Vec<sockaddr_storage>,
    vectors: Vec<[iovec; 2]>,
    headers: Vec<mmsghdr>,
}

impl Sender {
    pub fn new() -> Self {
        Self {
            addresses: vec![empty_address(); BATCH],
            vectors: vec![[NO_VECTOR; 2]; BATCH],
            headers: vec![empty_header(); BATCH],
        }
    }

    /// Sends datagrams, at most [`BATCH`]. `failed` hears of each that was not sent, by its place, and why.
    ///
    /// On a connected socket, the first error may be what an earlier datagram met with; it is gone then, and the
    /// same datagram is tried once more.
    pub fn send<'a>(
        &mut self,
        socket: BorrowedFd<'_>,
        datagrams: impl Iterator<Item = Datagram<'a>>,
        mut failed: impl FnMut(usize, &io::Error),
    ) {
        let mut count = 0;
        for (index, datagram) in datagrams.take(BATCH).enumerate() {
            self.prepare(index, &datagram);
            count = index + 1;
        }
        let (mut done, mut again) = (0, None);
        while done < count {
            // SAFETY: the headers up to `count` point to addresses and vectors of this struct and to the
            // octets of datagrams that live for `'a`, beyond this call. The kernel only reads them.
            let sent = unsafe {
                let rest = self.headers.as_mut_ptr().add(done);
                libc::sendmmsg(socket.as_raw_fd(), rest, (count - done) as u32, libc::MSG_DONTWAIT)
            };
            match usize::try_from(sent) {
                Ok(sent) => done += sent,
                Err(_) => {
                    let error = io::Error::last_os_error();
                    if error.kind() == io::ErrorKind::WouldBlock || again == Some(done) {
                        failed(done, &error);
                        done += 1;
                    } else {
                        again = Some(done);
                    }
                }
            }
        }
    }

    fn prepare(&mut self, index: usize, datagram: &Datagram<'_>) {
        let vector = |part: &[u8]| iovec { iov_base: part.as_ptr().cast_mut().cast(), iov_len: part.len() };
        self.vectors[index] = [vector(datagram.prefix), vector(datagram.message)];
        let skipped = usize::from(datagram.prefix.is_empty());
        let name_length = datagram.to.map_or(0, |to| write_address(to, &mut self.addresses[index]));
        let header: &mut msghdr = &mut self.headers[index].msg_hdr;
        header.msg_iov = &raw mut self.vectors[index][skipped];
        header.msg_iovlen = (2 - skipped) as _;
        header.msg_namelen = name_length;
        let name = (&raw mut self.addresses[index]).cast();
        header.msg_name = if name_length == 0 { ptr::null_mut() } else { name };
    }
}

/// From the kernel's form.
fn address(storage: &sockaddr_storage) -> Option<SocketAddr> {
    let place = &raw const *storage;
    match i32::from(storage.ss_family) {
        libc::AF_INET => {
            // SAFETY: by its family it is one, and a `sockaddr_storage` has room and alignment for any.
            let v4 = unsafe { *place.cast::<sockaddr_in>() };
            let ip = Ipv4Addr::from(v4.sin_addr.s_addr.to_ne_bytes());
            Some(SocketAddrV4::new(ip, u16::from_be(v4.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let v6 = unsafe { *place.cast::<sockaddr_in6>() };
            let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
            Some(SocketAddrV6::new(ip, u16::from_be(v6.sin6_port), 0, v6.sin6_scope_id).into())
        }
        _ => None,
    }
}

/// To the kernel's form; returns its length.
fn write_address(address: SocketAddr, storage: &mut sockaddr_storage) -> u32 {
    let place = &raw mut *storage;
    match address {
        SocketAddr::V4(v4) => {
            let raw = sockaddr_in {
                sin_family: libc::AF_INET as u16,
                sin_port: v4.port().to_be(),
                sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(v4.ip().octets()) },
                sin_zero: [0; 8],
            };
            // SAFETY: a `sockaddr_storage` has room and alignment for any address.
            unsafe { place.cast::<sockaddr_in>().write(raw) };
            size_of::<sockaddr_in>() as u32
        }
        SocketAddr::V6(v6) => {
            let raw = sockaddr_in6 {
                sin6_family: libc::AF_INET6 as u16,
                sin6_port: v6.port().to_be(),
                sin6_flowinfo: 0,
                sin6_addr: libc::in6_addr { s6_addr: v6.ip().octets() },
                sin6_scope_id: v6.scope_id(),
            };
            // SAFETY: as above.
            unsafe { place.cast::<sockaddr_in6>().write(raw) };
            size_of::<sockaddr_in6>() as u32
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn addresses_survive_the_round_trip() {
        for text in ["192.0.2.1:53", "[2001:db8::1]:5353", "[fe80::1%3]:53"] {
            let socket: SocketAddr = text.parse().unwrap();
            let mut storage = empty_address();
            assert!(write_address(socket, &mut storage) > 0);
            assert_eq!(address(&storage), Some(socket));
        }
    }

    #[test]
    fn a_batch_arrives_with_its_prefixes_and_senders() {
        let (from, to) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        let address = to.local_addr().unwrap();
        let messages: Vec<Vec<u8>> = (0..BATCH as u8).map(|n| vec![n; usize::from(n) + 1]).collect();
        let datagrams = messages.iter().map(|message| Datagram { prefix: b"ab", message, to: Some(address) });
        Sender::new().send(from.as_fd(), datagrams, |_, error| panic!("{error}"));

        let mut received = Received::new();
        assert_eq!(received.receive(to.as_fd()).unwrap(), BATCH);
        for (index, message) in messages.iter().enumerate() {
            assert_eq!(received.sender(index), Some(from.local_addr().unwrap()));
            assert_eq!(received.octets(index)[..2], *b"ab");
            assert_eq!(received.octets(index)[2..], message[..]);
        }
        assert_eq!(received.receive(to.as_fd()).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn one_that_cannot_be_sent_does_not_stop_the_others() {
        let (from, to) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        let (good, none) = (to.local_addr().unwrap(), "240.0.0.1:53".parse().unwrap());
        let datagrams = [good, none, good].map(|to| Datagram { prefix: &[], message: b"x", to: Some(to) });
        let mut failed = Vec::new();
        Sender::new().send(from.as_fd(), datagrams.into_iter(), |index, _| failed.push(index));
        assert_eq!(failed, [1]);
        assert_eq!(Received::new().receive(to.as_fd()).unwrap(), 2);
    }
}
