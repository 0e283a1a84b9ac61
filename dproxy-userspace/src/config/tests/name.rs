use proptest::collection::vec;
use proptest::prelude::*;

use crate::config::{MAX_LABEL, MAX_LABELS, MAX_NAME, Name};

fn wire(text: &str) -> Vec<u8> {
    text.parse::<Name>().unwrap_or_else(|error| panic!("{error}")).wire().to_vec()
}

#[test]
fn names_and_their_wire_form() {
    let cases: &[(&str, &[u8])] = &[
        (".", b""),
        ("example.org", b"\x07example\x03org"),
        ("example.org.", b"\x07example\x03org"),
        ("EXAMPLE.Org", b"\x07example\x03org"),
        ("_dns.8.b-c", b"\x04_dns\x018\x03b-c"),
        (r"a\.b.c", b"\x03a.b\x01c"),
        (r"a\\b", b"\x03a\\b"),
        (r"\065\090", b"\x02az"),
        (r"\A", b"\x01a"),
        (r"\000\255", b"\x02\x00\xff"),
        (r"\032\ ", b"\x02  "),
        ("*.x", b"\x01*\x01x"),
        (r"a\.", b"\x02a."),
    ];
    for (text, expected) in cases {
        assert_eq!(wire(text), *expected, "{text}");
    }
}

#[test]
fn names_are_shown_so_that_they_can_be_typed() {
    let cases = [
        (".", "."),
        ("Example.ORG.", "example.org"),
        (r"a\046b.\092", r"a\.b.\\"),
        (r"*.\*", r"\042.\042"),
        ("=a.b=c", r"\061a.b\061c"),
        (r"\032\127\200~!", r"\032\127\200~!"),
    ];
    for (text, shown) in cases {
        let name: Name = text.parse().unwrap();
        assert_eq!(name.to_string(), shown);
        assert_eq!(shown.parse::<Name>().unwrap(), name);
    }
}

