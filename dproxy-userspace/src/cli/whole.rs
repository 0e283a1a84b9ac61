//! Changes of the whole configuration.

use std::path::{Path, PathBuf};

use axum::http::Method;
use serde_json::json;

use super::args::{Apply, Editing, Format, Rollback, WholeFile};
use super::remote::{done, output};
use super::{Failure, show};
use crate::api::{self, Client, query};
use crate::config::{Config, duration_text};

/// `dproxy plan`.
pub(super) async fn plan(client: &Client, arguments: WholeFile) -> Result<(), Failure> {
    let WholeFile { config, format } = arguments;
    let text = config.as_deref().map(in_toml).transpose()?.unwrap_or_default();
    let mut plan: api::Plan = client.send_toml("/v1/plan", text).await?;
    name_source(&mut plan, config);
    output(&format, &plan, show::plan)
}

/// `dproxy apply`.
pub(super) async fn apply(client: &Client, arguments: Apply) -> Result<(), Failure> {
    let Apply { config, confirm, discard_edits, editing } = arguments;
    let text = config.as_deref().map(in_toml).transpose()?.unwrap_or_default();
    let confirm = confirm.map(duration_text);
    let path = query(
        "/v1/apply",
        &[("confirm", confirm.as_deref()), ("discard_edits", discard_edits.then_some("true"))],
    );
    let mut applied: api::Applied = client.made_for(editing.generation).send_toml(&path, text).await?;
    name_source(&mut applied.plan, config);
    output(&editing.format, &applied, show::applied)
}

/// `dproxy confirm`.
pub(super) async fn confirm(client: &Client, editing: &Editing) -> Result<(), Failure> {
    let client = client.made_for(editing.generation);
    let edited = client.send(Method::POST, "/v1/confirm", &json!({})).await?;
    done(&editing.format, &edited, "confirmed")
}

/// `dproxy rollback`.
pub(super) async fn rollback(client: &Client, arguments: Rollback) -> Result<(), Failure> {
    let Rollback { to, editing } = arguments;
    let client = client.made_for(editing.generation);
    let wanted = api::Rollback { generation: to };
    let applied: api::Applied = client.send(Method::POST, "/v1/rollback", &wanted).await?;
    output(&editing.format, &applied, show::applied)
}

/// `dproxy history`.
pub(super) async fn history(client: &Client, format: &Format) -> Result<(), Failure> {
    let history: api::History = client.get("/v1/generations").await?;
    output(format, &history, show::history)
}

/// A file as the daemon is sent it. It is read and checked here: the daemon may not be allowed to, or be on
/// another host, and errors are those of the file as it was named.
fn in_toml(file: &Path) -> Result<String, Failure> {
    let config = Config::load(file)?;
    toml::to_string(&config)
        .map_err(|error| Failure::Unwritable { file: file.display().to_string(), error: error.to_string() })
}

/// To the daemon, a file of ours is a request as any other.
fn name_source(plan: &mut api::Plan, file: Option<PathBuf>) {
    if let Some(file) = file {
        plan.source = file.display().to_string();
    }
}
