//! Does the configuration file still say what runs?

use std::path::PathBuf;

use tokio::task::spawn_blocking;
use tracing::warn;

use super::{Engine, Handle};
use crate::config::{Change, Config, Files};

/// The file, and those that it includes, as they were when they were compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Compared {
    files: Files,
    differs: bool,
}

impl Engine {
    /// Does the file say something else than what was applied? As far as it is known.
    pub(super) fn file_differs(&self) -> Option<bool> {
        let compared = self.life.compared.as_ref()?;
        Some(compared.differs || !compared.files.are_the_same())
    }

    /// What runs is what these said when they were read.
    pub(super) fn note_applied_file(&mut self, files: Files) {
        self.life.compared = Some(Compared { files, differs: false });
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
        let Ok((loaded, files)) = spawn_blocking(move || Config::load_with_files(&path)).await else {
            return;
        };
        let is_valid = loaded.is_ok();
        let differs = self
            .change(move |engine| {
                let differs = match &loaded {
                    Ok(config) => !Change::between(&engine.config, config).is_empty(),
                    Err(_) => true,
                };
                engine.life.compared = Some(Compared { files, differs });
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

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::config::Config;
    use crate::daemon::fake;
    use crate::daemon::{Apply, Who};

    #[tokio::test]
    async fn what_is_applied_is_what_was_read() {
        let folder = tempfile::tempdir().unwrap();
        let (main, included) = (folder.path().join("main.toml"), folder.path().join("a.routes"));
        fs::write(&main, format!("include = [\"*.routes\"]\n{}", fake::CONFIG)).unwrap();
        fs::write(&included, "one.example drop\n").unwrap();
        let (mut engine, ..) = fake::engine().await;
        engine.life.config_file = main.display().to_string();
        assert_eq!(engine.file_differs(), None);

        let (_, files) = Config::load_with_files(&main);
        fs::write(&included, "another.example drop\n").unwrap();
        engine.note_applied_file(files);
        assert_eq!(engine.file_differs(), Some(true), "it was written to in between");

        fake::beside(engine, async |handle| {
            let differs = async || handle.look(|engine| engine.file_differs()).await.unwrap();
            let apply = || Apply { who: Who::Signal, generation: None, confirm: None, discard_edits: false };
            handle.apply(None, apply()).await.unwrap();
            assert_eq!(differs().await, Some(false));
            fs::write(folder.path().join("b.routes"), "").unwrap();
            assert_eq!(differs().await, Some(true), "include finds another one");
            handle.apply(None, apply()).await.unwrap();
            assert_eq!(differs().await, Some(false));
        })
        .await;
    }
}
