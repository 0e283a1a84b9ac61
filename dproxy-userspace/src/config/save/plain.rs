//! Routes in the plain format, changed and removed where they stand.

use std::collections::BTreeMap;

use super::edits::Edits;
use crate::config::file::words;
use crate::config::model::Target;
use crate::config::pattern::Pattern;

pub(super) fn edits<'t>(text: &'t str, routes: &BTreeMap<Pattern, Option<Target>>) -> Edits<'t> {
    let mut edits = Edits::of(text);
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let mut words = words(line);
        if let Some(((_, pattern), (at, target))) = words.next().zip(words.next())
            && let Some(change) = pattern.parse().ok().and_then(|pattern: Pattern| routes.get(&pattern))
        {
            let at = start + at;
            match change {
                Some(new) => edits.replace(at..at + target.len(), new.to_string()),
                None => edits.remove(start..start + line.len()),
            }
        }
        start += line.len();
    }
    edits
}
