use proptest::prelude::*;

use super::name::{escaped, labels};
use crate::config::{Name, Pattern, PatternKind};

#[test]
fn patterns_and_what_they_mean() {
    use PatternKind::{Exact, Subtree, Wildcard};
    let cases = [
        ("=www.example.org", Exact, "www.example.org", "=www.example.org"),
        ("=WWW.example.org.", Exact, "www.example.org", "=www.example.org"),
        ("=.", Exact, ".", "=."),
        ("cryo.network", Subtree, "cryo.network", "cryo.network"),
        (".", Subtree, ".", "."),
        ("*.Dev.example", Wildcard, "dev.example", "*.dev.example"),
        ("*.", Wildcard, ".", "*."),
        ("*", Wildcard, ".", "*."),
        (r"\*.a", Subtree, r"\042.a", r"\042.a"),
        (r"\042.a", Subtree, r"\042.a", r"\042.a"),
        (r"*.\042.a", Wildcard, r"\042.a", r"*.\042.a"),
        (r"=\042.a", Exact, r"\042.a", r"=\042.a"),
        (r"\=a", Subtree, r"\061a", r"\061a"),
        ("==a", Exact, r"\061a", r"=\061a"),
        (r"a\\.b", Subtree, r"a\\.b", r"a\\.b"),
    ];
    for (text, kind, name, shown) in cases {
        let pattern: Pattern = text.parse().unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(pattern, Pattern { name: name.parse().unwrap(), kind }, "{text}");
        assert_eq!(pattern.to_string(), shown);
    }
}

#[test]
fn texts_that_are_no_patterns() {
    const ASTERISK: &str = "has an asterisk that is not the whole first label; allowed: *. in front of a \
                            name, for all names below it; a literal asterisk is written \\042";
    const EMPTY_LABEL: &str = "has an empty label; allowed: labels of 1 to 63 octets with a dot between \
                               them; \".\" alone is the root";
    const EMPTY: &str = "is empty; allowed: a name such as example.org, or \".\" for the root";
    let cases = [
        ("a.*.b", ASTERISK),
        ("a*.b", ASTERISK),
        ("*a.b", ASTERISK),
        ("**.b", ASTERISK),
        ("*.*.b", ASTERISK),
        ("=*.b", ASTERISK),
        ("*=a", ASTERISK),
        (r"a\\*", ASTERISK),
        ("*..", EMPTY_LABEL),
        ("*..a", EMPTY_LABEL),
        ("=..", EMPTY_LABEL),
        ("", EMPTY),
        ("=", EMPTY),
    ];
    for (text, expected) in cases {
        let error = text.parse::<Pattern>().unwrap_err();
        assert_eq!(error.to_string(), format!("name \"{text}\" {expected}"));
    }
}

#[test]
fn patterns_of_a_name_stand_together_in_order_of_precedence() {
    let sorted = [".", "*.a", "a", "=x.a", "*.x.a", "x.a", "=b"];
    let mut patterns: Vec<Pattern> = sorted.iter().rev().map(|text| text.parse().unwrap()).collect();
    patterns.sort();
    assert_eq!(patterns.iter().map(ToString::to_string).collect::<Vec<_>>(), sorted);
}

proptest! {
    #[test]
    fn any_pattern_can_be_written_and_read_again(labels in labels(), kind in 0..3usize) {
        let name: Name = escaped(&labels).parse().unwrap();
        let kind = [PatternKind::Exact, PatternKind::Wildcard, PatternKind::Subtree][kind];
        let pattern = Pattern { name, kind };
        prop_assert_eq!(pattern.to_string().parse::<Pattern>().unwrap(), pattern);
    }

    #[test]
    fn whatever_is_accepted_is_shown_so_that_it_means_the_same(text in r"[=*]?[a-c*=.\\0-2]{0,8}") {
        if let Ok(pattern) = text.parse::<Pattern>() {
            prop_assert_eq!(pattern.to_string().parse::<Pattern>().unwrap(), pattern);
        }
    }
}
