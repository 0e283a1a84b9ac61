//! What the API answers when it does not do what it was asked.

use std::fmt;

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use crate::config::{ConfigError, FileProblem, Refusal};

/// Why a request was refused or failed. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub struct ApiError {
    /// The HTTP status, once more.
    pub status: u16,
    /// What kind of error it is.
    pub code: Code,
    /// What is wrong.
    #[serde(flatten)]
    pub detail: Detail,
    /// What else is wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub more: Vec<Detail>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detail {
    /// A sentence for people, with the offending value.
    pub message: String,
    /// What of the request or of the configuration it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// What would have been accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed: Option<String>,
}

/// Kinds of errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// 400: the request cannot be understood.
    Malformed,
    /// 404: there is no such thing.
    NotFound,
    /// 405: there is such a thing, but this cannot be done to it.
    MethodNotAllowed,
    /// 409: it is there already.
    Exists,
    /// 408: the request did not come to its end in time.
    TooSlow,
    /// 409: something else needs it.
    InUse,
    /// 409: no backend of the pool to switch to is up.
    NotUp,
    /// 409: a generation waits for its confirmation; until then no edit is taken.
    Unconfirmed,
    /// 412: the generation that the edit was made for has passed.
    Stale,
    /// 413: the request is too large.
    TooLarge,
    /// 422: the configuration would not be valid any more.
    Invalid,
    /// 422: the tables of the fast path have no room for it.
    NoRoom,
    /// 503: the fast path refused, there are too many requests, or the daemon is about to end.
    Unavailable,
    /// 507: the state folder cannot be written.
    Storage,
    /// A kind that a newer daemon knows.
    #[serde(other)]
    Unknown,
}

impl Code {
    fn status(self) -> StatusCode {
        match self {
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Exists | Self::InUse | Self::NotUp | Self::Unconfirmed => StatusCode::CONFLICT,
            Self::Stale => StatusCode::PRECONDITION_FAILED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Invalid | Self::NoRoom => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Storage => StatusCode::INSUFFICIENT_STORAGE,
            Self::Unknown => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl ApiError {
    /// An error of a kind.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        let detail = Detail { message: message.into(), place: None, allowed: None };
        Self { status: code.status().as_u16(), code, detail, more: Vec::new() }
    }

    /// With what would have been accepted.
    pub fn allowed(mut self, allowed: impl Into<String>) -> Self {
        self.detail.allowed = Some(allowed.into());
        self
    }

    /// With what it is about.
    pub fn place(mut self, place: impl Into<String>) -> Self {
        self.detail.place = Some(place.into());
        self
    }

    /// A value that cannot be understood, and of which part of the request.
    pub fn refused(place: &str, refusal: impl Into<Refusal>) -> Self {
        let Refusal { what, allowed } = refusal.into();
        Self::new(Code::Malformed, what).place(place).allowed(allowed)
    }
}

impl fmt::Display for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.allowed {
            Some(allowed) => write!(f, "\n    allowed: {allowed}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.detail)?;
        self.more.iter().try_for_each(|detail| write!(f, "\n{detail}"))
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.code.status(), Json(self)).into_response()
    }
}

impl From<PathRejection> for ApiError {
    fn from(rejection: PathRejection) -> Self {
        Self::new(Code::Malformed, rejection.body_text()).place("path")
    }
}

impl From<QueryRejection> for ApiError {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(Code::Malformed, rejection.body_text()).place("query")
    }
}

/// Of a file without end, nobody reads all problems.
const PROBLEMS: usize = 100;

impl From<ConfigError> for ApiError {
    fn from(error: ConfigError) -> Self {
        let mut details = error.problems().iter().take(PROBLEMS).map(Detail::from);
        let error = Self::new(Code::Invalid, "");
        match details.next() {
            Some(detail) => Self { detail, more: details.collect(), ..error },
            None => error,
        }
    }
}

impl From<&FileProblem> for Detail {
    fn from(problem: &FileProblem) -> Self {
        let FileProblem { file, position, what, allowed } = problem;
        let place = position.map_or_else(|| file.clone(), |position| format!("{file}:{position}"));
        Self { message: format!("{place}: {what}"), place: Some(place), allowed: allowed.clone() }
    }
}
