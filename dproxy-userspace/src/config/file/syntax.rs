//! Errors of the TOML syntax, in our form.

use toml::de::Error;

use super::reader::Reader;
use super::source::Source;
use crate::config::wording::Quoted;

/// Notes what is wrong with the text as TOML. True if what could be parsed is still worth reading:
/// after a duplicate key it is, after anything else it may be far from what was meant.
pub(super) fn report(reader: &mut Reader, source: &Source, mut errors: Vec<Error>) -> bool {
    let text = source.text();
    let offset = |error: &Error| error.span().map_or(text.len(), |span| span.start);
    errors.sort_by_key(offset);
    // One slip often makes several errors on its line.
    errors.dedup_by_key(|error| source.position(offset(error)).line);
    for error in &errors {
        let (what, allowed) = describe(text, error);
        reader.refuse(offset(error), what, allowed);
    }
    errors.iter().all(is_duplicate)
}

fn is_duplicate(error: &Error) -> bool {
    error.message() == "duplicate key"
}

fn describe(text: &str, error: &Error) -> (String, String) {
    let source = error.span().and_then(|span| text.get(span)).unwrap_or_default();
    if is_duplicate(error) {
        let key = source.trim_matches(['"', '\'']);
        return (format!("key {} is there twice", Quoted(key)), "each key once".to_owned());
    }
    let (what, expected) = error.message().split_once(", expected ").unwrap_or((error.message(), ""));
    let near = if source.is_empty() { String::new() } else { format!(" at {}", Quoted(source)) };
    let allowed = if what.contains("escape") {
        "\\\\ for a backslash, or single quotes around the whole string: 'a\\.b'".to_owned()
    } else if what.contains("unquoted key") {
        format!("{expected}; a key with other characters stands in quotes")
    } else if what.contains("must be quoted") {
        "a number, true, false, or a string in quotes".to_owned()
    } else if expected.is_empty() {
        "TOML 1.1 (toml.io)".to_owned()
    } else {
        expected.to_owned()
    };
    (format!("not TOML{near}: {what}"), allowed)
}
