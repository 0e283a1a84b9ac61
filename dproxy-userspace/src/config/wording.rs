//! How messages show values, lists and suggestions.

use std::fmt;

/// Longest value, in characters, that a message shows in full.
const SHOWN: usize = 120;
/// Most entries that a list in a message shows.
const LISTED: usize = 10;

/// A value as messages show it: in double quotes, control characters escaped, not endlessly long.
pub(crate) struct Quoted<'a>(pub &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(value) = self;
        f.write_str("\"")?;
        for character in value.chars().take(SHOWN) {
            if character.is_control() {
                write!(f, "{}", character.escape_default())?;
            } else {
                write!(f, "{character}")?;
            }
        }
        if value.chars().nth(SHOWN).is_some() {
            f.write_str("…")?;
        }
        f.write_str("\"")
    }
}

/// `a, b, c and 7 more`.
pub(crate) fn listed<'a>(entries: impl IntoIterator<Item = &'a str>) -> String {
    let mut entries = entries.into_iter();
    let shown: Vec<_> = entries.by_ref().take(LISTED).collect();
    match entries.count() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// The candidate that `word` is most likely a slip of, if one is near.
pub(super) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_ascii_lowercase();
    let worst = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (strsim::osa_distance(&word, candidate), candidate))
        .filter(|&(distance, _)| distance <= worst)
        .min()
        .map(|(_, candidate)| candidate)
}

/// `; did you mean "x"?`, or nothing if no candidate is near.
pub(super) fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, candidates).map(|near| format!("; did you mean \"{near}\"?")).unwrap_or_default()
}

/// `1 problem`, `2 problems`.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_and_odd_values_stay_on_one_line() {
        assert_eq!(Quoted("a\nb\u{1b}c").to_string(), r#""a\nb\u{1b}c""#);
        assert_eq!(Quoted(&"ü".repeat(SHOWN)).to_string(), format!("\"{}\"", "ü".repeat(SHOWN)));
        assert_eq!(Quoted(&"ü".repeat(SHOWN + 1)).to_string(), format!("\"{}…\"", "ü".repeat(SHOWN)));
    }

    #[test]
    fn long_lists_are_cut() {
        assert_eq!(listed(["a", "b"]), "a, b");
        assert_eq!(listed(["x"; 10]), ["x"; 10].join(", "));
        assert_eq!(listed(["x"; 12]), format!("{} and 2 more", ["x"; 10].join(", ")));
    }

    #[test]
    fn suggestions_are_near() {
        let known = ["cryo", "resolvers", "xdp"];
        assert_eq!(did_you_mean("resolverz", known), "; did you mean \"resolvers\"?");
        assert_eq!(did_you_mean("Resolvers", known), "; did you mean \"resolvers\"?");
        assert_eq!(did_you_mean("xpd", known), "; did you mean \"xdp\"?");
        assert_eq!(did_you_mean("crab", known), "");
        assert_eq!(did_you_mean("authoritative", known), "");
    }

    #[test]
    fn nouns_agree_with_their_count() {
        assert_eq!(counted(1, "problem"), "1 problem");
        assert_eq!(counted(0, "problem"), "0 problems");
    }
}