#[test]
fn texts_that_are_no_names() {
    const LABELS: &str = "labels of 1 to 63 octets with a dot between them; \".\" alone is the root";
    const PRINTABLE: &str =
        "printable ASCII without blanks; any other octet as \\DDD, its value in three decimal digits";
    const ESCAPE: &str = "\\DDD with three decimal digits, \\000 to \\255, or \\ and a character that is no \
                          digit (RFC 1035 §5.1)";
    const ASCII: &str = "ASCII; write an internationalised name in its A-label form, xn--… (RFC 5890)";
    const OCTETS: &str = "at most 255 octets in wire form: each label, a length octet for it, and the root \
                          octet (RFC 1035 §2.3.4)";
    let label = "a".repeat(MAX_LABEL + 1);
    let cases = [
        ("", "is empty", "a name such as example.org, or \".\" for the root"),
        ("..", "has an empty label", LABELS),
        (".a", "has an empty label", LABELS),
        ("a..", "has an empty label", LABELS),
        ("münchen.de", "contains \"ü\", which is not ASCII", ASCII),
        ("a b", "contains octet \\032, a blank or control character", PRINTABLE),
        ("a\u{7f}", "contains octet \\127, a blank or control character", PRINTABLE),
        (r"a\", r"contains \, which is not an escape", ESCAPE),
        (r"\256", r"contains \256, which is not an escape", ESCAPE),
        (r"\12", r"contains \12, which is not an escape", ESCAPE),
        (r"\1.a", r"contains \1.a, which is not an escape", ESCAPE),
        (&label, "has a label of 64 octets", "1 to 63 octets a label (RFC 1035 §2.3.4)"),
        (&"abcd.".repeat(51), "has 256 octets in wire form", OCTETS),
    ];
    for (text, what, allowed) in cases {
        let error = text.parse::<Name>().unwrap_err();
        assert!(error.to_string().ends_with(&format!(" {what}; allowed: {allowed}")), "{error}");
        assert_eq!(error.name, text);
    }
    assert_eq!(
        "a\n".parse::<Name>().unwrap_err().what(),
        r#"name "a\n" contains octet \010, a blank or control character"#
    );
}

#[test]
fn the_largest_names_fit() {
    let label = "a".repeat(MAX_LABEL);
    assert_eq!(wire(&label).len(), 1 + MAX_LABEL);
    let most_labels = "a.".repeat(MAX_LABELS);
    assert_eq!(wire(&most_labels).len() + 1, MAX_NAME);
    let most_octets = format!("{label}.{label}.{label}.{}", &label[..61]);
    assert_eq!(wire(&most_octets).len() + 1, MAX_NAME);
    assert_eq!(most_labels.parse::<Name>().unwrap().label_count(), 127);
    assert!("a.".repeat(MAX_LABELS + 1).parse::<Name>().is_err());
    assert!(format!("{label}.{label}.{label}.{}", &label[..62]).parse::<Name>().is_err());
    // Escapes are longer than what they stand for.
    assert_eq!(wire(&r"\000".repeat(MAX_LABEL)).len(), 1 + MAX_LABEL);
}

#[test]
fn labels_and_their_number() {
    let name: Name = r"a\.b.cc.d".parse().unwrap();
    assert_eq!(name.labels().collect::<Vec<_>>(), [b"a.b".as_slice(), b"cc", b"d"]);
    assert_eq!(name.label_count(), 3);
    assert_eq!(Name::root().label_count(), 0);
    assert!(Name::root().is_root() && !name.is_root());
}

/// RFC 4034 §6.1, its own example.
#[test]
fn names_sort_canonically() {
    let sorted = ["example", "a.example", "yljkjljk.a.example", "Z.a.example", "zABC.a.EXAMPLE", "z.example"]
        .into_iter()
        .chain([r"\001.z.example", "*.z.example", r"\200.z.example"])
        .map(|text| text.parse().unwrap());
    let sorted: Vec<Name> = std::iter::once(Name::root()).chain(sorted).collect();
    let mut again = sorted.clone();
    again.reverse();
    again.sort();
    assert_eq!(again, sorted);
}

prop_compose! {
    /// Labels of any octets that make a name within the limits.
    pub fn labels()(mut labels in vec(vec(any::<u8>(), 1..=MAX_LABEL), 0..=MAX_LABELS)) -> Vec<Vec<u8>> {
        while labels.iter().map(|label| 1 + label.len()).sum::<usize>() >= MAX_NAME {
            labels.pop();
        }
        labels
    }
}

/// Every octet escaped.
pub fn escaped(labels: &[Vec<u8>]) -> String {
    let label = |label: &Vec<u8>| label.iter().map(|octet| format!("\\{octet:03}")).collect::<String>();
    match labels {
        [] => ".".to_owned(),
        _ => labels.iter().map(label).collect::<Vec<_>>().join("."),
    }
}

proptest! {
    #[test]
    fn any_name_can_be_written_and_read_again(labels in labels()) {
        let name: Name = escaped(&labels).parse().unwrap();
        let lower: Vec<_> = labels.iter().map(|label| label.to_ascii_lowercase()).collect();
        prop_assert_eq!(name.labels().collect::<Vec<_>>(), lower.iter().collect::<Vec<_>>());
        let shown = name.to_string();
        prop_assert!(shown.bytes().all(|octet| octet.is_ascii_graphic()));
        prop_assert_eq!(&shown.parse::<Name>().unwrap(), &name);
        if !labels.is_empty() {
            prop_assert_eq!((shown + ".").parse::<Name>().unwrap(), name);
        }
    }

    #[test]
    fn whatever_is_accepted_is_shown_so_that_it_means_the_same(text in r"[a-cA-C*=.\\0-2é ]{0,12}") {
        if let Ok(name) = text.parse::<Name>() {
            prop_assert!(name.wire().len() < MAX_NAME);
            prop_assert_eq!(name.to_string().parse::<Name>().unwrap(), name);
        }
    }

    #[test]
    fn order_is_that_of_the_labels_from_the_right(a in labels(), b in labels()) {
        let names: [Name; 2] = [&a, &b].map(|labels| escaped(labels).parse().unwrap());
        let reversed = [a, b].map(|labels| {
            labels.iter().rev().map(|label| label.to_ascii_lowercase()).collect::<Vec<_>>()
        });
        prop_assert_eq!(names[0].cmp(&names[1]), reversed[0].cmp(&reversed[1]));
        let by_heads = names[0].sort_head().cmp(&names[1].sort_head());
        prop_assert!(by_heads.is_eq() || by_heads == names[0].cmp(&names[1]));
    }

    #[test]
    fn octets_that_look_like_lengths_do_not_change_the_order(
        a in vec(vec(1u8..4, 1..4), 0..4),
        b in vec(vec(1u8..4, 1..4), 0..4),
    ) {
        let names: [Name; 2] = [&a, &b].map(|labels| escaped(labels).parse().unwrap());
        let reversed = [a, b].map(|labels| labels.into_iter().rev().collect::<Vec<_>>());
        prop_assert_eq!(names[0].cmp(&names[1]), reversed[0].cmp(&reversed[1]));
    }

    #[test]
    fn no_text_makes_it_panic(text in "(?s).*") {
        let _ = text.parse::<Name>();
    }
}
