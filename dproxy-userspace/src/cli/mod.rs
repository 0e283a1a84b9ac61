//! The command line: `dproxy <verb>`.

mod args;
mod events;
mod import;
mod local;
mod log;
mod remote;
mod save;
mod show;
mod style;
mod table;
mod watch;
mod whole;

use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use clap::Parser;

use crate::api::ClientError;
use crate::config::{ConfigError, SaveError};
use crate::control::CompileError;
use crate::daemon::RunError;
use crate::datapath::DatapathError;
use crate::import::ImportError;
use args::{Arguments, Command, Import};

/// Does what the command line says. Exit status: 0 done, 1 refused or failed, 2 usage.
pub fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // There is nobody left to tell if this fails.
            let _ = writeln!(io::stderr(), "{}", error.message());
            ExitCode::FAILURE
        }
    }
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Save(#[from] SaveError),
    #[error(transparent)]
    Compile(#[from] CompileError),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Datapath(#[from] DatapathError),
    #[error(transparent)]
    Import(#[from] ImportError),
    #[error("cannot read this host's addresses: {0}; name them with --listen and --interface")]
    Addresses(#[source] io::Error),
    #[error("{file} is there already\n    allowed: another file, or --force to replace it")]
    Exists { file: String },
    #[error("{file} cannot be sent: {error}")]
    Unwritable { file: String, error: String },
    #[error(
        "generation {generation} waits for its confirmation until {until}, and may be taken back; nothing was \
         written\n    allowed: `dproxy save` after `dproxy confirm` or `dproxy rollback`"
    )]
    Unconfirmed { generation: u64, until: String },
    #[error("generation {0} was no longer in force when it had been read; nothing was written, try again")]
    Overtaken(u64),
    #[error("cannot write {file}: {error}")]
    Write { file: String, error: io::Error },
    #[error("cannot print: {0}")]
    Output(#[source] io::Error),
    #[error("cannot start: {0}")]
    Start(#[source] io::Error),
}

impl Failure {
    /// What to print. Problems of a file stand at the front of the line with their place, as editors
    /// expect them.
    fn message(&self) -> String {
        let text = style::printable_lines(&self.to_string());
        match self {
            Self::Config(_) | Self::Run(RunError::Config(_)) | Self::Import(_) => text,
            Self::Compile(_)
            | Self::Save(_)
            | Self::Run(_)
            | Self::Client(_)
            | Self::Datapath(_)
            | Self::Unwritable { .. }
            | Self::Addresses(_)
            | Self::Exists { .. }
            | Self::Unconfirmed { .. }
            | Self::Overtaken(_)
            | Self::Write { .. }
            | Self::Output(_)
            | Self::Start(_) => format!("dproxy: {text}"),
        }
    }
}

fn run(arguments: Arguments) -> Result<(), Failure> {
    let Arguments { socket, command } = arguments;
    match command {
        Command::Run(run) => local::run(&run, socket.as_deref()),
        Command::Check(file) => local::check(&file.config),
        Command::Detach(detach) => local::detach(&detach),
        Command::Import(Import::Dproxy(import)) => import::dproxy(&import),
        Command::Remote(command) => remote::run(command, socket),
    }
}

/// Prints lines to standard output. Nobody has to read all of them.
fn print(lines: &[String]) -> Result<(), Failure> {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    print_text(&text)
}

fn print_text(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::Output(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}
