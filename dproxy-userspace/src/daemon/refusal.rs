//! Why an edit was refused, as the API says it.

use super::edit::EditError;
use crate::api::{ApiError, Code, Detail};
use crate::config::{self, Place};
use crate::datapath::DatapathError;

/// The place of a generation that has passed.
const GENERATION: &str = "generation";

impl From<EditError> for ApiError {
    fn from(error: EditError) -> Self {
        let message = error.to_string();
        match error {
            EditError::NotThere(place) => Self::new(Code::NotFound, message).place(place.to_string()),
            EditError::NoSuchBackend { pool, .. } => {
                Self::new(Code::NotFound, message).place(Place::Pool(pool).to_string())
            }
            EditError::Exists { place, leads } => {
                let error = Self::new(Code::Exists, message).place(place.to_string());
                if leads.is_empty() { error } else { error.allowed(REPLACE) }
            }
            EditError::InUse { pool, .. } => Self::new(Code::InUse, message)
                .place(Place::Pool(pool).to_string())
                .allowed("a pool that no route leads to; let these lead elsewhere, or remove them"),
            EditError::IsPrimary { pool, .. } => Self::new(Code::InUse, message)
                .place(Place::Pool(pool).to_string())
                .allowed("a backend that is not; the primary is set in the file, or when a pool is added"),
            EditError::SwitchToItself(pool) => Self::new(Code::Invalid, message)
                .place(Place::Pool(pool).to_string())
                .allowed("two different pools"),
            EditError::Percent(_) => Self::new(Code::Invalid, message)
                .place("percent")
                .allowed("1 to 100; without a share, the routes are moved for good"),
            EditError::OnSwitch { pool, .. } => Self::new(Code::InUse, message)
                .place(Place::Pool(pool).to_string())
                .allowed("pools on no other switch; finish that one, or take it back (--back)"),
            EditError::NotOnSwitch { from, .. } => {
                Self::new(Code::NotFound, message).place(Place::Pool(from).to_string())
            }
            EditError::NotUp(pool) => Self::new(Code::NotUp, message)
                .place(Place::Pool(pool).to_string())
                .allowed("a pool that can answer; to switch all the same, force it (--force)"),
            EditError::Stale { .. } => Self::new(Code::Stale, message).place(GENERATION).allowed(
                "an edit made for the generation in force; look at what has changed, then try again",
            ),
            EditError::Invalid(problems) => invalid(problems),
            EditError::DoesNotFit(_) => Self::new(Code::NoRoom, message),
            EditError::Unconfirmed { .. } => Self::new(Code::Unconfirmed, message)
                .place(GENERATION)
                .allowed("edits after `dproxy confirm` or `dproxy rollback`"),
            EditError::NothingToConfirm | EditError::NothingBefore => {
                Self::new(Code::NotFound, message).place(GENERATION)
            }
            EditError::WouldUndo(_) => Self::new(Code::InUse, message).allowed(
                "a configuration that has them: `dproxy save` writes them into the file; to lose them all the same, \
                 discard them (--discard-edits)",
            ),
            EditError::Datapath(_) | EditError::SlowPath(_) => Self::new(Code::Unavailable, message),
            EditError::State(_) => Self::new(Code::Storage, message),
        }
    }
}

const REPLACE: &str =
    "a pattern without a route; to change where this one leads, replace it (--replace, or PUT)";

fn invalid(problems: Vec<config::Problem>) -> ApiError {
    let mut details = problems.into_iter().map(|config::Problem { place, says, allowed, against: _ }| {
        Detail { message: format!("{place} {says}"), place: Some(place.to_string()), allowed: Some(allowed) }
    });
    let error = ApiError::new(Code::Invalid, "");
    match details.next() {
        Some(detail) => ApiError { detail, more: details.collect(), ..error },
        None => error,
    }
}

impl From<DatapathError> for ApiError {
    fn from(error: DatapathError) -> Self {
        Self::new(Code::Unavailable, error.to_string())
    }
}
