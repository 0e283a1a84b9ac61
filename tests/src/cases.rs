//! The golden table: frames by name, and what becomes of each.

use std::net::SocketAddr;

use dproxy_common::{
    abi::{BackendLive, Pool},
    reason::Reason,
};

use crate::{
    frames::{CLIENT_MAC, Checksum, Frame, OUR_MAC, Question, opt, wire_name},
    world::{BACKEND_MACS, SOURCE_V4, SOURCE_V6, World},
};

/// The configuration that the cases are about.
pub const CONFIG: &str = r#"
[listen]
interfaces = ["client", "backend"]
addresses  = ["192.0.2.53", "[2001:db8::53]:53", "192.0.2.53:5353"]

[pools]
four = { backends = ["203.0.113.10:5300"] }
six  = { backends = ["[2001:db8:f::10]:53"] }
dark = { backends = ["203.0.113.66:53"] }
far  = { backends = ["203.0.113.77:53"] }
here = { backends = ["192.0.2.53:8053"] }
here-too = { backends = ["192.0.2.99:53"] }
here-six = { backends = ["[2001:db8::53]:8053"] }
proxied  = { backends = ["203.0.113.10:5300"] }

[routes]
"example.com"      = "four"
"six.example"      = "six"
"dark.example"     = "dark"
"far.example"      = "far"
"here.example"     = "here"
"too.here.example" = "here-too"
"six.here.example" = "here-six"
"proxied.example"  = "proxied"
"refused.example"  = { answer = "refused" }
"nxdomain.example" = { answer = "nxdomain" }
"servfail.example" = { answer = "servfail" }
"truncate.example" = { answer = "truncate" }
"drop.example"     = { answer = "drop" }
"#;

/// The backend that no next hop is known for.
pub const DARK: &str = "203.0.113.66:53";

/// The backend that is reached through the slow path.
pub const FAR: &str = "203.0.113.77:53";

/// The pool whose queries all are for the slow path.
pub const PROXIED: &str = "proxied";

/// The backends on this host, and the listener that each stands for: at its address, at another one, and
/// over IPv6.
pub const LOCALS: [(&str, &str); 3] =
    [("192.0.2.53:8053", LISTENER_V4), ("192.0.2.99:53", LISTENER_V4), ("[2001:db8::53]:8053", LISTENER_V6)];

/// The tables that the cases are about.
pub fn world(interfaces: [u32; 2]) -> World {
    let mut world = World::with_locals(CONFIG, interfaces, &LOCALS);
    let [dark, far] = [DARK, FAR].map(|backend| world.backend_id(backend));
    world.hops.remove(&dark);
    world.lives.insert(far, BackendLive::SLOW);
    let pool = world.config.pools.keys().position(|name| name == PROXIED);
    world.snapshot.pools[pool.expect("it is there")].flags = Pool::SLOW_PATH;
    world
}

/// What becomes of a frame.
#[derive(Clone, Debug)]
pub enum Expected {
    /// It passes, untouched.
    Pass(Reason),
    /// It ends.
    Drop(Reason),
    /// It comes back as this.
    Answer(Reason, Vec<u8>),
    /// It goes up the stack as this.
    Deliver(Vec<u8>),
    /// It goes on as this, but for source port and DNS ID.
    Forward(Box<Frame>),
}

/// A frame by name.
#[derive(Clone, Debug)]
pub struct Case {
    /// What is special about it.
    pub name: String,
    /// The frame.
    pub frame: Vec<u8>,
    /// What becomes of it.
    pub expected: Expected,
}

/// A client of either family.
pub const CLIENT_V4: &str = "198.51.100.7:40000";
/// See [`CLIENT_V4`].
pub const CLIENT_V6: &str = "[2001:db8:c::7]:40000";
/// A listener of either family.
pub const LISTENER_V4: &str = "192.0.2.53:53";
/// See [`LISTENER_V4`].
pub const LISTENER_V6: &str = "[2001:db8::53]:53";
/// The backend of pool `four`.
pub const BACKEND_V4: &str = "203.0.113.10:5300";
/// The backend of pool `six`.
pub const BACKEND_V6: &str = "[2001:db8:f::10]:53";

/// An address from its text.
pub fn at(text: &str) -> SocketAddr {
    text.parse().unwrap_or_else(|_| panic!("not an address: {text}"))
}

/// A query over IPv4.
pub fn query_v4(question: &Question) -> Frame {
    Frame::new(at(CLIENT_V4), at(LISTENER_V4), question.octets())
}

