//! The configuration: a file, and one with all routes that it includes.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::chain::{BACKEND, INTERFACES, LISTENER};

/// So many routes there are, one after the other.
pub const SIZES: [usize; 3] = [1_000, 131_072, MOST];
/// So many there are at most.
pub const MOST: usize = 1_000_000;
/// So many are changed, when few are.
pub const CHANGED: usize = 10;

/// Who is asked.
pub const POOL: &str = "bench";
/// Instead of being asked.
pub const ANSWER: &str = "nxdomain";

/// The included file.
#[derive(Debug)]
pub struct RouteFile(PathBuf);

impl RouteFile {
    /// The one in a folder.
    pub fn in_folder(folder: &Path) -> Self {
        Self(folder.join("all.routes"))
    }

    /// Writes as many routes. The first `answered` of them are answered, the others lead to the pool.
    pub fn write(&self, count: usize, answered: usize) -> Result<()> {
        let mut text = String::new();
        for index in 0..count {
            let target = if index < answered { ANSWER } else { POOL };
            writeln!(text, "{} {target}", name(index))?;
        }
        fs::write(&self.0, text).with_context(|| format!("write {}", self.0.display()))
    }
}

/// The name of a route, in no order at all, as far as their canonical order goes.
pub fn name(index: usize) -> String {
    format!("host{}.zone{}.example{}.test", index * 7919 % MOST, index % 1000, index % 7)
}

/// The main file, which includes the other one.
pub fn configuration() -> String {
    let [client, backend] = INTERFACES;
    format!(
        r#"include = ["all.routes"]

[listen]
interfaces = ["{client}", "{backend}"]
addresses  = ["{LISTENER}"]
xdp        = "native"

[pools.{POOL}]
backends = ["{BACKEND}"]
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_names_are_different() {
        let names: std::collections::HashSet<_> = (0..MOST).map(name).collect();
        assert_eq!(names.len(), MOST);
    }
}
