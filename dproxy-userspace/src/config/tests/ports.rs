use proptest::prelude::*;

use crate::config::PortRange;

#[test]
fn ranges_and_their_parts() {
    for (text, first, last, bits) in [
        ("16384-32767", 16384, 32767, 14),
        ("1-1024", 1, 1024, 10),
        ("32768 - 65535", 32768, 65535, 15),
        ("64512-65535", 64512, 65535, 10),
        ("20000-22047", 20000, 22047, 11),
    ] {
        let range: PortRange = text.parse().unwrap();
        assert_eq!((range.first(), range.last(), range.bits()), (first, last, bits), "{text}");
        assert!(range.contains(first) && range.contains(last));
        assert!(!range.contains(first - 1));
        assert!(last == u16::MAX || !range.contains(last + 1));
    }
    assert_eq!(PortRange::default().to_string(), "16384-32767");
}

#[test]
fn texts_that_are_no_port_ranges() {
    const ALLOWED: &str = "; allowed: FIRST-LAST within 1-65535, with 1024, 2048, 4096, 8192, 16384 or 32768 \
                           ports: 16384-32767";
    for (text, expected) in [
        ("16384", "is not two port numbers with a dash between"),
        ("-5-8", "is not two port numbers with a dash between"),
        ("1-65536", "is not two port numbers with a dash between"),
        ("0-1023", "begins with port 0"),
        ("2000-1000", "ends before it begins"),
        ("1001-1000", "ends before it begins"),
        ("1000-1511", "has 512 ports"),
        ("1000-2024", "has 1025 ports"),
        ("1-65535", "has 65535 ports"),
    ] {
        let error = text.parse::<PortRange>().unwrap_err();
        assert_eq!(error.to_string(), format!("port range \"{text}\" {expected}{ALLOWED}"));
    }
}

proptest! {
    #[test]
    fn a_range_is_shown_as_it_is_read(first in 1..=u16::MAX, bits in 10..=15u32) {
        if let Some(last) = first.checked_add(((1u32 << bits) - 1) as u16) {
            let range = PortRange::new(first, last).unwrap();
            prop_assert_eq!(range.to_string(), format!("{first}-{last}"));
            prop_assert_eq!(range.to_string().parse::<PortRange>().unwrap(), range);
        }
    }
}
