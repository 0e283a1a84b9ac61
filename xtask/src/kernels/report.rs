//! What a kernel has said, whether it is as expected, and the table of all.

use std::fmt;
use std::time::Duration;

use anyhow::Result;

use super::manifest::Kernel;
use super::qemu::Run;

/// What is expected of a kernel.
#[derive(Clone, Copy, Debug)]
pub enum Expected {
    /// It takes the programs.
    Loaded {
        /// So many verified instructions a program, at most.
        limit: u32,
    },
    /// It is refused, with a message that has this in it.
    Refused {
        /// Which kernels will do.
        naming: &'static str,
    },
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loaded { limit } => {
                write!(f, "takes the programs, each of up to {} verified instructions", grouped(*limit))
            }
            Self::Refused { naming } => write!(f, "is refused, naming {naming}"),
        }
    }
}

/// How the programs are loaded: the first process says these words.
const WAYS: [&str; 2] = ["plain", "logging"];

/// The programs of an object.
const PROGRAMS: [&str; 2] = ["dproxy", "dproxy_egress"];

/// What the first process has said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Findings {
    /// What `uname -r` says.
    release: Option<String>,
    /// Program, way, verified instructions.
    programs: Vec<(String, String, u32)>,
    /// Way and number of frames.
    frames: Vec<(String, u32)>,
    end: End,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum End {
    /// Nothing was said about it.
    #[default]
    Missing,
    Done,
    Refused(String),
    Failed(String),
}

impl Findings {
    /// From lines of words with tabs between them.
    fn parse(lines: &str) -> Result<Self, String> {
        let mut findings = Self::default();
        for line in lines.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
            findings.take(line).ok_or_else(|| format!("line {line:?} means nothing"))?;
        }
        Ok(findings)
    }

    fn take(&mut self, line: &str) -> Option<()> {
        let words: Vec<_> = line.split('\t').collect();
        match words[..] {
            ["kernel", release] => self.release = Some(release.to_owned()),
            ["program", name, way, verified] => {
                self.programs.push((name.to_owned(), way.to_owned(), verified.parse().ok()?));
            }
            ["frames", way, frames] => self.frames.push((way.to_owned(), frames.parse().ok()?)),
            ["end"] => self.end = End::Done,
            ["refused", why] => self.end = End::Refused(why.to_owned()),
            ["failed", why] => self.end = End::Failed(why.to_owned()),
            _ => return None,
        }
        Some(())
    }

    fn verified(&self, program: &str, way: &str) -> Option<u32> {
        let mut programs = self.programs.iter();
        programs.find(|(name, of, _)| name == program && of == way).map(|(_, _, verified)| *verified)
    }

    fn frames(&self, way: &str) -> Option<u32> {
        self.frames.iter().find(|(of, _)| of == way).map(|(_, frames)| *frames)
    }
}

impl Expected {
    /// What is not as expected, if anything.
    fn judge(&self, release: &str, findings: &Findings) -> Result<(), String> {
        match &findings.release {
            Some(booted) if booted == release => {}
            Some(other) => return Err(format!("it calls itself {other}")),
            None => return Err("the first process did not begin".to_owned()),
        }
        match (self, &findings.end) {
            (_, End::Missing) => Err("it ended, or was ended, before it was done".to_owned()),
            (_, End::Failed(why)) => Err(why.clone()),
            (Self::Refused { naming }, End::Refused(why)) if why.contains(naming) => Ok(()),
            (Self::Refused { naming }, End::Refused(why)) => {
                Err(format!("the refusal does not name {naming}: {why}"))
            }
            (Self::Refused { .. }, End::Done) => Err("it should have been refused".to_owned()),
            (Self::Loaded { .. }, End::Refused(why)) => Err(format!("refused: {why}")),
            (Self::Loaded { limit }, End::Done) => {
                WAYS.iter().try_for_each(|way| is_loaded(findings, way, *limit))
            }
        }
    }
}

/// Whether one of the ways is as expected.
fn is_loaded(findings: &Findings, way: &str, limit: u32) -> Result<(), String> {
    for program in PROGRAMS {
        match findings.verified(program, way) {
            Some(verified) if verified <= limit => {}
            Some(verified) => {
                let [verified, limit] = [verified, limit].map(grouped);
                return Err(format!(
                    "{way}: {program} has {verified} verified instructions, {limit} allowed"
                ));
            }
            None => return Err(format!("{way}: program {program} is not loaded")),
        }
    }
    match findings.frames(way) {
        Some(1..) => Ok(()),
        Some(0) | None => Err(format!("{way}: no frames were run")),
    }
}

