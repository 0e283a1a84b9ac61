//! Counts tests, from what libtest prints.

use std::fmt;

/// How many tests passed, failed and were skipped.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Ran, and held.
    pub passed: usize,
    /// Ran, and did not.
    pub failed: usize,
    /// Could not run, or are marked as ignored.
    pub skipped: usize,
    /// Names and reasons of those skipped.
    pub skips: Vec<String>,
    /// Names of those that failed.
    pub failures: Vec<String>,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

impl Tally {
    /// Counts what one or more test binaries have printed.
    ///
    /// A binary that announces its tests and gives no result was killed, which counts as a failed test.
    pub fn parse(output: &str) -> Self {
        let mut tally = Self::default();
        // In a binary that has given no result so far: the test that has not ended, if it is known.
        let mut running = None;
        for line in output.lines() {
            if line.starts_with("running ") && (line.ends_with(" test") || line.ends_with(" tests")) {
                tally.killed(running.replace("unknown"));
            } else if let Some(result) = line.strip_prefix("test result: ") {
                running = None;
                tally.passed += count(result, "passed");
                tally.failed += count(result, "failed");
                tally.skipped += count(result, "ignored");
            } else if let Some((name, outcome)) =
                line.strip_prefix("test ").and_then(|line| line.rsplit_once(" ... "))
            {
                running = running.map(|_| if outcome.is_empty() { name } else { "unknown" });
                tally.name(name, outcome);
            }
        }
        tally.killed(running);
        tally
    }

    /// Takes the tests that have found that they cannot run out of those that passed.
    pub fn skip(&mut self, log: &str) {
        for line in log.lines() {
            self.passed = self.passed.saturating_sub(1);
            self.skipped += 1;
            self.skips.push(line.strip_prefix("skipped: ").unwrap_or(line).to_owned());
        }
    }

    /// A run that failed has at least one failure, whether or not a test has told of it.
    pub fn blame(&mut self, success: bool) {
        if !success && self.failed == 0 {
            self.failed = 1;
            self.failures.push("cargo itself: its messages are above".into());
        }
    }

    /// Adds the counts of another, not the names.
    pub fn add(&mut self, other: &Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }

    fn killed(&mut self, running: Option<&str>) {
        if let Some(name) = running {
            self.failed += 1;
            self.failures.push(format!("{name}: its test binary was killed"));
        }
    }

    fn name(&mut self, name: &str, outcome: &str) {
        if outcome == "FAILED" {
            self.failures.push(name.to_owned());
        } else if let Some(reason) = outcome.strip_prefix("ignored") {
            let reason = reason.strip_prefix(", ").unwrap_or("marked as ignored");
            self.skips.push(format!("{name} : {reason}"));
        }
    }
}

/// The number before `what` in `ok. 3 passed; 0 failed; …`.
fn count(result: &str, what: &str) -> usize {
    let mut words = result.split([' ', ';']).filter(|word| !word.is_empty());
    let mut before = "";
    words
        .find_map(|word| {
            if word == what {
                before.parse().ok()
            } else {
                before = word;
                None
            }
        })
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO_BINARIES: &str = "
running 3 tests
test parse::short ... ok
test parse::long ... FAILED
test parse::slow ... ignored, takes an hour

failures:

---- parse::long stdout ----
thread 'parse::long' panicked

failures:
    parse::long

test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s


running 12 tests
............
test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 2 filtered out; finished in 1.20s
";

    #[test]
    fn results_of_all_binaries_are_added() {
        let tally = Tally::parse(TWO_BINARIES);
        assert_eq!(tally.to_string(), "13 passed, 1 failed, 1 skipped");
        assert_eq!(tally.failures, ["parse::long"]);
        assert_eq!(tally.skips, ["parse::slow : takes an hour"]);
    }

    #[test]
    fn a_test_that_could_not_run_has_not_passed() {
        let mut tally = Tally::parse(TWO_BINARIES);
        tally.skip("skipped: netns::vlan : no 8021q in this kernel\n");
        assert_eq!(tally.to_string(), "12 passed, 1 failed, 2 skipped");
        assert_eq!(tally.skips[1], "netns::vlan : no 8021q in this kernel");
    }

    #[test]
    fn a_killed_binary_is_a_failure() {
        let tally = Tally::parse(
            "running 2 tests\ntest one ... ok\ntest two ... \nrunning 1 test\ntest result: ok. 1 passed; 0 failed;\n",
        );
        assert_eq!(tally.to_string(), "1 passed, 1 failed, 0 skipped");
        assert_eq!(tally.failures, ["two: its test binary was killed"]);
        assert_eq!(Tally::parse("running 1 test\n").failed, 1);
    }

    #[test]
    fn a_failed_run_without_a_failed_test_is_a_failure() {
        let mut tally = Tally::default();
        tally.blame(true);
        assert_eq!(tally.failed, 0);
        tally.blame(false);
        assert_eq!(tally.failed, 1);
    }

    #[test]
    fn tallies_add_up() {
        let mut total = Tally::parse(TWO_BINARIES);
        total.add(&Tally::parse(TWO_BINARIES));
        assert_eq!(total.to_string(), "26 passed, 2 failed, 2 skipped");
    }
}