/// A query over IPv6.
pub fn query_v6(question: &Question) -> Frame {
    Frame::new(at(CLIENT_V6), at(LISTENER_V6), question.octets())
}

/// What a query becomes on its way to a backend; `payload` as it leaves, its ID whatever.
pub fn forwarded(query: &Frame, backend: &str, payload: Vec<u8>) -> Frame {
    let backend = at(backend);
    let source = if backend.is_ipv4() { SOURCE_V4 } else { SOURCE_V6 };
    let same_family = query.to.is_ipv4() == backend.is_ipv4();
    Frame {
        to_mac: BACKEND_MACS.1,
        from_mac: BACKEND_MACS.0,
        tags: Vec::new(),
        from: SocketAddr::new(source.parse().unwrap(), 0),
        to: backend,
        hop_limit: query.hop_limit - 1,
        identification: if same_family { query.identification } else { 0 },
        fragment: if same_family { query.fragment } else { 0x4000 },
        flow_label: if same_family { query.flow_label } else { 0 },
        payload,
        ..query.clone()
    }
}

/// The response that dproxy makes: `flags` in full, the question alone, and an OPT record if given.
pub fn answered(query: &Frame, question: &Question, flags: u16, opt: Option<Vec<u8>>) -> Vec<u8> {
    let counts = [1, 0, 0, u16::from(opt.is_some())];
    let response = Question { flags, counts, rest: opt.unwrap_or_default(), ..question.clone() };
    Frame {
        to_mac: query.from_mac,
        from_mac: query.to_mac,
        tags: query.tags.clone(),
        hop_limit: 64,
        identification: 0,
        fragment: 0x4000,
        flow_label: 0,
        ..Frame::new(query.to, query.from, response.octets())
    }
    .octets()
}

struct Table(Vec<Case>);

impl Table {
    fn add(&mut self, name: impl Into<String>, frame: Vec<u8>, expected: Expected) {
        self.0.push(Case { name: name.into(), frame, expected });
    }

    fn pass(&mut self, name: impl Into<String>, reason: Reason, frame: &Frame) {
        self.add(name, frame.octets(), Expected::Pass(reason));
    }

    fn drop(&mut self, name: impl Into<String>, reason: Reason, frame: &Frame) {
        self.add(name, frame.octets(), Expected::Drop(reason));
    }

    fn deliver(&mut self, name: impl Into<String>, frame: &Frame, backend: &str) {
        let expected = Frame { to: at(backend), ..frame.clone() };
        self.add(name, frame.octets(), Expected::Deliver(expected.octets()));
    }

    fn forward(&mut self, name: impl Into<String>, frame: &Frame, backend: &str) {
        let expected = forwarded(frame, backend, frame.payload.clone());
        self.add(name, frame.octets(), Expected::Forward(Box::new(expected)));
    }
}

/// All cases.
pub fn cases() -> Vec<Case> {
    let mut table = Table(Vec::new());
    forwarding(&mut table);
    delivering(&mut table);
    link_layer(&mut table);
    ipv4(&mut table);
    ipv6(&mut table);
    udp(&mut table);
    headers(&mut table);
    names(&mut table);
    edns(&mut table);
    answers(&mut table);
    table.0
}

fn forwarding(t: &mut Table) {
    let question = Question::new("www.example.com");
    t.forward("IPv4 client, IPv4 backend", &query_v4(&question), BACKEND_V4);
    t.forward("IPv6 client, IPv4 backend", &query_v6(&question), BACKEND_V4);
    let six = Question::new("six.example");
    t.forward("IPv4 client, IPv6 backend", &query_v4(&six), BACKEND_V6);
    t.forward("IPv6 client, IPv6 backend", &query_v6(&six), BACKEND_V6);
    t.forward("another listener", &Frame { to: at("192.0.2.53:5353"), ..query_v4(&question) }, BACKEND_V4);
    t.forward("mixed case survives", &query_v4(&Question::new("wWw.ExAmPlE.cOm")), BACKEND_V4);
    t.pass("backend unresolved", Reason::BackendUnresolved, &query_v4(&Question::new("dark.example")));
    t.forward("traffic class", &Frame { traffic_class: 0xb8, ..query_v4(&question) }, BACKEND_V4);
    t.forward("traffic class over IPv6", &Frame { traffic_class: 0xb8, ..query_v6(&six) }, BACKEND_V6);
    t.forward(
        "traffic class to the other family",
        &Frame { traffic_class: 0xb9, ..query_v6(&question) },
        BACKEND_V4,
    );
    t.forward("DF set", &Frame { fragment: 0x4000, ..query_v4(&question) }, BACKEND_V4);
    t.forward(
        "padding behind the datagram",
        &Frame { trailer: vec![0; 14], ..query_v4(&question) },
        BACKEND_V4,
    );
    let hidden = Frame { trailer: Question::new("six.example").octets(), ..query_v4(&question) };
    t.forward("padding with a second message", &hidden, BACKEND_V4);
    t.forward("source port 53", &Frame { from: at("198.51.100.7:53"), ..query_v4(&question) }, BACKEND_V4);
    for flags in [0x0000, 0x0110, 0x0120, 0x0140, 0x0300, 0x0500, 0x0180, 0x010f] {
        t.forward(
            format!("flags {flags:#06x}"),
            &query_v4(&Question { flags, ..question.clone() }),
            BACKEND_V4,
        );
    }
    for (qtype, class) in [(255, 1), (252, 1), (251, 1), (16, 3), (65535, 255), (0, 0)] {
        let odd = Question { qtype, class, ..question.clone() };
        t.forward(format!("type {qtype} class {class}"), &query_v4(&odd), BACKEND_V4);
    }
}