/// What came of a kernel.
pub struct Verdict {
    release: String,
    expected: Expected,
    findings: Findings,
    judged: Result<(), String>,
    console: Vec<String>,
    duration: Duration,
}

impl Verdict {
    /// Of a boot, or why there was none.
    pub fn of(kernel: &Kernel, expected: &Expected, run: Result<Run>) -> Self {
        let mut verdict = Self {
            release: kernel.release.clone(),
            expected: *expected,
            findings: Findings::default(),
            judged: Ok(()),
            console: Vec::new(),
            duration: Duration::ZERO,
        };
        verdict.judged = run.map_err(|error| format!("{error:#}")).and_then(|run| {
            verdict.duration = run.duration;
            verdict.console = run.console;
            verdict.findings = Findings::parse(&run.lines)?;
            let judged = expected.judge(&kernel.release, &verdict.findings);
            let over = |why| format!("{why}; it hung for {} s and was ended", run.duration.as_secs());
            if run.ended { judged } else { judged.map_err(over) }
        });
        verdict
    }

    /// Is the kernel as expected?
    pub fn is_as_expected(&self) -> bool {
        self.judged.is_ok()
    }

    fn result(&self) -> String {
        match (&self.judged, &self.expected) {
            (Ok(()), Expected::Loaded { .. }) => "ok".to_owned(),
            (Ok(()), Expected::Refused { .. }) => "refused as it should be".to_owned(),
            (Err(_), _) => "NOT AS EXPECTED".to_owned(),
        }
    }

    /// A row for each program, or one if there are none.
    fn rows(&self) -> Vec<[String; COLUMNS]> {
        let or_none = |number: Option<u32>| number.map_or_else(|| "-".to_owned(), grouped);
        let limit = match self.expected {
            Expected::Loaded { limit, .. } => grouped(limit),
            Expected::Refused { .. } => "-".to_owned(),
        };
        let frames: u32 = self.findings.frames.iter().map(|(_, frames)| frames).sum();
        let row = |kernel: String, program: &str, result: String| {
            let verified = WAYS.map(|way| or_none(self.findings.verified(program, way)));
            let frames = if program == PROGRAMS[0] { grouped(frames) } else { "-".to_owned() };
            let [plain, logging] = verified;
            [kernel, program.to_owned(), plain, logging, limit.clone(), frames, result]
        };
        let first = row(self.release.clone(), PROGRAMS[0], self.result());
        if self.findings.programs.is_empty() {
            return vec![first];
        }
        vec![first, row(String::new(), PROGRAMS[1], String::new())]
    }
}

/// When it is known.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({} s)", self.release, self.result(), self.duration.as_secs())?;
        if let End::Refused(why) = &self.findings.end {
            write!(f, "\n  it was told: {why}")?;
        }
        if let Err(why) = &self.judged {
            write!(f, "\n  expected: it {}\n  but: {why}\n  the end of its console:", self.expected)?;
            self.console.iter().try_for_each(|line| write!(f, "\n    {line}"))?;
        }
        Ok(())
    }
}

const COLUMNS: usize = 7;

const HEAD: [&str; COLUMNS] = ["kernel", "program", "verified", "logging", "limit", "frames", "result"];

/// The columns with numbers, which are flush right.
const NUMBERS: std::ops::Range<usize> = 2..6;

/// All kernels, one below the other.
pub fn table(verdicts: &[Verdict]) -> String {
    let head = HEAD.map(str::to_owned);
    let rows: Vec<_> = [head].into_iter().chain(verdicts.iter().flat_map(Verdict::rows)).collect();
    let widths: [usize; COLUMNS] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].len()).max().unwrap_or(0));
    let cell = |(column, text): (usize, &String)| match NUMBERS.contains(&column) {
        true => format!("{text:>width$}", width = widths[column]),
        false => format!("{text:width$}", width = widths[column]),
    };
    let line = |row: &[String; COLUMNS]| row.iter().enumerate().map(cell).collect::<Vec<_>>().join("  ");
    rows.iter().map(|row| format!("{}\n", line(row).trim_end())).collect()
}

/// A number with commas.
fn grouped(number: u32) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests;
