//! The arguments of what is done in this process.

use std::env;
use std::path::PathBuf;

use clap::Args;
use tracing_subscriber::EnvFilter;

use super::ConfigFile;
use crate::cli::log::LogFormat;

#[derive(Debug, Args)]
pub(in crate::cli) struct Run {
    #[command(flatten)]
    pub(in crate::cli) file: ConfigFile,
    /// What to log: error, warn, info, debug or trace, or directives such as
    /// info,dproxy_userspace::network=debug
    #[arg(long, env = "DPROXY_LOG", hide_env = true, default_value = "info", value_parser = directives)]
    pub(in crate::cli) log: String,
    /// What a line of the log looks like
    #[arg(long, env = "DPROXY_LOG_FORMAT", hide_env = true, value_name = "FORMAT", default_value = "auto")]
    pub(in crate::cli) log_format: LogFormat,
    /// The folder that keeps what runs, from one start to the next [default: $STATE_DIRECTORY, or else
    /// /var/lib/dproxy]
    #[arg(long, env = "DPROXY_STATE", hide_env = true, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Begin with the configuration file, whatever ran before
    #[arg(long)]
    pub(in crate::cli) from_file: bool,
}

impl Run {
    /// The folder that keeps what runs. systemd names it (systemd.exec(5), `StateDirectory=`); of several, the
    /// first is meant.
    pub(in crate::cli) fn state(&self) -> PathBuf {
        let of_systemd = || {
            let folders = env::var("STATE_DIRECTORY").ok()?;
            folders.split(':').next().filter(|folder| !folder.is_empty()).map(PathBuf::from)
        };
        self.state.clone().or_else(of_systemd).unwrap_or_else(|| "/var/lib/dproxy".into())
    }
}

fn directives(text: &str) -> Result<String, String> {
    EnvFilter::try_new(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Detach {
    /// Folder of the pins [default: control.bpffs of the configuration]
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) bpffs: Option<PathBuf>,
    /// The configuration file [default: /etc/dproxy/dproxy.toml, if there is one]
    #[arg(long, value_name = "FILE", conflicts_with = "bpffs")]
    pub(in crate::cli) config: Option<PathBuf>,
}