fn delivering(t: &mut Table) {
    let [here, too, six] = LOCALS.map(|(backend, _)| backend);
    let question = Question::new("www.here.example");
    let query = query_v4(&question);
    let query_six = query_v6(&Question::new("six.here.example"));
    t.deliver("backend on this host", &query, here);
    t.deliver("backend on this host, other address", &query_v4(&Question::new("too.here.example")), too);
    t.deliver("backend on this host over IPv6", &query_six, six);
    t.deliver("by another listener", &Frame { to: at("192.0.2.53:5353"), ..query.clone() }, here);
    t.deliver("delivered in mixed case", &query_v4(&Question::new("wWw.HeRe.example")), here);
    for tags in [vec![(0x8100, 0x2064)], vec![(0x88a8, 0x0064), (0x8100, 0x00c8)]] {
        let name = format!("delivered behind {} tags", tags.len());
        t.deliver(&name, &Frame { tags: tags.clone(), ..query.clone() }, here);
        t.deliver(format!("{name}, IPv6"), &Frame { tags, ..query_six.clone() }, six);
    }
    t.deliver("delivered without checksum", &Frame { checksum: Checksum::Absent, ..query.clone() }, here);
    t.deliver("delivered with a wrong one", &Frame { checksum: Checksum::Off(1), ..query.clone() }, here);
    t.deliver("delivered with TTL 2", &Frame { hop_limit: 2, ..query.clone() }, here);
    t.deliver("delivered with traffic class", &Frame { traffic_class: 0xb9, ..query_six.clone() }, six);
    t.deliver("delivered with padding", &Frame { trailer: vec![0; 14], ..query.clone() }, here);
    for host in ["www.here.example", "ww.here.example"] {
        let large = query_v4(&Question::new(host).with_opt(4096, true));
        let payload = Question::new(host).with_opt(1232, true).octets();
        let lowered = Frame { to: at(here), payload, ..large.clone() };
        t.add(format!("{host} with EDNS"), large.octets(), Expected::Deliver(lowered.octets()));
    }
    t.pass("IPv6 client, local IPv4 backend", Reason::BackendSlowPath, &query_v6(&question));
    let other = query_v4(&Question::new("six.here.example"));
    t.pass("IPv4 client, local IPv6 backend", Reason::BackendSlowPath, &other);
    t.pass("through the slow path", Reason::BackendSlowPath, &query_v4(&Question::new("far.example")));
    t.pass("a pool of the slow path", Reason::PoolSlowPath, &query_v6(&Question::new("proxied.example")));
    t.pass("to the backend itself", Reason::NotForListener, &Frame { to: at(here), ..query });
}

