//! Runs programs.

use std::convert::Infallible;
use std::env;
use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::workspace;

/// Cargo, in the folder of the workspace.
pub fn cargo(arguments: &[&str]) -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or("cargo".into()));
    cargo.current_dir(workspace()).args(arguments);
    cargo
}

/// Prints the command, runs it, and fails when it does.
pub fn run(command: &mut Command) -> Result<()> {
    let line = line(command);
    println!("+ {line}");
    let status = command.status().with_context(|| format!("cannot start `{line}`"))?;
    ensure!(status.success(), "`{line}` failed ({status}); its messages are above");
    Ok(())
}

/// Becomes the command.
pub fn exec(command: &mut Command) -> Result<Infallible> {
    Err(command.exec()).with_context(|| format!("cannot start `{}`", line(command)))
}

/// What it prints on stdout; `None` when it cannot be started or fails.
pub fn output(program: &str, arguments: &[&str]) -> Option<String> {
    // Messages are read: keep them English.
    let output = Command::new(program).args(arguments).env("LC_ALL", "C").output().ok()?;
    String::from_utf8(output.stdout).ok().filter(|_| output.status.success())
}

/// The command as one would type it.
fn line(command: &Command) -> String {
    let environment = command
        .get_envs()
        .filter_map(|(name, value)| Some(format!("{}={}", name.to_string_lossy(), word(value?))));
    // Where cargo is, is of no interest.
    let program = command.get_program();
    let program =
        if Some(program) == env::var_os("CARGO").as_deref() { OsStr::new("cargo") } else { program };
    let words = [program].into_iter().chain(command.get_args()).map(word);
    environment.chain(words).collect::<Vec<_>>().join(" ")
}

fn word(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_alphanumeric() || "-_./=:,+@%".contains(c);
    if word.chars().all(plain) && !word.is_empty() { word.into_owned() } else { format!("'{word}'") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_one_would_type_it() {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").env_remove("HOME").args([
            "install",
            "-y",
            "two words",
        ]);
        assert_eq!(line(&command), "DEBIAN_FRONTEND=noninteractive apt-get install -y 'two words'");
    }
}
