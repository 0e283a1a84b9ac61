//! From presentation format (RFC 1035 §5.1) to wire form.

use super::{MAX_LABEL, MAX_NAME, NameFault};

/// Lower-cased wire form without the root octet.
pub(super) fn to_wire(text: &str) -> Result<Vec<u8>, NameFault> {
    if text == "." {
        return Ok(Vec::new());
    }
    if text.is_empty() {
        return Err(NameFault::Empty);
    }
    if let Some(character) = text.chars().find(|character| !character.is_ascii()) {
        return Err(NameFault::NotAscii { character });
    }
    // Each label begins with an octet that is set to its length when that is known.
    let mut wire = Vec::with_capacity(text.len() + 2);
    wire.push(0);
    let mut start = 0;
    let mut octets = text.bytes();
    while let Some(octet) = octets.next() {
        match octet {
            b'.' => {
                close_label(&mut wire, start)?;
                start = wire.len();
                wire.push(0);
            }
            b'\\' => wire.push(unescape(&mut octets)?.to_ascii_lowercase()),
            b'!'..=b'~' => wire.push(octet.to_ascii_lowercase()),
            _ => return Err(NameFault::Unprintable { octet }),
        }
    }
    if start + 1 < wire.len() {
        close_label(&mut wire, start)?;
    } else {
        wire.pop();
    }
    match wire.len() + 1 {
        ..=MAX_NAME => Ok(wire),
        octets => Err(NameFault::TooLong { octets }),
    }
}

/// Sets the length octet, at `start`, of the label that ends here.
fn close_label(wire: &mut [u8], start: usize) -> Result<(), NameFault> {
    let octets = wire.len() - start - 1;
    match u8::try_from(octets) {
        Ok(0) => Err(NameFault::EmptyLabel),
        Ok(length) if octets <= MAX_LABEL => {
            wire[start] = length;
            Ok(())
        }
        _ => Err(NameFault::LabelTooLong { octets }),
    }
}

/// Reads what follows a backslash: three decimal digits, or any other character for itself.
fn unescape(octets: &mut impl Iterator<Item = u8>) -> Result<u8, NameFault> {
    let bad =
        |escape: &[u8]| NameFault::BadEscape { escape: escape.iter().copied().map(char::from).collect() };
    let first = octets.next().ok_or_else(|| bad(b""))?;
    if !first.is_ascii_digit() {
        return Ok(first);
    }
    let mut escape = vec![first];
    escape.extend(octets.take(2));
    let value = str::from_utf8(&escape).ok().filter(|digits| digits.len() == 3);
    // `parse` alone would accept a sign, but the first character is a digit.
    value.and_then(|digits| digits.parse().ok()).ok_or_else(|| bad(&escape))
}