fn link_layer(t: &mut Table) {
    let question = Question::new("www.example.com");
    for (name, tags) in [
        ("one 802.1Q tag", vec![(0x8100, 0x2064)]),
        ("one 802.1ad tag", vec![(0x88a8, 0x0064)]),
        ("two tags", vec![(0x88a8, 0x0064), (0x8100, 0x00c8)]),
        ("two 802.1Q tags", vec![(0x8100, 0x0064), (0x8100, 0x00c8)]),
    ] {
        let v4 = Frame { tags: tags.clone(), ..query_v4(&question) };
        t.forward(name, &v4, BACKEND_V4);
        t.forward(
            format!("{name}, to the other family"),
            &Frame { tags: tags.clone(), ..query_v6(&question) },
            BACKEND_V4,
        );
        let refused = Question::new("refused.example");
        let frame = Frame { tags, ..query_v4(&refused) };
        let answer = answered(&frame, &refused, 0x8105, None);
        t.add(format!("{name}, answered"), frame.octets(), Expected::Answer(Reason::AnsweredRefused, answer));
    }
    for (name, to_mac) in [("broadcast", [0xff; 6]), ("multicast", [1, 0, 0x5e, 0, 0, 1])] {
        let frame = Frame { to_mac, ..query_v4(&question) };
        t.pass(format!("in a link-layer {name}"), Reason::NotForListener, &frame);
    }
    let three = vec![(0x88a8, 1), (0x8100, 2), (0x8100, 3)];
    t.pass("three tags", Reason::NotIp, &Frame { tags: three, ..query_v4(&question) });
    let arp = [&[0xff; 6][..], &CLIENT_MAC, &[8, 6], &[0; 28]].concat();
    t.add("ARP", arp, Expected::Pass(Reason::NotIp));
    t.add(
        "an Ethernet header alone",
        [&OUR_MAC[..], &CLIENT_MAC, &[8, 0]].concat(),
        Expected::Pass(Reason::NotIp),
    );
    let cut = query_v4(&question).octets();
    t.add("cut in the IP header", cut[..33].to_vec(), Expected::Pass(Reason::NotIp));
    t.add("cut in the UDP header", cut[..41].to_vec(), Expected::Pass(Reason::NotForListener));
    t.add("cut behind the UDP header", cut[..42].to_vec(), Expected::Drop(Reason::BadLength));
    t.add("cut in the name", cut[..60].to_vec(), Expected::Drop(Reason::BadLength));
}

fn ipv4(t: &mut Table) {
    let question = Question::new("www.example.com");
    let query = query_v4(&question);
    t.pass("another address", Reason::NotForListener, &Frame { to: at("192.0.2.54:53"), ..query.clone() });
    t.pass("another port", Reason::NotForListener, &Frame { to: at("192.0.2.53:54"), ..query.clone() });
    t.pass("port 0", Reason::NotForListener, &Frame { to: at("192.0.2.53:0"), ..query.clone() });
    t.pass("TCP to a listener", Reason::Tcp, &Frame { protocol: 6, ..query.clone() });
    let elsewhere = Frame { protocol: 6, to: at("192.0.2.53:443"), ..query.clone() };
    t.pass("TCP to another port", Reason::NotForListener, &elsewhere);
    t.pass("ICMP", Reason::NotForListener, &Frame { protocol: 1, ..query.clone() });
    t.pass("first fragment", Reason::Fragment, &Frame { fragment: 0x2000, ..query.clone() });
    t.pass("later fragment", Reason::Fragment, &Frame { fragment: 0x00b9, ..query.clone() });
    t.pass(
        "tiny fragment",
        Reason::Fragment,
        &Frame { fragment: 0x2001, payload: vec![0; 8], ..query.clone() },
    );
    let transit = Frame { fragment: 0x2000, to: at("192.0.2.99:53"), ..query.clone() };
    t.pass("fragment to somebody else", Reason::NotForListener, &transit);
    for words in 1..=10 {
        let options = Frame { options: vec![1; words * 4], ..query.clone() };
        t.pass(format!("header of {} words", 5 + words), Reason::IpOptions, &options);
    }
    let mut short = query.octets();
    short[14] = 0x44;
    t.add("header of 4 words", short, Expected::Pass(Reason::NotIp));
    let mut version = query.octets();
    version[14] = 0x55;
    t.add("IP version 5", version, Expected::Pass(Reason::NotIp));
    let mut corrupt = query.octets();
    corrupt[24] ^= 0x40;
    t.add("wrong header checksum", corrupt, Expected::Drop(Reason::BadIpChecksum));
    for hop_limit in [0, 1] {
        t.drop(format!("TTL {hop_limit}"), Reason::TtlExpired, &Frame { hop_limit, ..query.clone() });
    }
    t.forward("TTL 2", &Frame { hop_limit: 2, ..query.clone() }, BACKEND_V4);
    t.drop("IP length beyond the frame", Reason::BadLength, &Frame { ip_length_off: 1, ..query.clone() });
    t.drop("IP length inside the datagram", Reason::BadLength, &Frame { ip_length_off: -1, ..query.clone() });
    for source in [
        "127.0.0.1:4000",
        "224.0.0.1:4000",
        "255.255.255.255:4000",
        "0.0.0.0:68",
        "0.1.2.3:4000",
        "198.51.100.7:0",
    ] {
        t.drop(format!("from {source}"), Reason::BadSource, &Frame { from: at(source), ..query.clone() });
    }
    t.drop(
        "from the listener itself",
        Reason::BadSource,
        &Frame { from: at("192.0.2.53:4000"), ..query.clone() },
    );
}

