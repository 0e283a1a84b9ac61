//! Frames written by hand.

use std::mem::size_of;
use std::os::fd::{AsRawFd, OwnedFd};

use dproxy_lab::Namespace;
use nix::libc;
use nix::net::if_::if_nametoindex;
use nix::sys::socket::{AddressFamily, LinkAddr, MsgFlags, SockFlag, SockType, SockaddrLike, sendto, socket};

use crate::frames::Mac;

/// An interface that frames are sent from as they are (packet(7)).
pub struct Wire {
    socket: OwnedFd,
    interface: LinkAddr,
}

impl Wire {
    /// Opens an interface of a namespace.
    pub fn open(namespace: &Namespace, interface: &str) -> Self {
        let open = || {
            let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None).unwrap();
            (socket, link_address(if_nametoindex(interface).unwrap()))
        };
        let (socket, interface) = namespace.enter(open).unwrap();
        Self { socket, interface }
    }

    /// Sends a frame, from destination address to the last octet of its payload.
    pub fn send(&self, frame: &[u8]) {
        let sent = sendto(self.socket.as_raw_fd(), frame, &self.interface, MsgFlags::empty());
        assert_eq!(sent, Ok(frame.len()), "a frame is sent whole");
    }
}

/// An interface's link-layer address.
pub fn mac(namespace: &Namespace, interface: &str) -> Mac {
    let shown = namespace.command("ip").args(["-o", "link", "show", interface]).output().unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    let text = shown.split_once("link/ether ").and_then(|(_, rest)| rest.split_whitespace().next());
    let text = text.unwrap_or_else(|| panic!("{interface} has no link-layer address: {shown}"));
    let octets: Vec<u8> = text.split(':').map(|octet| u8::from_str_radix(octet, 16).unwrap()).collect();
    octets.try_into().unwrap()
}

fn link_address(interface: u32) -> LinkAddr {
    let address = libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as u16,
        sll_protocol: 0,
        sll_ifindex: interface as i32,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    let length = size_of::<libc::sockaddr_ll>() as u32;
    // SAFETY: it points to a whole `sockaddr_ll`, of this length and family.
    unsafe { LinkAddr::from_raw((&raw const address).cast(), Some(length)) }.unwrap()
}
