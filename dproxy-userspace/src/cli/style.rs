//! Colours, for terminals that want them.

use std::env;
use std::io::{IsTerminal, stdout};

/// What a colour says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Paint {
    /// Nothing.
    Plain,
    /// The heading of a table.
    Heading,
    /// As it should be.
    Good,
    /// As it should not be.
    Bad,
    /// Worth a look.
    Warning,
}

/// Whether to paint at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Style {
    colour: bool,
}

impl Style {
    /// Without colours.
    #[cfg(test)]
    pub(super) const PLAIN: Self = Self { colour: false };
    /// With colours.
    #[cfg(test)]
    pub(super) const COLOUR: Self = Self { colour: true };

    /// As standard output takes it: with colours on a terminal, unless NO_COLOR is set (no-color.org).
    pub(super) fn of_stdout() -> Self {
        let forbidden = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { colour: stdout().is_terminal() && !forbidden }
    }

    /// The text, painted.
    pub(super) fn paint(self, paint: Paint, text: &str) -> String {
        let code = match paint {
            Paint::Plain => return text.to_owned(),
            Paint::Heading => "1",
            Paint::Good => "32",
            Paint::Bad => "31",
            Paint::Warning => "33",
        };
        if self.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// The text with control characters escaped: what comes from elsewhere must not steer the terminal.
pub(super) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() { shown.extend(character.escape_default()) } else { shown.push(character) }
    }
    shown
}

/// The same for a text of several lines.
pub(super) fn printable_lines(text: &str) -> String {
    text.split('\n').map(printable).collect::<Vec<_>>().join("\n")
}
