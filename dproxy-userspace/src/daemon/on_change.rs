//! Commands that are run for each event: one at a time, so that they come in order, and none for longer than it may.

use std::process::Stdio;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tracing::{debug, error};

use super::Instructions;
use crate::api::Event;

/// Runs a command for each event, as instructed at that time.
pub(super) async fn run_commands(
    mut events: mpsc::Receiver<Event>,
    instructions: watch::Receiver<Instructions>,
) {
    while let Some(event) = events.recv().await {
        let Instructions { command, patience, .. } = instructions.borrow().clone();
        if let Some((path, arguments)) = command.split_first() {
            match timeout(patience, run(path, arguments, &event)).await {
                Ok(Ok(())) => debug!("{path} has been told of event {}", event.id),
                Ok(Err(why)) => error!("health.on_change: {path} failed for event {}: {why}", event.id),
                Err(_) => error!(
                    "health.on_change: {path} was killed: it took longer than {} ms for event {}",
                    patience.as_millis(),
                    event.id
                ),
            }
        }
    }
}

async fn run(path: &str, arguments: &[String], event: &Event) -> Result<(), String> {
    let Event { id, kind, pool, backend, text, .. } = event;
    let mut child = Command::new(path)
        .args(arguments)
        .env("DPROXY_EVENT", kind)
        .env("DPROXY_EVENT_ID", id.to_string())
        .env("DPROXY_POOL", pool.as_deref().unwrap_or_default())
        .env("DPROXY_BACKEND", backend.map(|backend| backend.to_string()).unwrap_or_default())
        .env("DPROXY_TEXT", text)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| error.to_string())?;
    if let Some(mut stdin) = child.stdin.take() {
        let line = serde_json::to_string(event).map_err(|error| error.to_string())?;
        // One that does not read it need not.
        let _ = stdin.write_all(format!("{line}\n").as_bytes()).await;
    }
    match child.wait().await {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(status.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::{Duration, Instant};

    use super::*;

    fn event(id: u64) -> Event {
        Event {
            id,
            at: "2026-01-01T00:00:00Z".to_owned(),
            kind: "backend-down".to_owned(),
            pool: Some("a".to_owned()),
            backend: Some("192.0.2.1:53".parse().unwrap()),
            text: "why".to_owned(),
        }
    }

    #[tokio::test]
    async fn a_command_is_told_in_order_and_killed_when_its_time_is_up() {
        let folder = tempfile::tempdir().unwrap();
        let told = folder.path().join("told");
        let script = format!(
            "echo \"$DPROXY_EVENT_ID $DPROXY_EVENT $DPROXY_POOL $DPROXY_BACKEND $DPROXY_TEXT\" >> {0}; cat >> {0}; \
             [ $DPROXY_EVENT_ID = 2 ] && exec sleep 60; exit 1",
            told.display()
        );
        let instructions = Instructions {
            command: ["/bin/sh", "-c", &script].map(str::to_owned).to_vec(),
            patience: Duration::from_millis(500),
            endpoint: None,
        };
        let (_keep, instructions) = watch::channel(instructions);
        let (sender, receiver) = mpsc::channel(9);
        for id in 1..=3 {
            sender.try_send(event(id)).unwrap();
        }
        drop(sender);
        let begin = Instant::now();
        run_commands(receiver, instructions).await;
        assert!(begin.elapsed() < Duration::from_secs(30), "the second one was killed");
        let lines: Vec<String> = fs::read_to_string(told).unwrap().lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), 6);
        assert_eq!(lines[0], "1 backend-down a 192.0.2.1:53 why");
        assert_eq!(serde_json::from_str::<Event>(&lines[5]).unwrap(), event(3));
    }
}
