//! Lengths of time: `200ms`, `3s`, `1m`.

use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::problem::Refusal;
use super::wording::Quoted;

/// How a length of time may be written.
const DURATION: &str = "a whole number of milliseconds, seconds or minutes: 200ms, 3s or 1m";

/// Milliseconds of each unit, the largest first.
const UNITS: [(&str, u64); 3] = [("m", 60_000), ("s", 1000), ("ms", 1)];

/// Parses `200ms`, `3s` or `1m`.
pub fn parse_duration(text: &str) -> Result<Duration, Refusal> {
    let digits = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, milliseconds)| *milliseconds);
    let milliseconds = factor.and_then(|factor| number.parse::<u64>().ok()?.checked_mul(factor));
    milliseconds.map(Duration::from_millis).ok_or_else(|| Refusal {
        what: format!("{} is not a length of time", Quoted(text)),
        allowed: DURATION.to_owned(),
    })
}

/// The form that [`parse_duration`] takes, in the largest unit that keeps it whole. What is below a
/// millisecond is cut off.
pub fn duration_text(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    if milliseconds == 0 {
        return "0s".to_owned();
    }
    let fits = |(_, factor): &&(&str, u64)| milliseconds.is_multiple_of(u128::from(*factor));
    let (unit, factor) = UNITS.iter().find(fits).unwrap_or(&("ms", 1));
    format!("{}{unit}", milliseconds / u128::from(*factor))
}

pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&duration_text(*duration))
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    parse_duration(&String::deserialize(deserializer)?).map_err(D::Error::custom)
}

/// Lengths of time that need not be there.
pub(super) mod optional {
    use super::*;

    pub(in super::super) fn serialize<S: Serializer>(
        duration: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        duration.map(duration_text).serialize(serializer)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        super::deserialize(deserializer).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn units_and_what_is_written() {
        for (text, milliseconds, written) in [
            ("200ms", 200, "200ms"),
            ("3s", 3000, "3s"),
            ("1500ms", 1500, "1500ms"),
            ("2000ms", 2000, "2s"),
            ("90s", 90_000, "90s"),
            ("1m", 60_000, "1m"),
            ("0s", 0, "0s"),
        ] {
            let duration = parse_duration(text).unwrap();
            assert_eq!(duration, Duration::from_millis(milliseconds), "{text}");
            assert_eq!(duration_text(duration), written);
        }
    }

    #[test]
    fn texts_that_are_no_lengths_of_time() {
        for text in [
            "",
            "3",
            "s",
            "3 s",
            " 3s",
            "3S",
            "-3s",
            "+3s",
            "1.5s",
            "3sec",
            "1m30s",
            "1h",
            "99999999999999999m",
        ] {
            assert_eq!(
                parse_duration(text).unwrap_err().to_string(),
                format!(
                    "\"{text}\" is not a length of time; allowed: a whole number of milliseconds, seconds \
                     or minutes: 200ms, 3s or 1m"
                )
            );
        }
    }

    proptest! {
        #[test]
        fn what_is_written_can_be_read(milliseconds: u32) {
            let duration = Duration::from_millis(milliseconds.into());
            prop_assert_eq!(parse_duration(&duration_text(duration)).unwrap(), duration);
        }
    }
}
