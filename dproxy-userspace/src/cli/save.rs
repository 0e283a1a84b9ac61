//! `dproxy save`.

use std::path::PathBuf;

use super::args::Save;
use super::style::printable;
use super::{Failure, print, print_text};
use crate::api::{Applied, Client, Status};
use crate::config::{Config, write_files};

/// What errors call the configuration that the daemon sends.
const RUNNING: &str = "what runs";

/// Writes what runs into the file, and those that it includes.
pub(super) async fn save(client: &Client, arguments: Save) -> Result<(), Failure> {
    let Save { config, stdout } = arguments;
    let status: Status = client.get("/v1/status").await?;
    let running = client.get_text("/v1/configuration").await?;
    let running = Config::parse(&String::from_utf8_lossy(&running), RUNNING)?;
    let file = config.unwrap_or_else(|| PathBuf::from(&status.config));
    let rewrites = running.rewrites(&file)?;
    if stdout {
        let text = rewrites.iter().map(|rewrite| format!("# {}\n{}", rewrite.path.display(), rewrite.text));
        return print_text(&text.collect::<String>());
    }
    write_files(&rewrites)?;
    if file.as_os_str() == status.config.as_str() {
        // From now on, the edits are no more than what the file says, unless there was another one meanwhile.
        let client = client.made_for(Some(status.generation));
        client.send_toml::<Applied>("/v1/apply", String::new()).await?;
    }
    let written = rewrites.iter().map(|rewrite| printable(&format!("{} written", rewrite.path.display())));
    let mut lines: Vec<String> = written.collect();
    if lines.is_empty() {
        lines.push(printable(&format!("{} has what runs already", file.display())));
    }
    print(&lines)
}
