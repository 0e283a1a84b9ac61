//! Does the configuration file still say what runs?

use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

use tokio::task::spawn_blocking;
use tracing::warn;

use super::{Engine, Handle};
use crate::config::{Change, Config};

/// A file as it was when it was compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Compared {
    version: Option<Version>,
    differs: bool,
}

/// When a file was written, and how long it is. Files that it includes are not looked at.
type Version = (SystemTime, u64);

impl Engine {
    /// Does the file say something else than what was applied? As far as it is known.
    pub(super) fn file_differs(&self) -> Option<bool> {
        let compared = self.life.compared.as_ref()?;
        Some(compared.differs || compared.version != version(&self.life.config_file))
    }

    /// The file was read just now, and says what runs.
    pub(super) fn note_applied_file(&mut self) {
        self.life.compared = Some(Compared { version: version(&self.life.config_file), differs: false });
    }
}

impl Handle {
    /// Compares the file once more, since something else runs by now. Nobody has to wait for that.
    pub(super) fn compare_file_again(&self) {
        let handle = self.clone();
        tokio::spawn(async move { handle.compare_file().await });
    }

    /// Compares the file with what runs, and tells the log if they differ.
    pub(super) async fn compare_file(&self) {
        let Ok(file) = self.look(|engine| engine.life.config_file.clone()).await else { return };
        let path = PathBuf::from(&file);
        let Ok((version, loaded)) = spawn_blocking(move || (version(&path), Config::load(&path))).await
        else {
            return;
        };
        let is_valid = loaded.is_ok();
        let differs = self
            .change(move |engine| {
                let differs = match &loaded {
                    Ok(config) => !Change::between(&engine.config, config).is_empty(),
                    Err(_) => true,
                };
                engine.life.compared = Some(Compared { version, differs });
                differs
            })
            .await;
        match (differs, is_valid) {
            (Ok(true), true) => {
                warn!("{file} is not what runs: `dproxy plan` shows the difference, `dproxy apply` ends it");
            }
            (Ok(true), false) => {
                warn!("{file} is not what runs, and not valid: `dproxy check` shows what is wrong with it");
            }
            (Ok(false) | Err(_), _) => {}
        }
    }
}

fn version(path: impl AsRef<std::path::Path>) -> Option<Version> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}
