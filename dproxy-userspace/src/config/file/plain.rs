//! Routes in the plain format: one a line, a pattern and a target with blanks between.
//!
//! It is for lists that programs write: a few hundred thousand routes take a fraction of the time and memory
//! that TOML takes. `#` at the front of a line or behind a blank begins a comment.

use super::reader::Reader;
use super::routes::{self, Routes};
use crate::config::wording::Quoted;
use crate::config::words::Answer;

const BLANKS: [char; 2] = [' ', '\t'];

pub(super) fn read(reader: &mut Reader, text: &str, routes: &mut Routes) {
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        read_line(reader, start, line, routes);
        start += line.len();
    }
}

fn read_line(reader: &mut Reader, start: usize, line: &str, routes: &mut Routes) {
    let mut words = words(line);
    let Some((at, pattern)) = words.next() else { return };
    let offset = start + at;
    let Some((_, target)) = words.next() else {
        let what = format!("route {} has no target", Quoted(pattern));
        return reader.refuse(offset, what, allowed());
    };
    if let Some((at, more)) = words.next() {
        let what = format!("route {} has {} behind its target", Quoted(pattern), Quoted(more));
        return reader.refuse(start + at, what, allowed());
    }
    let end = offset + pattern.len();
    if let Some(pattern) = routes::pattern(reader, pattern, offset) {
        let target = routes.target_of_word(target);
        routes.add(reader.spot(offset), end, pattern, Some(target));
    }
}

fn allowed() -> String {
    format!("PATTERN TARGET, where TARGET is the name of a pool or an answer: {}", Answer::WORDS.join(", "))
}

/// The words of a line in front of a comment, and where they are.
pub(in crate::config) fn words(line: &str) -> impl Iterator<Item = (usize, &str)> {
    let line = line.trim_end_matches(['\n', '\r']);
    let mut rest = line;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(BLANKS);
        let at = line.len() - rest.len();
        let (word, behind) = rest.split_at(rest.find(BLANKS).unwrap_or(rest.len()));
        rest = if word.starts_with('#') { "" } else { behind };
        (!word.is_empty() && !word.starts_with('#')).then_some((at, word))
    })
}
