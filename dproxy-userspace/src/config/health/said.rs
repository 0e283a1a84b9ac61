//! Checks as they are written.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::duration;
use super::super::words::{CheckFlag, Rcode, Transport};
use super::{Check, CheckQuery};

/// A [`Check`] as it is written: only what differs from the default.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Said {
    #[serde(skip_serializing_if = "Option::is_none")]
    active: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    passive: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    query: Option<CheckQuery>,
    #[serde(skip_serializing_if = "Option::is_none")]
    flags: Option<Vec<CheckFlag>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transports: Option<Vec<Transport>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expect: Option<Vec<Rcode>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    serial_lag: Option<u32>,
    #[serde(with = "duration::optional", skip_serializing_if = "Option::is_none")]
    interval: Option<Duration>,
    #[serde(with = "duration::optional", skip_serializing_if = "Option::is_none")]
    timeout: Option<Duration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rise: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fall: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jitter: Option<u32>,
    #[serde(with = "duration::optional", skip_serializing_if = "Option::is_none")]
    backoff: Option<Duration>,
}

impl From<Check> for Said {
    fn from(check: Check) -> Self {
        fn unless<T: PartialEq>(value: T, usual: &T) -> Option<T> {
            Some(value).filter(|value| value != usual)
        }
        let usual = Check::default();
        Self {
            active: unless(check.active, &usual.active),
            passive: unless(check.passive, &usual.passive),
            query: check.query,
            flags: unless(check.flags, &usual.flags),
            transports: unless(check.transports, &usual.transports),
            expect: check.expect,
            answer: check.answer,
            serial_lag: check.serial_lag,
            interval: unless(check.interval, &usual.interval),
            timeout: check.timeout,
            rise: unless(check.rise, &usual.rise),
            fall: unless(check.fall, &usual.fall),
            jitter: unless(check.jitter, &usual.jitter),
            backoff: unless(check.backoff, &usual.backoff),
        }
    }
}

impl From<Said> for Check {
    fn from(said: Said) -> Self {
        let usual = Self::default();
        Self {
            active: said.active.unwrap_or(usual.active),
            passive: said.passive.unwrap_or(usual.passive),
            query: said.query,
            flags: said.flags.unwrap_or(usual.flags),
            transports: said.transports.unwrap_or(usual.transports),
            expect: said.expect,
            answer: said.answer,
            serial_lag: said.serial_lag,
            interval: said.interval.unwrap_or(usual.interval),
            timeout: said.timeout,
            rise: said.rise.unwrap_or(usual.rise),
            fall: said.fall.unwrap_or(usual.fall),
            jitter: said.jitter.unwrap_or(usual.jitter),
            backoff: said.backoff.unwrap_or(usual.backoff),
        }
    }
}