fn ipv6(t: &mut Table) {
    let question = Question::new("six.example");
    let query = query_v6(&question);
    for (name, kind, octets) in [
        ("hop-by-hop options", 0, vec![0, 1, 4, 0, 0, 0, 0]),
        ("routing header", 43, vec![0, 0, 0, 0, 0, 0, 0]),
        (
            "authentication header",
            51,
            vec![4, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        ),
        ("destination options", 60, vec![0, 1, 4, 0, 0, 0, 0]),
    ] {
        let frame = Frame { extensions: vec![(kind, octets)], ..query.clone() };
        t.pass(name, Reason::ExtensionHeader, &frame);
        t.pass(
            format!("{name} to somebody else"),
            Reason::NotForListener,
            &Frame { to: at("[2001:db8::54]:53"), ..frame },
        );
    }
    let fragment = Frame { extensions: vec![(44, vec![0, 0, 1, 0, 0, 0, 7])], ..query.clone() };
    t.pass("IPv6 fragment", Reason::Fragment, &fragment);
    t.pass("ICMPv6", Reason::NotForListener, &Frame { protocol: 58, ..query.clone() });
    t.pass("TCP over IPv6", Reason::Tcp, &Frame { protocol: 6, ..query.clone() });
    t.pass(
        "another IPv6 address",
        Reason::NotForListener,
        &Frame { to: at("[2001:db8::54]:53"), ..query.clone() },
    );
    for hop_limit in [0, 1] {
        t.drop(format!("hop limit {hop_limit}"), Reason::TtlExpired, &Frame { hop_limit, ..query.clone() });
    }
    t.drop(
        "IPv6 without a UDP checksum",
        Reason::UdpChecksumZero,
        &Frame { checksum: Checksum::Absent, ..query.clone() },
    );
    t.drop("IPv6 length beyond the frame", Reason::BadLength, &Frame { ip_length_off: 1, ..query.clone() });
    t.drop(
        "IPv6 length inside the datagram",
        Reason::BadLength,
        &Frame { ip_length_off: -1, ..query.clone() },
    );
    for source in ["[::1]:4000", "[::]:4000", "[ff02::1]:4000", "[::192.0.2.1]:4000", "[2001:db8:c::7]:0"] {
        t.drop(format!("from {source}"), Reason::BadSource, &Frame { from: at(source), ..query.clone() });
    }
    t.drop(
        "from the IPv6 listener itself",
        Reason::BadSource,
        &Frame { from: at("[2001:db8::53]:99"), ..query.clone() },
    );
    let mapped = Frame { from: at("[::ffff:198.51.100.7]:4000"), ..query.clone() };
    t.pass("IPv4-mapped source", Reason::NotForListener, &mapped);
    t.pass(
        "IPv4-mapped listener",
        Reason::NotForListener,
        &Frame { to: at("[::ffff:192.0.2.53]:53"), ..query.clone() },
    );
    let mut version = query.octets();
    version[14] = 0x70;
    t.add("IPv6 ethertype, version 7", version, Expected::Pass(Reason::NotIp));
}

fn udp(t: &mut Table) {
    let question = Question::new("www.example.com");
    let query = query_v4(&question);
    t.forward("no UDP checksum", &Frame { checksum: Checksum::Absent, ..query.clone() }, BACKEND_V4);
    t.forward(
        "wrong UDP checksum stays wrong",
        &Frame { checksum: Checksum::Off(1), ..query.clone() },
        BACKEND_V4,
    );
    let to_six = Frame { checksum: Checksum::Absent, ..query_v4(&Question::new("six.example")) };
    t.pass("no UDP checksum, IPv6 backend", Reason::ChecksumAbsent, &to_six);
    t.drop("UDP length beyond IP", Reason::BadLength, &Frame { udp_length_off: 1, ..query.clone() });
    let below = -(8 + query.payload.len() as i32) + 7;
    t.drop("UDP length 7", Reason::BadLength, &Frame { udp_length_off: below, ..query.clone() });
    t.drop("UDP length 0", Reason::BadLength, &Frame { udp_length_off: below - 7, ..query.clone() });
    t.pass("UDP length short of IP", Reason::UdpSurplus, &Frame { surplus: vec![0; 4], ..query.clone() });
    t.drop("no payload", Reason::NotDns, &Frame { payload: Vec::new(), ..query.clone() });
    for length in [1, 11] {
        let payload = question.octets()[..length].to_vec();
        t.drop(format!("{length} octets of payload"), Reason::NotDns, &Frame { payload, ..query.clone() });
    }
}

fn headers(t: &mut Table) {
    let question = Question::new("www.example.com");
    for opcode in 1..16u16 {
        let frame = query_v4(&Question { flags: 0x0100 | opcode << 11, ..question.clone() });
        t.pass(format!("opcode {opcode}"), Reason::Opcode, &frame);
    }
    for opcode in [0u16, 5] {
        let frame = query_v4(&Question { flags: 0x8100 | opcode << 11, ..question.clone() });
        t.drop(format!("a response, opcode {opcode}"), Reason::UnexpectedResponse, &frame);
    }
    for count in [0, 2, 65535] {
        let frame = query_v4(&Question { counts: [count, 0, 0, 0], ..question.clone() });
        t.pass(format!("{count} questions"), Reason::QuestionCount, &frame);
    }
    for (name, counts) in
        [("answers", [1, 1, 0, 0]), ("authorities", [1, 0, 1, 0]), ("additionals", [1, 0, 0, 1])]
    {
        let record = [&wire_name("x")[..], &[0, 1, 0, 1, 0, 0, 0, 0, 0, 0]].concat();
        let frame = query_v4(&Question { counts, rest: record, ..question.clone() });
        t.forward(format!("{name} in a query"), &frame, BACKEND_V4);
    }
    let garbage = query_v4(&Question { rest: vec![0xff; 40], ..question.clone() });
    t.forward("garbage behind the question", &garbage, BACKEND_V4);
}

fn names(t: &mut Table) {
    let whole = Question::new("www.example.com").octets();
    for (name, end) in [
        ("in the header", 12),
        ("in the first label", 15),
        ("behind a label", 16),
        ("in front of the root", 28),
        ("in front of the type", 29),
        ("in the type", 30),
        ("in front of the class", 31),
        ("in the class", 32),
    ] {
        let frame = Frame { payload: whole[..end].to_vec(), ..query_v4(&Question::new("x")) };
        t.drop(format!("question ends {name}"), Reason::QuestionCut, &frame);
        let padded = Frame { trailer: whole[end..].to_vec(), ..frame };
        t.drop(format!("question ends {name}, padding goes on"), Reason::QuestionCut, &padded);
        let pointer = Frame { trailer: vec![0xc0; 8], ..padded };
        t.drop(format!("question ends {name}, pointer in the padding"), Reason::QuestionCut, &pointer);
    }
    for (name, wire) in [
        ("label of 64", [&[64u8][..], &[b'a'; 64], b"\x07example\x03com\0"].concat()),
        ("label length 0x7f", [&[0x7f][..], &[b'a'; 127], b"\0"].concat()),
        ("label length 0xbf", [&[0xbf][..], &[b'a'; 191], b"\0"].concat()),
        ("pointer to itself", vec![0xc0, 12]),
        ("pointer forward", vec![3, b'w', b'w', b'w', 0xc0, 20]),
        ("pointer into the header", vec![0xc0, 0]),
    ] {
        t.drop(name, Reason::BadName, &query_v4(&Question::of_wire(wire)));
    }
    let filler = |labels: &[usize]| -> Vec<u8> {
        labels.iter().flat_map(|&n| [vec![n as u8], vec![b'x'; n]].concat()).collect()
    };
    // Lengths of the whole name in front of `example.com.`, whose wire form has 13 octets.
    let name = |labels: &[usize]| [filler(labels), wire_name("example.com")].concat();
    for (title, labels) in [("254 octets", vec![63, 63, 63, 48]), ("255 octets", vec![63, 63, 63, 49])] {
        t.forward(format!("name of {title}"), &query_v4(&Question::of_wire(name(&labels))), BACKEND_V4);
        t.forward(
            format!("name of {title} over IPv6"),
            &query_v6(&Question::of_wire(name(&labels))),
            BACKEND_V4,
        );
    }
    t.drop("name of 256 octets", Reason::BadName, &query_v4(&Question::of_wire(name(&[63, 63, 63, 50]))));
    t.forward("label of 63", &query_v4(&Question::of_wire(name(&[63]))), BACKEND_V4);
    t.forward("123 labels", &query_v4(&Question::of_wire(name(&[1; 121]))), BACKEND_V4);
    for (title, wire) in [
        ("label with a dot in it", b"\x0bwww.example\x03com\0".to_vec()),
        ("labels run together", b"\x0eexample\x03com\0\0\0\0".to_vec()),
        ("not on a label boundary", wire_name("badexample.com")),
        ("root", vec![0]),
        ("127 labels of others", [b"\x01x".repeat(127), vec![0]].concat()),
        ("octets from 0x80", b"\x03\xc0\xe4\xff\x02de\0".to_vec()),
        ("NUL in a label", b"\x03a\0b\x02de\0".to_vec()),
        ("asterisk", wire_name("*.de")),
    ] {
        let question = Question::of_wire(wire);
        let frame = query_v4(&question);
        let answer = answered(&frame, &question, 0x8105, None);
        t.add(format!("no route: {title}"), frame.octets(), Expected::Answer(Reason::NoRoute, answer));
    }
}

fn edns(t: &mut Table) {
    for (name, host) in [("even", "www.example.com"), ("odd", "ww.example.com")] {
        for (size, lowered) in [(4096, 1232), (1233, 1232), (1232, 1232), (512, 512), (0, 0), (65535, 1232)] {
            let query = query_v4(&Question::new(host).with_opt(size, true));
            let payload = Question::new(host).with_opt(lowered, true).octets();
            let expected = Expected::Forward(Box::new(forwarded(&query, BACKEND_V4, payload)));
            t.add(format!("EDNS size {size} at an {name} offset"), query.octets(), expected);
        }
    }
    let question = Question::new("six.example").with_opt(4096, false);
    let lowered = Question::new("six.example").with_opt(1232, false).octets();
    let query = query_v4(&question);
    let expected = Expected::Forward(Box::new(forwarded(&query, BACKEND_V6, lowered)));
    t.add("EDNS size lowered on the way to the other family", query.octets(), expected);
    let base = Question::new("www.example.com");
    let tsig = [&wire_name("key.example")[..], &[0, 250, 0, 255, 0, 0, 0, 0, 0, 0]].concat();
    let with = |counts, rest: Vec<u8>| query_v4(&Question { counts, rest, ..base.clone() });
    let plain = opt(4096, 0, 0, false, &[]);
    let signed = |size| with([1, 0, 0, 2], [&opt(size, 0, 0, false, &[])[..], &tsig].concat());
    t.forward("signed: OPT and TSIG", &signed(1232), BACKEND_V4);
    t.forward("signed, with what fits into a packet", &signed(1452), BACKEND_V4);
    t.pass("signed, with more", Reason::EdnsSize, &signed(1453));
    let here = Question { name: wire_name("here.example"), ..base.clone() };
    let rest = [&plain[..], &tsig].concat();
    let local = query_v4(&Question { counts: [1, 0, 0, 2], rest: rest.clone(), ..here });
    t.pass("signed, with more, to this host", Reason::EdnsSize, &local);
    let refused = Question::new("refused.example");
    let asked = query_v4(&Question { counts: [1, 0, 0, 2], rest, ..refused.clone() });
    let answer = answered(&asked, &refused, 0x8105, Some(opt(1232, 0, 0, false, &[])));
    t.add("signed, with more, answered", asked.octets(), Expected::Answer(Reason::AnsweredRefused, answer));
    t.forward("OPT not first", &with([1, 0, 0, 2], [&tsig[..], &plain].concat()), BACKEND_V4);
    t.pass("two OPT records", Reason::EdnsSize, &with([1, 0, 0, 2], [&plain[..], &plain].concat()));
    t.forward("OPT cut short", &with([1, 0, 0, 1], plain[..10].to_vec()), BACKEND_V4);
    let mut endless = plain.clone();
    endless[9..11].copy_from_slice(&[0xff, 0xff]);
    let mut lowered = endless.clone();
    lowered[3..5].copy_from_slice(&1232u16.to_be_bytes());
    let query = with([1, 0, 0, 1], endless);
    let payload = Question { counts: [1, 0, 0, 1], rest: lowered, ..base.clone() }.octets();
    let expected = Expected::Forward(Box::new(forwarded(&query, BACKEND_V4, payload)));
    t.add("OPT with 65535 octets of options announced", query.octets(), expected);
    let cookie = [0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8];
    let query = with([1, 0, 0, 1], opt(4096, 0, 1, false, &cookie));
    let payload =
        Question { counts: [1, 0, 0, 1], rest: opt(1232, 0, 1, false, &cookie), ..base.clone() }.octets();
    let expected = Expected::Forward(Box::new(forwarded(&query, BACKEND_V4, payload)));
    t.add("EDNS version 1 with options is the backend's to answer", query.octets(), expected);
}

fn answers(t: &mut Table) {
    for (host, reason, flags) in [
        ("refused.example", Reason::AnsweredRefused, 0x8105),
        ("nxdomain.example", Reason::AnsweredNxdomain, 0x8103),
        ("servfail.example", Reason::AnsweredServfail, 0x8102),
        ("truncate.example", Reason::AnsweredTruncate, 0x8300),
        ("no.route", Reason::NoRoute, 0x8105),
    ] {
        for odd in ["", "x."] {
            let question = Question::new(&format!("{odd}{host}"));
            for frame in [query_v4(&question), query_v6(&question)] {
                let family = if frame.to.is_ipv4() { "IPv4" } else { "IPv6" };
                let answer = answered(&frame, &question, flags, None);
                t.add(format!("{odd}{host} over {family}"), frame.octets(), Expected::Answer(reason, answer));
                let with_opt = Question { ..question.clone() }.with_opt(4096, true);
                let asked = Frame { payload: with_opt.octets(), ..frame.clone() };
                let fresh = opt(1232, 0, 0, true, &[]);
                let answer = answered(&asked, &question, flags, Some(fresh));
                t.add(
                    format!("{odd}{host} with EDNS over {family}"),
                    asked.octets(),
                    Expected::Answer(reason, answer),
                );
            }
        }
    }
    let question = Question::new("refused.example");
    let counts = [1, 0, 0, 1];
    let cookie = [0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8];
    let asked = query_v4(&Question { counts, rest: opt(1232, 0, 0, false, &cookie), ..question.clone() });
    let answer = answered(&asked, &question, 0x8105, Some(opt(1232, 0, 0, false, &[])));
    t.add("EDNS options are not echoed", asked.octets(), Expected::Answer(Reason::AnsweredRefused, answer));
    let asked = query_v4(&Question { counts, rest: opt(1232, 0, 7, false, &[]), ..question.clone() });
    let answer = answered(&asked, &question, 0x8100, Some(opt(1232, 1, 0, false, &[])));
    t.add("EDNS version 7 is BADVERS", asked.octets(), Expected::Answer(Reason::AnsweredBadvers, answer));
    let flags = Question { flags: 0x0730, ..question.clone() };
    let frame = query_v4(&flags);
    let answer = answered(&frame, &flags, 0x8115, None);
    t.add("only RD and CD come back", frame.octets(), Expected::Answer(Reason::AnsweredRefused, answer));
    let quiet = Question { flags: 0, ..question.clone() };
    let frame = query_v4(&quiet);
    let answer = answered(&frame, &quiet, 0x8005, None);
    t.add("no RD, no RD", frame.octets(), Expected::Answer(Reason::AnsweredRefused, answer));
    let shouting = Question::new("ReFuSeD.eXaMpLe");
    let frame = query_v4(&shouting);
    let answer = answered(&frame, &shouting, 0x8105, None);
    t.add(
        "an answer keeps the question's case",
        frame.octets(),
        Expected::Answer(Reason::AnsweredRefused, answer),
    );
    let long = Question { rest: vec![0xaa; 300], ..question.clone() };
    let frame = query_v4(&long);
    let answer = answered(&frame, &question, 0x8105, None);
    t.add(
        "an answer has nothing behind the question",
        frame.octets(),
        Expected::Answer(Reason::AnsweredRefused, answer),
    );
    let padded = Frame { trailer: vec![0; 22], ..query_v4(&question) };
    let answer = answered(&padded, &question, 0x8105, None);
    t.add("an answer has no padding", padded.octets(), Expected::Answer(Reason::AnsweredRefused, answer));
    let unsummed = Frame { checksum: Checksum::Absent, ..query_v4(&question) };
    let answer = answered(&unsummed, &question, 0x8105, None);
    t.add(
        "an answer has a checksum even if the query had none",
        unsummed.octets(),
        Expected::Answer(Reason::AnsweredRefused, answer),
    );
    t.drop("route drops", Reason::RouteDrop, &query_v4(&Question::new("x.drop.example")));
}
