//! SOA serials, which go round in a circle (RFC 1982). Pure.

/// How far `serial` is behind `highest`; 0 if it is not.
pub fn lag(serial: u32, highest: u32) -> u32 {
    match highest.wrapping_sub(serial) {
        behind @ 0..=0x7fff_ffff => behind,
        _ => 0,
    }
}

/// The highest of serials that are close to each other.
pub fn highest(serials: impl IntoIterator<Item = u32>) -> Option<u32> {
    serials.into_iter().reduce(|highest, serial| if lag(highest, serial) > 0 { serial } else { highest })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn behind_and_ahead() {
        assert_eq!((lag(7, 10), lag(10, 7), lag(7, 7)), (3, 0, 0));
        assert_eq!((lag(u32::MAX, 1), lag(1, u32::MAX)), (2, 0), "over the end");
        assert_eq!(highest([5, 9, 7]), Some(9));
        assert_eq!(highest([u32::MAX - 1, 3, u32::MAX]), Some(3));
        assert_eq!(highest([]), None);
    }
}
