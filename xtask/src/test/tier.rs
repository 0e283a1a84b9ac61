//! The tiers of tests, and how one is run.

use std::io::{Read, Write, stdout};
use std::process::Stdio;
use std::{fs, io};

use anyhow::{Context, Result};

use super::tally::Tally;
use crate::build::beside_us;
use crate::{shell, workspace};

/// Integration tests of the package `dproxy-tests` whose names begin so are tier 2.
const NETWORK_PREFIX: &str = "netns";

/// Tests that are run, counted and timed together.
pub struct Tier {
    /// What it is called in the report.
    pub title: &'static str,
    /// Which tests cargo takes.
    pub selection: Vec<String>,
    /// One test at a time, since all of them use the same kernel.
    one_at_a_time: bool,
}

/// Tests that run anywhere.
pub fn host() -> Tier {
    let selection = ["--workspace", "--exclude", "dproxy-tests", "--exclude", "dproxy-ebpf"];
    Tier { title: "tier 0 (host)", selection: selection.map(String::from).into(), one_at_a_time: false }
}

/// All tiers.
pub fn all() -> Result<Vec<Tier>> {
    let (network, kernel): (Vec<_>, Vec<_>) =
        integration_tests()?.into_iter().partition(|name| name.starts_with(NETWORK_PREFIX));
    let mut tiers = vec![host(), kernel_tier("tier 1 (kernel)", &["--lib"], &kernel)];
    if !network.is_empty() {
        tiers.push(kernel_tier("tier 2 (network)", &[], &network));
    }
    Ok(tiers)
}

/// A tier out of the package `dproxy-tests`; cargo runs one test binary after another.
fn kernel_tier(title: &'static str, options: &[&str], names: &[String]) -> Tier {
    let tests = names.iter().flat_map(|name| ["--test", name]);
    let selection = ["--package", "dproxy-tests"].into_iter().chain(options.iter().copied()).chain(tests);
    Tier { title, selection: selection.map(String::from).collect(), one_at_a_time: true }
}

/// Where cargo, too, looks for them: `tests/NAME.rs` and `tests/NAME/main.rs`.
fn integration_tests() -> Result<Vec<String>> {
    let folder = workspace().join("tests/tests");
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rs") || path.join("main.rs").is_file() {
            names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
        }
    }
    names.sort();
    Ok(names)
}

impl Tier {
    /// Runs all its tests, also when some fail.
    pub fn run(&self, filters: &[String]) -> Result<Tally> {
        // A test that finds that it cannot run appends a line `skipped: NAME : REASON` here.
        let skip_log = beside_us("skipped-tests.log")?;
        fs::write(&skip_log, "").with_context(|| format!("cannot write {}", skip_log.display()))?;

        let mut cargo = shell::cargo(&["test", "--no-fail-fast"]);
        cargo.args(&self.selection).arg("--").args(filters).env("DPROXY_SKIP_LOG", &skip_log);
        if self.one_at_a_time {
            cargo.arg("--test-threads=1");
        }
        let mut child = cargo.stdout(Stdio::piped()).spawn().context("cannot start cargo")?;
        let output = child.stdout.take().map(show_and_keep).transpose().context("cannot read from cargo")?;
        let status = child.wait().context("cannot wait for cargo")?;

        let mut tally = Tally::parse(&output.unwrap_or_default());
        tally.skip(&fs::read_to_string(&skip_log).unwrap_or_default());
        tally.blame(status.success());
        Ok(tally)
    }
}

/// Shows what is written at once: a test that hangs is known by its name.
fn show_and_keep(mut source: impl Read) -> io::Result<String> {
    let (mut kept, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let read = source.read(&mut buffer)?;
        if read == 0 {
            return Ok(String::from_utf8_lossy(&kept).into_owned());
        }
        stdout().write_all(&buffer[..read])?;
        stdout().flush()?;
        kept.extend_from_slice(&buffer[..read]);
    }
}
