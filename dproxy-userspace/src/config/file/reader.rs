//! Typed access to the parts of a TOML document that notes what is wrong and goes on.

use std::collections::{HashMap, HashSet};
use std::ops::{Range, RangeInclusive};
use std::rc::Rc;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::files::Matched;
use super::report::{ConfigError, FileProblem};
use super::source::{Source, Spot};
use crate::config::problem::{Place, Problem, Refusal};
use crate::config::wording::{Quoted, did_you_mean, listed};

pub(super) type Value<'i> = Spanned<DeValue<'i>>;

/// The texts that are read, what was found wrong with them, and where the parts of the configuration are.
/// Offsets are those of the text that was opened last.
#[derive(Default)]
pub(super) struct Reader {
    sources: Vec<Rc<Source>>,
    found: Vec<Finding>,
    places: HashMap<Place, Spot>,
    spoiled: HashSet<Place>,
    /// What the patterns of `include` mean.
    pub(super) matched: Vec<Matched>,
}

struct Finding {
    spot: Spot,
    what: String,
    allowed: String,
}

impl Reader {
    /// Goes on to another text.
    pub(super) fn open(&mut self, source: Source) -> Rc<Source> {
        let source = Rc::new(source);
        self.sources.push(source.clone());
        source
    }

    /// A place in the text.
    pub(super) fn spot(&self, offset: usize) -> Spot {
        Spot { offset: Some(offset), ..self.whole() }
    }

    /// The text as a whole.
    fn whole(&self) -> Spot {
        Spot { source: self.sources.len().saturating_sub(1), offset: None }
    }

    /// What is between a place and the octet at `end`.
    pub(super) fn text_at(&self, spot: Spot, end: usize) -> &str {
        let text = self.sources.get(spot.source).map_or("", |source| source.text());
        text.get(spot.offset.unwrap_or_default()..end).unwrap_or_default()
    }

    /// Notes a problem at an offset in the text.
    pub(super) fn refuse(&mut self, offset: usize, what: impl Into<String>, allowed: impl Into<String>) {
        self.refuse_at(self.spot(offset), what, allowed);
    }

    /// Notes a problem of the text as a whole.
    pub(super) fn refuse_all(&mut self, what: impl Into<String>, allowed: impl Into<String>) {
        self.refuse_at(self.whole(), what, allowed);
    }

    /// Notes a problem at a place in any of the texts.
    pub(super) fn refuse_at(&mut self, spot: Spot, what: impl Into<String>, allowed: impl Into<String>) {
        self.found.push(Finding { spot, what: what.into(), allowed: allowed.into() });
    }

    /// Notes what [`check`](crate::config::check) found, unless it is about something that could not
    /// be read: then it may be a mere consequence.
    pub(super) fn report(&mut self, problem: Problem) {
        let Problem { place, says, allowed, against } = problem;
        if self.spoiled.contains(&place) || against.as_ref().is_some_and(|other| self.spoiled.contains(other))
        {
            return;
        }
        // What is nowhere concerns the file that could have said it, the first.
        let spot = self.places.get(&place).copied().unwrap_or_default();
        let see = against.map(|other| self.see_place(&other, spot.source)).unwrap_or_default();
        self.refuse_at(spot, format!("{place} {says}{see}"), allowed);
    }

    /// Remembers where a part of the configuration is.
    pub(super) fn remember(&mut self, place: Place, offset: usize) {
        self.remember_at(place, self.spot(offset));
    }

    /// The same in any of the texts.
    pub(super) fn remember_at(&mut self, place: Place, spot: Spot) {
        self.places.insert(place, spot);
    }

    /// Remembers that a part of the configuration could not be read in full.
    pub(super) fn spoil(&mut self, place: Place) {
        self.spoiled.insert(place);
    }

    /// Points from one of the texts to another place: ` (see 3:1)`, or with the file if that is another.
    pub(super) fn see(&self, spot: Spot, from: usize) -> String {
        let Some((source, offset)) = self.sources.get(spot.source).zip(spot.offset) else {
            return String::new();
        };
        let position = source.position(offset);
        if spot.source == from {
            format!(" (see {position})")
        } else {
            format!(" (see {}:{position})", source.name())
        }
    }

    /// The same to a part of the configuration, if it was remembered.
    pub(super) fn see_place(&self, place: &Place, from: usize) -> String {
        self.places.get(place).map(|&spot| self.see(spot, from)).unwrap_or_default()
    }

    /// All that was found, in the order of the texts.
    pub(super) fn finish(self) -> Result<(), ConfigError> {
        let Self { sources, mut found, .. } = self;
        if found.is_empty() {
            return Ok(());
        }
        found.sort_by_key(|finding| finding.spot);
        let problem = |Finding { spot, what, allowed }| {
            let source = sources.get(spot.source);
            let file = source.map(|source| source.name().to_owned()).unwrap_or_default();
            let position = source.zip(spot.offset).map(|(source, offset)| source.position(offset));
            FileProblem { file, position, what, allowed: Some(allowed) }
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
                    let Range { start, end } = value.span();
                    format!("{subject} is {}", self.text_at(self.spot(start), end))
                }
            };
            self.refuse(value.span().start, what, allowed);
        }
        got
    }
}
