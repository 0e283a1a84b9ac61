//! Answers, and the generation that they are of.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::ETAG;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::{ApiError, Edited};
use crate::daemon::{self, Handle};

pub(super) type Engine = State<Handle>;
pub(super) type Answer<T> = Result<Tagged<Json<T>>, ApiError>;
pub(super) type Created<T> = Result<(StatusCode, Tagged<Json<T>>), ApiError>;

/// What is to be answered, with its generation as the entity tag (RFC 9110 §8.8.3): an edit that names it in
/// `If-Match` is made only if nothing has changed since.
pub(super) struct Tagged<T> {
    pub(super) generation: u64,
    pub(super) answer: T,
}

impl<T: Serialize> Tagged<Json<T>> {
    pub(super) fn json(generation: u64, answer: T) -> Self {
        Self { generation, answer: Json(answer) }
    }
}

impl From<Edited> for Tagged<Json<Edited>> {
    fn from(edited: Edited) -> Self {
        Self::json(edited.generation, edited)
    }
}

impl<T: IntoResponse> IntoResponse for Tagged<T> {
    fn into_response(self) -> Response {
        let Self { generation, answer } = self;
        ([(ETAG, format!("\"{generation}\""))], answer).into_response()
    }
}

/// What somebody sees who looks at the engine.
pub(super) async fn look<T: Serialize + Send + 'static>(
    engine: &Handle,
    look: impl FnOnce(&daemon::Engine) -> T + Send + 'static,
) -> Answer<T> {
    Ok(engine.look(|engine| Tagged::json(engine.generation(), look(engine))).await?)
}

/// What somebody sees who looks for something that need not be there.
pub(super) async fn find<T: Serialize + Send + 'static, E: Into<ApiError>>(
    engine: &Handle,
    look: impl FnOnce(&daemon::Engine) -> Result<T, E> + Send + 'static,
) -> Answer<T> {
    let found = engine.look(|engine| match look(engine) {
        Ok(found) => Ok(Tagged::json(engine.generation(), found)),
        Err(error) => Err(error.into()),
    });
    found.await?
}
