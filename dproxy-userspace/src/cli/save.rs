//! `dproxy save`.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::args::Save;
use super::style::printable;
use super::{Failure, print, print_text};
use crate::api::{Client, Status};
use crate::config::Config;

/// What errors call the configuration that the daemon sends.
const RUNNING: &str = "what runs";

/// Writes what runs into the file.
pub(super) async fn save(client: &Client, arguments: Save) -> Result<(), Failure> {
    let Save { config: file, stdout } = arguments;
    let status: Status = client.get("/v1/status").await?;
    let running = client.get_text("/v1/configuration").await?;
    let running = Config::parse(&String::from_utf8_lossy(&running), RUNNING)?;
    let file = file.unwrap_or_else(|| PathBuf::from(status.config));
    let text = rewritten(&file, &running)?;
    if stdout {
        return print_text(&text);
    }
    let failed = |error| Failure::Write { file: file.display().to_string(), error };
    replace(&file, &text).map_err(failed)?;
    let saved = format!("{} has what runs (generation {})", file.display(), status.generation);
    print(&[printable(&saved)])
}

/// The text of the file with as little changed as makes it say what runs.
fn rewritten(file: &Path, _running: &Config) -> Result<String, Failure> {
    // LEAD: a function of `config`.
    let error = io::Error::other("not built yet");
    Err(Failure::Write { file: file.display().to_string(), error })
}

/// Replaces a file, or leaves it as it is: nobody ever sees half of it. What leads there by a link still does.
fn replace(file: &Path, text: &str) -> io::Result<()> {
    let file = fs::canonicalize(file)?;
    let mut draft = file.clone().into_os_string();
    draft.push(".new");
    let written = write(Path::new(&draft), text, fs::metadata(&file)?.permissions())
        .and_then(|()| fs::rename(&draft, &file));
    if written.is_err() {
        // It is the first error that matters.
        let _ = fs::remove_file(&draft);
    }
    written
}

fn write(path: &Path, text: &str, permissions: fs::Permissions) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
    file.set_permissions(permissions)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_file_is_replaced_and_keeps_its_mode_and_its_links() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("f.toml"), folder.path().join("link.toml"));
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        symlink(&file, &link).unwrap();
        replace(&link, "new").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "and no draft is left");
        assert!(replace(&folder.path().join("no.toml"), "x").is_err());
    }
}
