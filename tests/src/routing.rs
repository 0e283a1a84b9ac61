//! The table of which route applies to which name: for the host build, the kernel and the whole system.

use crate::frames::wire_name;

/// Every kind of route, to the pools `a`, `b` and `c`.
pub const ROUTES: &str = r#"
[routes]
"example.com"              = "a"
"=example.com"             = "b"
"*.example.com"            = "c"
"deep.example.com"         = "a"
"=very.deep.example.com"   = "b"
"example.org"              = "a"
"=exact.example.org"       = "b"
"*.wild.example.org"       = "c"
"blocked.example.org"      = { answer = "nxdomain" }
"dot\\.dot.test"           = "b"
"dot.dot.test"             = "c"
"test"                     = "a"
"\\000\\255.test"          = "c"
"\\042.test"               = "c"
"le.com"                   = "b"
"=."                       = "c"
"."                        = "a"
"#;

/// A name, and the pool or answer it leads to.
pub struct Row {
    /// What it shows.
    pub shows: &'static str,
    /// The name in wire form.
    pub name: Vec<u8>,
    /// The pool, or `nxdomain`.
    pub leads_to: &'static str,
}

/// Two names so long that they need routes of their own in the table: 127 labels, and 255 octets in four
/// labels.
pub fn long_routes() -> String {
    format!("\"{}\" = \"b\"\n\"{}\" = \"c\"\n", presentation(&labels_127()), presentation(&octets_255()))
}

fn labels_127() -> Vec<u8> {
    [b"\x01z".repeat(127), vec![0]].concat()
}

fn octets_255() -> Vec<u8> {
    let label = |n: u8| [vec![n], vec![b'y'; usize::from(n)]].concat();
    [label(63), label(63), label(63), label(61), vec![0]].concat()
}

fn presentation(wire: &[u8]) -> String {
    let mut text = String::new();
    let mut rest = wire;
    while let [length @ 1..=63, tail @ ..] = rest {
        let (label, behind) = tail.split_at(usize::from(*length));
        text.push_str(&String::from_utf8_lossy(label));
        text.push('.');
        rest = behind;
    }
    text
}

/// The table.
pub fn rows() -> Vec<Row> {
    let row = |shows, name: &str, leads_to| Row { shows, name: wire_name(name), leads_to };
    let wire = |shows, name: &[u8], leads_to| Row { shows, name: name.to_vec(), leads_to };
    let mut rows = vec![
        row("exact beats subtree at its own name", "example.com", "b"),
        row("wildcard beats subtree below", "www.example.com", "c"),
        row("wildcard at any depth", "a.b.c.www.example.com", "c"),
        row("the longer name wins", "deep.example.com", "a"),
        row("the longer name wins below too", "x.deep.example.com", "a"),
        row("exact beats a shorter subtree", "very.deep.example.com", "b"),
        row("below an exact route, the shorter subtree", "x.very.deep.example.com", "a"),
        row("subtree at its own name", "example.org", "a"),
        row("exact without subtree", "exact.example.org", "b"),
        row("below an exact route, the shorter name", "x.exact.example.org", "a"),
        row("below a wildcard", "x.wild.example.org", "c"),
        row("a wildcard does not apply to its own name", "wild.example.org", "a"),
        row("an answer", "blocked.example.org", "nxdomain"),
        row("an answer below", "x.y.blocked.example.org", "nxdomain"),
        row("case does not matter", "wWw.ExAmPlE.cOm", "c"),
        row("case does not matter for exact routes", "VERY.deep.EXAMPLE.com", "b"),
        wire("a dot inside a label", b"\x07dot.dot\x04test\0", "b"),
        row("the same octets in two labels", "dot.dot.test", "c"),
        wire("a dot inside a label, below", b"\x01x\x07dot.dot\x04test\0", "b"),
        wire("octets 0 and 255", b"\x02\0\xff\x04test\0", "c"),
        wire("octet 255 is no letter", b"\x02\0\xdf\x04test\0", "a"),
        row("a literal asterisk", "*.test", "c"),
        row("an asterisk in a query stands for itself", "*.example.com", "c"),
        row("an asterisk matches nothing else", "x.test", "a"),
        row("not on a label boundary", "example.le.com", "b"),
        row("a longer label with the same end", "example2.com", "a"),
        row("le.com is not the end of example.com", "xle.com", "a"),
        row("the root itself", ".", "c"),
        row("everything else", "www.example.net", "a"),
        wire("127 labels", &labels_127(), "b"),
        wire("126 of the 127 labels", &labels_127()[2..], "a"),
        wire("255 octets", &octets_255(), "c"),
        wire("255 octets in upper case", &octets_255().to_ascii_uppercase(), "c"),
        wire("255 octets, the first one differs", &differs_at(1), "a"),
        wire("255 octets, one in the middle differs", &differs_at(130), "a"),
        wire("255 octets, the last one differs", &differs_at(253), "a"),
    ];
    let below = [labels_of(120), wire_name("example.com")].concat();
    rows.push(Row { shows: "120 labels below a wildcard", name: below, leads_to: "c" });
    rows
}

fn labels_of(count: usize) -> Vec<u8> {
    b"\x01q".repeat(count)
}

/// The name of 255 octets with another octet in one place.
fn differs_at(place: usize) -> Vec<u8> {
    let mut name = octets_255();
    assert_eq!(name[place], b'y');
    name[place] = b'x';
    name
}
