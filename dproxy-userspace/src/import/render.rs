//! The converted configuration as a file, with a comment beside each place that a note is about.

use std::fmt::Write;

use super::convert::Converted;
use super::note::{About, Origin};
use crate::config::{Config, FastPath, Pattern, PatternKind, Target};

/// How wide comments are.
const WIDTH: usize = 100;

impl Converted {
    /// The configuration file.
    pub fn to_toml(&self) -> String {
        let Config { listen, fast_path, pools, routes, .. } = &self.config;
        let mut text = String::new();
        comment(&mut text, &format!("The original dproxy's configuration in {}, converted.", self.folder));
        self.comments(&mut text, &About::Whole);

        line(&mut text, "\n[listen]");
        self.comments(&mut text, &About::Listen);
        line(&mut text, &format!("interfaces = {}", list(&listen.interfaces)));
        line(&mut text, &format!("addresses  = {}", list(&listen.addresses)));
        if fast_path.routes != FastPath::default().routes {
            line(&mut text, &format!("\n[fast_path]\nroutes = {}", fast_path.routes));
        }
        for (name, pool) in pools {
            let origins = self.pool_origins.get(name).map(std::slice::from_ref).unwrap_or_default();
            line(&mut text, &format!("\n[pools.{name}]{}", from(origins)));
            self.comments(&mut text, &About::Pool(name.clone()));
            let addresses: Vec<_> = pool.backends.iter().map(|backend| backend.address).collect();
            line(&mut text, &format!("backends = {}", list(&addresses)));
        }

        line(&mut text, "\n[routes]");
        // The default, which stands first among the names, is easier to find at the end.
        let (default, others): (Vec<_>, Vec<_>) = routes.iter().partition(|(pattern, _)| is_default(pattern));
        for (pattern, target) in others.into_iter().chain(default) {
            self.comments(&mut text, &About::Route(pattern.clone()));
            let origins = self.origins.get(pattern).map(Vec::as_slice).unwrap_or_default();
            let pattern = quoted(&pattern.to_string());
            line(&mut text, &format!("{pattern} = {}{}", shown(target), from(origins)));
        }
        if self.notes.iter().any(|note| note.about == About::LeftOut) {
            text.push('\n');
            self.comments(&mut text, &About::LeftOut);
        }
        text
    }

    fn comments(&self, text: &mut String, about: &About) {
        for note in self.notes.iter().filter(|note| note.about == *about) {
            comment(text, &format!("NOTE: {note}"));
        }
    }
}

fn is_default(pattern: &Pattern) -> bool {
    pattern.name.is_root() && pattern.kind == PatternKind::Subtree
}

fn line(text: &mut String, line: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{line}");
}

/// A comment in as many lines as it takes, indented from the second on.
fn comment(text: &mut String, says: &str) {
    let mut current = String::from("#");
    for word in says.split(' ') {
        if current.len() + 1 + word.len() > WIDTH && current.len() > 4 {
            line(text, &current);
            current = String::from("#  ");
        }
        current.push(' ');
        // A control character may not stand in a comment (toml.io).
        let plain = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
        current.extend(word.chars().map(plain));
    }
    line(text, &current);
}

/// The lines that something comes from, as a comment behind it.
fn from(origins: &[Origin]) -> String {
    match origins {
        [] => String::new(),
        origins => {
            let origins: Vec<String> = origins.iter().map(Origin::to_string).collect();
            format!("  # {}", origins.join(", "))
        }
    }
}

fn list<T: ToString>(values: &[T]) -> String {
    let values: Vec<String> = values.iter().map(|value| quoted(&value.to_string())).collect();
    format!("[{}]", values.join(", "))
}

fn shown(target: &Target) -> String {
    match target {
        Target::Pool(pool) => quoted(pool),
        Target::Answer(answer) => format!("{{ answer = {} }}", quoted(answer.word())),
    }
}

/// A string in quotes, escaped where it has to be.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}
