//! Requests that concern the whole configuration.

use std::time::Duration;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use serde::Deserialize;
use tokio::task::spawn_blocking;

use super::answer::{Answer, Engine, Tagged, look};
use super::body::{Body, Whole};
use super::editor::Editor;
use super::parameters::Asking;
use super::{ApiError, Applied, Code, Edited, History, Plan, Rollback};
use crate::config::parse_duration;
use crate::daemon::Apply;

pub(super) async fn plan(State(engine): Engine, Whole(config, _room): Whole) -> Answer<Plan> {
    let plan = engine.plan(config).await?;
    Ok(Tagged::json(plan.generation, plan))
}

/// The query of `POST /v1/apply`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Confirming {
    confirm: Option<String>,
    #[serde(default)]
    discard_edits: bool,
}

pub(super) async fn apply(
    Asking(Confirming { confirm, discard_edits }): Asking<Confirming>,
    Editor { engine, who, generation }: Editor,
    Whole(config, _room): Whole,
) -> Answer<Applied> {
    let confirm = confirm.map(|text| parse_confirm(&text)).transpose()?;
    let applied = engine.apply(config, Apply { who, generation, confirm, discard_edits }).await?;
    Ok(Tagged::json(applied.generation, applied))
}

fn parse_confirm(text: &str) -> Result<Duration, ApiError> {
    parse_duration(text).map_err(|refusal| ApiError::refused("confirm", refusal))
}

pub(super) async fn confirm(Editor { engine, who, generation }: Editor) -> Answer<Edited> {
    Ok(engine.confirm(who, generation).await?.into())
}

pub(super) async fn rollback(
    Editor { engine, who, generation }: Editor,
    Body(Rollback { generation: to }): Body<Rollback>,
) -> Answer<Applied> {
    let applied = engine.rollback(to, who, generation).await?;
    Ok(Tagged::json(applied.generation, applied))
}

pub(super) async fn generations(State(engine): Engine) -> Answer<History> {
    look(&engine, |engine| engine.history()).await
}

pub(super) async fn configuration(State(engine): Engine) -> Result<impl IntoResponse, ApiError> {
    let seen = engine.look(|engine| (engine.generation(), engine.configuration()));
    let (generation, config) = seen.await?;
    let failed = |error: String| {
        ApiError::new(Code::Unavailable, format!("the configuration cannot be written as TOML: {error}"))
    };
    // A large one takes a while, in which others want to be answered.
    let written = spawn_blocking(move || toml::to_string(&config)).await;
    let text =
        written.map_err(|error| failed(error.to_string()))?.map_err(|error| failed(error.to_string()))?;
    Ok(Tagged { generation, answer: ([(CONTENT_TYPE, "application/toml")], text) })
}
