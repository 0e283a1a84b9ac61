//! Configurations with routes of any number.

use std::fmt::Write;

use super::cases::{ANSWERED, DOMAIN, SHORT, Tables, random_name};
use crate::chain::{INTERFACES, LISTENER};

/// The largest number of routes that is measured.
pub const MOST_ROUTES: u32 = 1 << 20;
/// Pools that random routes lead to in turn.
pub const POOLS: u32 = 3;

impl Tables {
    /// The configuration.
    pub fn configuration(self) -> String {
        let [client, backend] = INTERFACES;
        let mut text = format!(
            "[listen]\ninterfaces = [\"{client}\", \"{backend}\"]\naddresses = [\"{LISTENER}\"]\n\n[pools]\n"
        );
        let backends: Vec<_> =
            (0..self.backends).map(|number| format!("\"10.53.1.{}:53\"", number + 10)).collect();
        for pool in 0..POOLS {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "pool{pool} = {{ backends = [{}] }}", backends.join(", "));
        }
        text += "\n[routes]\n";
        let _ = writeln!(text, "\"{DOMAIN}\" = \"pool0\"\n\"{SHORT}\" = \"pool0\"");
        let _ = writeln!(text, "\"{ANSWERED}\" = {{ answer = \"nxdomain\" }}");
        for depth in 3..=self.depths {
            let _ = writeln!(text, "\"{}deep.test\" = \"pool0\"", "x.".repeat(usize::from(depth) - 2));
        }
        for number in 0..self.random_routes() {
            let _ = writeln!(text, "\"{}\" = \"{}\"", random_name(number), pool_of(number));
        }
        text
    }

    /// So many of the routes are for random names: as many as there are besides those of certain names, or all,
    /// where each is to be asked for.
    pub fn random_routes(self) -> u32 {
        if self.routes.is_power_of_two() { self.routes } else { self.routes.saturating_sub(8) }
    }
}

/// Where the route of a random name leads.
pub fn pool_of(number: u32) -> String {
    format!("pool{}", number % POOLS)
}
