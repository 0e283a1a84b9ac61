//! DNS names as the routes know them.
//!
//! A name is kept in canonical wire form: labels with their length octets, ASCII letters in lower
//! case (RFC 4343), no compression, without the root octet at the end.

mod text;

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::problem::Refusal;
use super::wording::Quoted;
use text::to_wire;

/// RFC 1035 §2.3.4: a label has at most 63 octets.
pub const MAX_LABEL: usize = 63;
/// RFC 1035 §2.3.4: a name has at most 255 octets in wire form, the root octet included.
pub const MAX_NAME: usize = 255;
/// Most labels of a name. It follows from [`MAX_NAME`]: a label takes at least two octets.
pub const MAX_LABELS: usize = (MAX_NAME - 1) / 2;

/// A DNS name. It is parsed from and shown in presentation format with escapes (RFC 1035 §5.1), and
/// ordered canonically (RFC 4034 §6.1), so that the names of one zone stand together.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Name {
    /// Shared, since all that is made of a configuration has its names, too: a change, what undoes it, the next
    /// configuration.
    wire: Arc<[u8]>,
}

impl Name {
    /// The root.
    pub fn root() -> Self {
        Self { wire: Arc::default() }
    }

    /// From lower-cased wire form without the root octet; `None` if it is none.
    pub fn from_wire(wire: &[u8]) -> Option<Self> {
        let mut rest = wire;
        while let Some((&length, tail)) = rest.split_first() {
            let is_label = (1..=MAX_LABEL).contains(&usize::from(length));
            rest = tail.get(usize::from(length)..).filter(|_| is_label)?;
        }
        (wire.len() < MAX_NAME).then(|| Self { wire: wire.into() })
    }

    /// Is this the root?
    pub fn is_root(&self) -> bool {
        self.wire.is_empty()
    }

    /// Lower-cased wire form without the root octet: 0 to 254 octets, none for the root.
    pub fn wire(&self) -> &[u8] {
        &self.wire
    }

    /// The name that is left without the first label. The root has none.
    pub fn parent(&self) -> Option<Self> {
        let (&length, rest) = self.wire.split_first()?;
        Some(Self { wire: rest.get(usize::from(length)..)?.into() })
    }

    /// Is this below `other`, at any depth?
    pub fn is_below(&self, other: &Self) -> bool {
        let mut rest = self.wire();
        while rest.len() > other.wire.len() {
            let Some((&length, tail)) = rest.split_first() else { return false };
            rest = tail.get(usize::from(length)..).unwrap_or_default();
        }
        rest.len() < self.wire.len() && *rest == *other.wire
    }

    /// Number of labels, 0 (the root) to 127.
    pub fn label_count(&self) -> usize {
        self.labels().count()
    }

    /// The labels from left to right, without length octets and without the root's empty one.
    pub fn labels(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.wire();
        std::iter::from_fn(move || {
            let (&length, tail) = rest.split_first()?;
            let (label, tail) = tail.split_at_checked(usize::from(length))?;
            rest = tail;
            Some(label)
        })
    }

    /// The same name, in memory of its own. Names that are copied one after the other lie there one after the
    /// other, and a million of them are gone through about twenty times while they are applied.
    pub(super) fn copied(&self) -> Self {
        Self { wire: Arc::from(&*self.wire) }
    }

    /// Numbers that are ordered as the names are, or equal if it takes more to tell: for who sorts so many that
    /// comparing labels takes too long.
    pub(super) fn sort_head(&self) -> [u64; 4] {
        let mut head = [0; 32];
        let mut room = head.iter_mut();
        for label in self.labels_from_the_right() {
            for &octet in label {
                // 0 ends a label, in front of all octets; so 0 and 1 themselves take two.
                let octets = if octet <= 1 { &[1, octet][..] } else { &[octet] };
                octets.iter().zip(&mut room).for_each(|(octet, place)| *place = *octet);
            }
            if room.next().is_none() {
                break;
            }
        }
        let (words, _) = head.as_chunks();
        std::array::from_fn(|word| u64::from_be_bytes(words[word]))
    }

    /// The labels from right to left: the order in which names are compared.
    fn labels_from_the_right(&self) -> impl Iterator<Item = &[u8]> {
        // Octets, as a wire form has at most 254 of them: sorting a million names clears this often.
        let mut ends = [0_u8; MAX_LABELS + 1];
        let mut count = 0;
        for label in self.labels() {
            ends[count + 1] = ends[count] + 1 + label.len() as u8;
            count += 1;
        }
        let end = move |label: usize| usize::from(ends[label]);
        (0..count).rev().map(move |label| &self.wire[end(label) + 1..end(label + 1)])
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_labels = || self.labels_from_the_right().cmp(other.labels_from_the_right());
        self.cmp_where_they_differ(other).unwrap_or_else(by_labels)
    }
}

