//! What the kernel says about an interface.

use std::io;

use rtnetlink::{
    packet_core::{NLM_F_REQUEST, NetlinkMessage, NetlinkPayload},
    packet_route::{
        RouteNetlinkMessage,
        link::{InfoKind, LinkAttribute, LinkFlags, LinkInfo, LinkMessage, LinkXdp},
    },
    sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE},
};

use super::DatapathError;
use crate::config::XdpMode;

/// An interface of this network namespace, as it was when asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Interface {
    pub(super) name: String,
    pub(super) index: u32,
    pub(super) is_up: bool,
    pub(super) is_veth: bool,
    /// The XDP programs that it carries, by id, and the mode of each; neither native nor generic counts
    /// as `Auto`.
    pub(super) programs: Vec<(u32, XdpMode)>,
}

impl Interface {
    /// Looks an interface up by its name.
    pub(super) fn named(name: &str) -> Result<Self, DatapathError> {
        let mut request = LinkMessage::default();
        request.attributes.push(LinkAttribute::IfName(name.to_owned()));
        match ask(request) {
            Ok(interface) => Ok(interface),
            Err(error)
                if matches!(error.raw_os_error(), Some(libc::ENODEV | libc::ERANGE | libc::EINVAL)) =>
            {
                Err(DatapathError(format!(
                    "there is no interface {name}; `ip -brief link` lists those that there are, \
                     listen.interfaces says which ones to use"
                )))
            }
            Err(error) => {
                Err(DatapathError(format!("cannot ask the kernel about interface {name}: {error}")))
            }
        }
    }

    /// Looks an interface up by its index.
    pub(super) fn numbered(index: u32) -> Option<Self> {
        let mut request = LinkMessage::default();
        request.header.index = index;
        ask(request).ok()
    }

    /// The mode in which it carries a program.
    pub(super) fn mode_of(&self, program: u32) -> Option<XdpMode> {
        self.programs.iter().find(|(id, _)| *id == program).map(|(_, mode)| *mode)
    }
}

/// Asks for one interface: RTM_GETLINK, rtnetlink(7).
fn ask(request: LinkMessage) -> io::Result<Interface> {
    let socket = Socket::new(NETLINK_ROUTE)?;
    socket.connect(&SocketAddr::new(0, 0))?;
    let mut message = NetlinkMessage::from(RouteNetlinkMessage::GetLink(request));
    message.header.flags = NLM_F_REQUEST;
    message.finalize();
    let mut octets = vec![0; message.buffer_len()];
    message.serialize(&mut octets);
    socket.send(&octets, 0)?;
    let (answer, _) = socket.recv_from_full()?;
    let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&answer).map_err(io::Error::other)?;
    if let NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(link)) = answer.payload {
        Ok(interface(&link))
    } else if let NetlinkPayload::Error(error) = answer.payload {
        Err(error.to_io())
    } else {
        Err(io::Error::other("unexpected answer"))
    }
}

fn interface(link: &LinkMessage) -> Interface {
    let mut interface = Interface {
        index: link.header.index,
        is_up: link.header.flags.contains(LinkFlags::Up),
        ..Interface::default()
    };
    for attribute in &link.attributes {
        if let LinkAttribute::IfName(name) = attribute {
            interface.name.clone_from(name);
        } else if let LinkAttribute::LinkInfo(info) = attribute {
            interface.is_veth = info.contains(&LinkInfo::Kind(InfoKind::Veth));
        } else if let LinkAttribute::Xdp(xdp) = attribute {
            interface.programs = programs(xdp);
        }
    }
    interface
}

fn programs(attributes: &[LinkXdp]) -> Vec<(u32, XdpMode)> {
    let program = |attribute: &LinkXdp| {
        if let LinkXdp::DrvProgId(id) = attribute {
            Some((*id, XdpMode::Native))
        } else if let LinkXdp::SkbProgId(id) = attribute {
            Some((*id, XdpMode::Generic))
        } else if let LinkXdp::HwProgId(id) = attribute {
            Some((*id, XdpMode::Auto))
        } else {
            None
        }
    };
    attributes.iter().filter_map(program).collect()
}
