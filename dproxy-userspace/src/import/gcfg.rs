//! The syntax of `config.gcfg`: sections, `name = value`, and comments behind `#` and `;`.

use super::note::{Mistake, Origin};
use crate::config::Quoted;

/// One `name = value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Variable {
    /// The section it is in, in lower case: the original does not tell them apart.
    pub(super) section: String,
    /// Its name, likewise.
    pub(super) name: String,
    /// Its value without quotes; `None`: there is no `=`, which means true.
    pub(super) value: Option<String>,
    /// Where it stands.
    pub(super) origin: Origin,
}

const LINE: &str = "[section], name = value, or a comment behind # or ;";

/// All variables in the order of the file.
pub(super) fn read(file: &str, text: &str, mistakes: &mut Vec<Mistake>) -> Vec<Variable> {
    let mut section = String::new();
    let mut variables = Vec::new();
    for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let origin = Origin { file: file.to_owned(), line: index + 1 };
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        let read = match line.strip_prefix('[') {
            Some(rest) => header(rest).map(|name| section = name),
            None => variable(line).map(|(name, value)| {
                variables.push(Variable { section: section.clone(), name, value, origin: origin.clone() });
            }),
        };
        if let Err(what) = read {
            mistakes.push(Mistake::new(&origin, format!("{} {what}", Quoted(line)), LINE));
        }
    }
    variables
}

/// What is behind the `[` of a section's header.
fn header(rest: &str) -> Result<String, String> {
    let (name, behind) = rest.split_once(']').ok_or("has no ] behind the section's name")?;
    let behind = behind.trim_start();
    if !behind.is_empty() && !behind.starts_with(['#', ';']) {
        return Err("has something behind its ]".to_owned());
    }
    Ok(name.trim().to_ascii_lowercase())
}

fn variable(line: &str) -> Result<(String, Option<String>), String> {
    let end = line.find(|c: char| !(c.is_alphanumeric() || c == '-')).unwrap_or(line.len());
    let (name, rest) = line.split_at(end);
    let rest = rest.trim_start();
    if name.is_empty() {
        return Err("begins with no name".to_owned());
    }
    let value = match rest.strip_prefix('=') {
        Some(text) => Some(value(text)?),
        None if rest.is_empty() || rest.starts_with(['#', ';']) => None,
        None => return Err("has no = behind its name".to_owned()),
    };
    Ok((name.to_ascii_lowercase(), value))
}

/// A value: quotes may stand anywhere, and within them `\"`, `\\`, `\n` and `\t`.
fn value(text: &str) -> Result<String, String> {
    let mut value = String::new();
    // Blanks at the end are kept if they stand in quotes.
    let mut kept = 0;
    let mut quoted = false;
    let mut characters = text.trim().chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => {
                quoted = !quoted;
                kept = value.len();
            }
            '\\' => value.push(match characters.next() {
                Some(escaped @ ('"' | '\\')) => escaped,
                Some('n') if quoted => '\n',
                Some('t') if quoted => '\t',
                Some(_) => return Err("has an unknown escape".to_owned()),
                None => return Err("goes on in the next line".to_owned()),
            }),
            '#' | ';' if !quoted => break,
            _ => value.push(character),
        }
        if quoted || !character.is_whitespace() {
            kept = value.len();
        }
    }
    if quoted {
        return Err("has no quote at the end of its value".to_owned());
    }
    value.truncate(kept);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables() {
        let text = "\u{feff}; a comment\r\n[ DProxy ] # one more\r\nPort=53;\nname = \"a;b # \\\"c\\\"\\\\ \" ; d\n\
                    bare = two words # e\nflag\nflag-2 # f\n[redis]\nhost=\n";
        let mut mistakes = Vec::new();
        let shown: Vec<_> = read("f", text, &mut mistakes)
            .into_iter()
            .map(|Variable { section, name, value, origin }| {
                format!("{} {section}.{name} {}", origin.line, value.as_deref().unwrap_or("true"))
            })
            .collect();
        assert_eq!(mistakes, []);
        assert_eq!(
            shown,
            [
                "3 dproxy.port 53",
                "4 dproxy.name a;b # \"c\"\\ ",
                "5 dproxy.bare two words",
                "6 dproxy.flag true",
                "7 dproxy.flag-2 true",
                "9 redis.host ",
            ]
        );
    }

    #[test]
    fn mistakes() {
        for (line, expected) in [
            ("[a] b", "has something behind its ]"),
            ("= 1", "begins with no name"),
            ("a b", "has no = behind its name"),
            (r#"a = "b\q""#, "has an unknown escape"),
            (r"a = b\", "goes on in the next line"),
        ] {
            let mut mistakes = Vec::new();
            assert_eq!(read("f", line, &mut mistakes), []);
            assert!(mistakes.len() == 1 && mistakes[0].what.ends_with(expected), "{mistakes:?}");
        }
    }
}