impl Name {
    /// Compares the labels in which the last octets are that differ, without a look at those behind: a million names
    /// are compared twenty times while they are applied. Nothing, if that does not tell: an octet that both have is a
    /// length in one name and part of a label in the other.
    fn cmp_where_they_differ(&self, other: &Self) -> Option<Ordering> {
        let (one, two) = (self.wire(), other.wire());
        let common = common_end(one, two);
        if common == one.len() && common == two.len() {
            return Some(Ordering::Equal);
        }
        let (label, behind) = label_in_front_of(one, common);
        let (other_label, other_behind) = label_in_front_of(two, common);
        (behind == other_behind).then(|| label.cmp(&other_label))
    }
}

/// How many octets at their ends two slices have in common.
fn common_end(one: &[u8], two: &[u8]) -> usize {
    let chunks = one.rchunks_exact(8).zip(two.rchunks_exact(8));
    let whole = 8 * chunks.take_while(|(one, two)| one == two).count();
    let octets = one[..one.len() - whole].iter().rev().zip(two[..two.len() - whole].iter().rev());
    whole + octets.take_while(|(one, two)| one == two).count()
}

/// The label that the octet in front of the last `common` ones belongs to, if there is one, and how many octets are
/// behind the label.
fn label_in_front_of(wire: &[u8], common: usize) -> (Option<&[u8]>, usize) {
    let mut rest = wire;
    while rest.len() > common {
        let label = usize::from(rest[0]) + 1;
        if rest.len() - label <= common {
            return (Some(&rest[1..label]), rest.len() - label);
        }
        rest = &rest[label..];
    }
    (None, rest.len())
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Name {
    /// Presentation format without a dot at the end, except for the root, which is `.`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_root() {
            return f.write_str(".");
        }
        for (index, label) in self.labels().enumerate() {
            if index > 0 {
                f.write_str(".")?;
            }
            // By runs of octets that stand for themselves: a record has a million names.
            for run in label.chunk_by(|one, next| is_plain(*one) && is_plain(*next)) {
                match (std::str::from_utf8(run), run) {
                    (Ok(plain), [octet, ..]) if is_plain(*octet) => f.write_str(plain)?,
                    (_, [octet @ (b'.' | b'\\'), ..]) => write!(f, "\\{}", char::from(*octet))?,
                    (_, octets) => octets.iter().try_for_each(|octet| write!(f, "\\{octet:03}"))?,
                }
            }
        }
        Ok(())
    }
}

/// Does an octet of a label stand for itself? `*` and `=` would mean something at the front of a route's pattern.
const fn is_plain(octet: u8) -> bool {
    octet.is_ascii_graphic() && !matches!(octet, b'.' | b'\\' | b'*' | b'=')
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({self})")
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        match to_wire(text) {
            Ok(wire) => Ok(Self { wire: wire.into() }),
            Err(fault) => Err(NameError { name: text.to_owned(), fault }),
        }
    }
}

/// A text that is not a DNS name, or not a route's pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}; allowed: {}", self.what(), self.allowed())]
pub struct NameError {
    /// The text.
    pub name: String,
    /// What is wrong with it.
    pub fault: NameFault,
}

impl NameError {
    /// The name and what is wrong with it.
    pub fn what(&self) -> String {
        format!("name {} {}", Quoted(&self.name), self.fault)
    }

    /// What would have been accepted.
    pub fn allowed(&self) -> &'static str {
        match self.fault {
            NameFault::Empty => "a name such as example.org, or \".\" for the root",
            NameFault::EmptyLabel => {
                "labels of 1 to 63 octets with a dot between them; \".\" alone is the root"
            }
            NameFault::LabelTooLong { .. } => "1 to 63 octets a label (RFC 1035 §2.3.4)",
            NameFault::TooLong { .. } => {
                "at most 255 octets in wire form: each label, a length octet for it, and the root octet \
                 (RFC 1035 §2.3.4)"
            }
            NameFault::NotAscii { .. } => {
                "ASCII; write an internationalised name in its A-label form, xn--… (RFC 5890)"
            }
            NameFault::Unprintable { .. } => {
                "printable ASCII without blanks; any other octet as \\DDD, its value in three decimal digits"
            }
            NameFault::BadEscape { .. } => {
                "\\DDD with three decimal digits, \\000 to \\255, or \\ and a character that is no digit \
                 (RFC 1035 §5.1)"
            }
            NameFault::Asterisk => {
                "*. in front of a name, for all names below it; a literal asterisk is written \\042"
            }
        }
    }
}

impl From<NameError> for Refusal {
    fn from(error: NameError) -> Self {
        Self { what: error.what(), allowed: error.allowed().to_owned() }
    }
}

/// What can be wrong with a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each message says it")]
pub enum NameFault {
    #[error("is empty")]
    Empty,
    #[error("has an empty label")]
    EmptyLabel,
    #[error("has a label of {octets} octets")]
    LabelTooLong { octets: usize },
    #[error("has {octets} octets in wire form")]
    TooLong { octets: usize },
    #[error("contains \"{character}\", which is not ASCII")]
    NotAscii { character: char },
    #[error("contains octet \\{octet:03}, a blank or control character")]
    Unprintable { octet: u8 },
    #[error("contains \\{escape}, which is not an escape")]
    BadEscape { escape: String },
    #[error("has an asterisk that is not the whole first label")]
    Asterisk,
}
