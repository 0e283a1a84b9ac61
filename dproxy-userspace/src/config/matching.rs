//! Which routes match a name.

use super::model::{Config, Target};
use super::name::Name;
use super::pattern::{Pattern, PatternKind};

/// All routes that match `name`, in the order in which they apply: longer names first, and at one name
/// exact before wildcard before subtree.
pub(crate) fn matching<'c>(
    config: &'c Config,
    name: &Name,
) -> impl Iterator<Item = (&'c Pattern, &'c Target)> {
    let names = std::iter::successors(Some(name.clone()), Name::parent);
    let patterns = names.enumerate().flat_map(|(above, name)| {
        // An exact route applies to its name only, a wildcard not to it.
        let first = if above == 0 { PatternKind::Exact } else { PatternKind::Wildcard };
        [first, PatternKind::Subtree].map(|kind| Pattern { name: name.clone(), kind })
    });
    patterns.filter_map(|pattern| config.routes.get_key_value(&pattern))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::words::Answer;

    #[test]
    fn longer_names_first() {
        let mut config = Config::default();
        for pattern in
            [".", "*.", "=.", "org", "=org", "*.example.org", "example.org", "=www.example.org", "xample.org"]
        {
            config.routes.insert(pattern.parse().unwrap(), Target::Answer(Answer::Drop));
        }
        for (name, expected) in [
            ("www.example.org", "=www.example.org *.example.org example.org org *. ."),
            ("example.org", "example.org org *. ."),
            ("ORG", "=org org *. ."),
            ("com", "*. ."),
            (".", "=. ."),
        ] {
            let found: Vec<String> =
                matching(&config, &name.parse().unwrap()).map(|(pattern, _)| pattern.to_string()).collect();
            assert_eq!(found.join(" "), expected, "{name}");
        }
    }
}
