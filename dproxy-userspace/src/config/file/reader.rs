//! Typed access to the parts of a TOML document that notes what is wrong and goes on.

use std::collections::{HashMap, HashSet};
use std::ops::RangeInclusive;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::report::{ConfigError, FileProblem, Lines, Position};
use crate::config::problem::{Place, Problem, Refusal};
use crate::config::wording::{Quoted, did_you_mean, listed};

pub(super) type Value<'i> = Spanned<DeValue<'i>>;

/// The text being read, what was found wrong with it, and where the parts of the configuration are.
pub(super) struct Reader<'t> {
    text: &'t str,
    lines: Lines<'t>,
    found: Vec<Finding>,
    places: HashMap<Place, usize>,
    spoiled: HashSet<Place>,
}

struct Finding {
    offset: Option<usize>,
    what: String,
    allowed: Option<String>,
}

impl<'t> Reader<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self {
            text,
            lines: Lines::of(text),
            found: Vec::new(),
            places: HashMap::new(),
            spoiled: HashSet::new(),
        }
    }

    /// Notes a problem at an offset in the text.
    pub(super) fn refuse(&mut self, offset: usize, what: impl Into<String>, allowed: impl Into<String>) {
        self.found.push(Finding { offset: Some(offset), what: what.into(), allowed: Some(allowed.into()) });
    }

    /// Notes what [`check`](crate::config::check) found, unless it is about something that could not
    /// be read: then it may be a mere consequence.
    pub(super) fn report(&mut self, problem: Problem) {
        let Problem { place, says, allowed, against } = problem;
        if self.spoiled.contains(&place) || against.as_ref().is_some_and(|other| self.spoiled.contains(other))
        {
            return;
        }
        let see = match against.and_then(|other| self.position(&other)) {
            Some(position) => format!(" (see {position})"),
            None => String::new(),
        };
        let offset = self.places.get(&place).copied();
        self.found.push(Finding { offset, what: format!("{place} {says}{see}"), allowed: Some(allowed) });
    }

    /// Remembers where a part of the configuration is.
    pub(super) fn remember(&mut self, place: Place, offset: usize) {
        self.places.insert(place, offset);
    }

    /// Remembers that a part of the configuration could not be read in full.
    pub(super) fn spoil(&mut self, place: Place) {
        self.spoiled.insert(place);
    }

    /// Where a part of the configuration is, if it was remembered.
    pub(super) fn position(&self, place: &Place) -> Option<Position> {
        self.places.get(place).map(|&offset| self.lines.position(offset))
    }

    /// The line that an offset is in.
    pub(super) fn line(&self, offset: usize) -> usize {
        self.lines.position(offset).line
    }

    /// All that was found, in the order of the text.
    pub(super) fn finish(self, file: &str) -> Result<(), ConfigError> {
        let Self { lines, mut found, .. } = self;
        if found.is_empty() {
            return Ok(());
        }
        found.sort_by_key(|finding| finding.offset);
        let problem = |Finding { offset, what, allowed }| FileProblem {
            file: file.to_owned(),
            position: offset.map(|offset| lines.position(offset)),
            what,
            allowed,
        };
        Err(ConfigError::new(found.into_iter().map(problem).collect()))
    }

    /// Notes the keys of a table that are not among the `known` ones.
    pub(super) fn keys(&mut self, subject: &str, table: &DeTable<'_>, known: &[&str]) {
        for key in table.keys().filter(|key| !known.contains(&key.get_ref().as_ref())) {
            let name = key.get_ref();
            let hint = did_you_mean(name, known.iter().copied());
            let what = format!("{subject} has the unknown key {}", Quoted(name));
            self.refuse(key.span().start, what, listed(known.iter().copied()) + &hint);
        }
    }

    /// The table in `value`.
    pub(super) fn table<'d, 'i>(
        &mut self,
        subject: &str,
        value: &'d Value<'i>,
        allowed: &str,
    ) -> Option<&'d DeTable<'i>> {
        self.expect(subject, value, allowed, DeValue::as_table)
    }

    /// The list in `value`.
    pub(super) fn list<'d, 'i>(
        &mut self,
        subject: &str,
        value: &'d Value<'i>,
        allowed: &str,
    ) -> Option<&'d DeArray<'i>> {
        self.expect(subject, value, allowed, DeValue::as_array)
    }

    /// The string in `value`.
    pub(super) fn string<'d>(
        &mut self,
        subject: &str,
        value: &'d Value<'_>,
        allowed: &str,
    ) -> Option<&'d str> {
        self.expect(subject, value, allowed, DeValue::as_str)
    }

    /// The string in `value`, parsed. `allowed` is for a value that is no string.
    pub(super) fn parsed<T>(
        &mut self,
        subject: &str,
        value: &Value<'_>,
        allowed: &str,
        parse: impl FnOnce(&str) -> Result<T, Refusal>,
    ) -> Option<T> {
        let text = self.string(subject, value, allowed)?;
        parse(text).map_err(|Refusal { what, allowed }| self.refuse(value.span().start, what, allowed)).ok()
    }

    /// The integer in `value`, if it is within `range`.
    pub(super) fn integer<T: TryFrom<i64> + PartialOrd>(
        &mut self,
        subject: &str,
        value: &Value<'_>,
        range: RangeInclusive<T>,
        allowed: &str,
    ) -> Option<T> {
        self.expect(subject, value, allowed, |value| {
            let integer = value.as_integer()?;
            let integer = i64::from_str_radix(integer.as_str(), integer.radix()).ok()?;
            T::try_from(integer).ok().filter(|integer| range.contains(integer))
        })
    }

    /// The truth in `value`.
    pub(super) fn boolean(&mut self, subject: &str, value: &Value<'_>) -> Option<bool> {
        self.expect(subject, value, "true or false", DeValue::as_bool)
    }

    fn expect<'d, 'i, T>(
        &mut self,
        subject: &str,
        value: &'d Value<'i>,
        allowed: &str,
        get: impl FnOnce(&'d DeValue<'i>) -> Option<T>,
    ) -> Option<T> {
        let got = get(value.get_ref());
        if got.is_none() {
            let what = match value.get_ref() {
                DeValue::Table(_) => format!("{subject} is a table"),
                DeValue::Array(_) => format!("{subject} is a list"),
                DeValue::String(text) => format!("{subject} is {}", Quoted(text)),
                DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {
                    format!("{subject} is {}", self.text.get(value.span()).unwrap_or_default())
                }
            };
            self.refuse(value.span().start, what, allowed);
        }
        got
    }
}
