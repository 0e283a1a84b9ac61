//! `dproxy save`.

use std::path::PathBuf;

use super::args::Save;
use super::style::printable;
use super::{Failure, print, print_text};
use crate::api::{Applied, Client, Status, Unconfirmed};
use crate::config::{Config, write_files};

/// What errors call the configuration that the daemon sends.
const RUNNING: &str = "what runs";

/// Writes what runs into the file, and those that it includes.
pub(super) async fn save(client: &Client, arguments: Save) -> Result<(), Failure> {
    let Save { config, stdout } = arguments;
    let (generation, running) = client.get_text("/v1/configuration").await?;
    let status: Status = client.get("/v1/status").await?;
    is_to_stay(generation, &status)?;
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
        let client = client.made_for(Some(generation));
        client.send_toml::<Applied>("/v1/apply", String::new()).await?;
    }
    let written = rewrites.iter().map(|rewrite| printable(&format!("{} written", rewrite.path.display())));
    let mut lines: Vec<String> = written.collect();
    if lines.is_empty() {
        lines.push(printable(&format!("{} has what runs already", file.display())));
    }
    print(&lines)
}

/// A generation goes into the file only if it does not go away by itself. `status` came after it: of another
/// generation, it does not say that of this one.
fn is_to_stay(generation: u64, status: &Status) -> Result<(), Failure> {
    match &status.unconfirmed {
        Some(Unconfirmed { generation, until, .. }) => {
            Err(Failure::Unconfirmed { generation: *generation, until: until.clone() })
        }
        None if status.generation != generation => Err(Failure::Overtaken(generation)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn status(unconfirmed: Value) -> Status {
        let json = json!({
            "version": "0.1.0", "process": 4711, "since": "2026-05-01T12:00:03Z", "uptime_seconds": 1,
            "config": "/etc/dproxy/dproxy.toml", "live_edits": 0, "generation": 3, "routes": 0, "interfaces": [],
            "listeners": [], "pools": [], "queries_per_second": null, "warnings": [], "unconfirmed": unconfirmed,
        });
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn only_what_stays_is_saved() {
        let quiet = status(Value::Null);
        assert!(is_to_stay(3, &quiet).is_ok());
        assert_eq!(
            is_to_stay(2, &quiet).unwrap_err().to_string(),
            "generation 2 was no longer in force when it had been read; nothing was written, try again"
        );
        let until = "2026-05-01T12:10:03Z";
        let waiting = status(json!({"generation": 3, "until": until, "seconds_left": 600, "back_to": 2}));
        assert_eq!(
            is_to_stay(3, &waiting).unwrap_err().to_string(),
            "generation 3 waits for its confirmation until 2026-05-01T12:10:03Z, and may be taken back; nothing was \
             written\n    allowed: `dproxy save` after `dproxy confirm` or `dproxy rollback`"
        );
    }
}
