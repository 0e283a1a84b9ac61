//! From the original's routes to ours.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use super::backends::{Destination, Found, Resolve, find, find_dialled};
use super::keys::{Reach, reach};
use super::note::{About, ImportError, Mistake, Note, Origin};
use super::prox::{Entry, Field};
use super::settings::DefaultRoute;
use super::source::Source;
use crate::config::{
    Answer, Config, Name, Pattern, PatternKind, Place, Pool, Problem, Target, WeightedBackend, check, counted,
};

/// Where the converted configuration serves clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Serving {
    /// Interfaces that the fast path attaches to.
    pub interfaces: Vec<String>,
    /// Listeners; without a port, the original's.
    pub addresses: Vec<(IpAddr, Option<u16>)>,
    /// What is to be said about them.
    pub remark: Option<String>,
}

/// A configuration that routes as the original did, and the notes that go with it.
#[derive(Clone, Debug)]
pub struct Converted {
    /// The configuration; it keeps all rules.
    pub config: Config,
    /// Where it differs from the original, and what else there is to know.
    pub notes: Vec<Note>,
    pub(super) folder: String,
    /// The lines that routes and pools come from.
    pub(super) origins: BTreeMap<Pattern, Vec<Origin>>,
    pub(super) pool_origins: BTreeMap<String, Origin>,
}

/// A route that the original has: where it leads, the lines it comes from, and the text it is found by.
struct Candidate<'s> {
    target: Target,
    origins: Vec<Origin>,
    key: &'s str,
}

/// Converts what `source` says. Host names are looked up by `resolve`.
pub fn convert(source: &Source, serving: &Serving, resolve: Resolve<'_>) -> Result<Converted, ImportError> {
    let mut conversion = Conversion::default();
    conversion.notes.clone_from(&source.notes);
    let mut candidates = BTreeMap::new();
    for entry in &source.entries.list {
        match reach(entry, &source.entries) {
            Reach::Names(pattern) => conversion.entry(pattern, entry, resolve, &mut candidates),
            Reach::Nothing(why) => {
                let text = format!("{} had no effect, and is left out: {why}.", shown(entry));
                conversion.notes.push(Note::new(About::LeftOut, &entry.origin, text));
            }
        }
    }
    conversion.routes(candidates);
    conversion.default_route(source, resolve);
    conversion.listen(source.settings.port, serving);
    conversion.general_notes();
    conversion.finish(source)
}

#[derive(Default)]
struct Conversion {
    config: Config,
    notes: Vec<Note>,
    mistakes: Vec<Mistake>,
    origins: BTreeMap<Pattern, Vec<Origin>>,
    pool_origins: BTreeMap<String, Origin>,
    pools: BTreeMap<SocketAddr, String>,
}

impl Conversion {
    /// Takes over one entry that the original finds for some names.
    fn entry<'s>(
        &mut self,
        pattern: Pattern,
        entry: &'s Entry,
        resolve: Resolve<'_>,
        candidates: &mut BTreeMap<Pattern, Candidate<'s>>,
    ) {
        let field = |field: &'s Option<Field>| match field {
            Some(field) => (field.value.as_str(), &field.origin),
            None => ("", &entry.origin),
        };
        let found = find(field(&entry.address), field(&entry.port), resolve);
        let about = About::Route(pattern.clone());
        let pool = pattern.name.to_string();
        let origin = field(&entry.address).1;
        let Some(target) = self.target(found, origin, &about, &pool) else { return };
        if entry.key.bytes().any(|octet| octet.is_ascii_uppercase()) {
            let text = format!("{} matches only these upper-case letters there, and any here.", entry.key);
            self.notes.push(Note::new(about.clone(), &entry.origin, text));
        }
        let candidate = Candidate { target, origins: vec![entry.origin.clone()], key: &entry.key };
        let Some(rival) = candidates.remove(&pattern) else {
            candidates.insert(pattern, candidate);
            return;
        };
        // Most queries are in lower case; else the last one counts.
        let lower = |candidate: &Candidate<'_>| candidate.key == candidate.key.to_ascii_lowercase();
        let (winner, loser) = if lower(&rival) { (rival, candidate) } else { (candidate, rival) };
        if winner.target != loser.target {
            let text = format!("here it is the same name as {}, and is left out.", winner.key);
            self.notes.push(Note::new(about, &loser.origins[0], format!("{}: {text}", loser.key)));
        }
        candidates.insert(pattern, winner);
    }

    /// The target for what was found; a backend gets its pool, named after the route `name`.
    fn target(
        &mut self,
        found: Result<Found, Mistake>,
        origin: &Origin,
        route: &About,
        name: &str,
    ) -> Option<Target> {
        let (destination, text) = found.map_err(|mistake| self.mistakes.push(mistake)).ok()?;
        let (about, target) = match destination {
            Destination::Servfail => (route.clone(), Target::Answer(Answer::Servfail)),
            Destination::Backend(address) => {
                let pool = self.pool(address, name, origin);
                (About::Pool(pool.clone()), Target::Pool(pool.into()))
            }
        };
        self.notes.extend(text.map(|text| Note::new(about, origin, text)));
        Some(target)
    }

    /// The pool of a backend.
    fn pool(&mut self, address: SocketAddr, route: &str, origin: &Origin) -> String {
        if let Some(pool) = self.pools.get(&address) {
            return pool.clone();
        }
        let pool = pool_name(route, |name| self.config.pools.contains_key(name));
        let backends = vec![WeightedBackend::new(address, WeightedBackend::DEFAULT_WEIGHT)];
        self.config.pools.insert(pool.clone(), Pool { backends, ..Pool::default() });
        self.pool_origins.insert(pool.clone(), origin.clone());
        self.pools.insert(address, pool.clone());
        pool
    }

    /// Makes routes of the candidates: where a name and all below it lead to the same, it is one.
    fn routes(&mut self, mut candidates: BTreeMap<Pattern, Candidate<'_>>) {
        while let Some((mut pattern, mut candidate)) = candidates.pop_first() {
            // Exact comes before wildcard.
            let below = Pattern { name: pattern.name.clone(), kind: PatternKind::Wildcard };
            if candidates.get(&below).is_some_and(|other| other.target == candidate.target) {
                let other = candidates.remove(&below).map(|other| other.origins);
                candidate.origins.extend(other.unwrap_or_default());
                candidate.origins.sort();
                self.rename(&pattern, &below);
                pattern.kind = PatternKind::Subtree;
            }
            self.origins.insert(pattern.clone(), candidate.origins);
            self.config.routes.insert(pattern, candidate.target);
        }
        let names = self.config.routes.len() as u32;
        self.config.fast_path.routes = self.config.fast_path.routes.max(names.next_power_of_two());
    }

    /// Notes about two routes are about the one that they become.
    fn rename(&mut self, exact: &Pattern, below: &Pattern) {
        let subtree = Pattern { name: exact.name.clone(), kind: PatternKind::Subtree };
        for note in &mut self.notes {
            if matches!(&note.about, About::Route(pattern) if pattern == exact || pattern == below) {
                note.about = About::Route(subtree.clone());
            }
        }
    }

    fn default_route(&mut self, source: &Source, resolve: Resolve<'_>) {
        let pattern = Pattern { name: Name::root(), kind: PatternKind::Subtree };
        let about = About::Route(pattern.clone());
        let origin = &source.settings.default_origin;
        let target = match &source.settings.default {
            DefaultRoute::Nxdomain => {
                let text = "NXDOMAIN comes with an empty A record there, and without one here.";
                self.notes.push(Note::new(about, origin, text));
                Some(Target::Answer(Answer::Nxdomain))
            }
            DefaultRoute::Master(server) => {
                let found = find_dialled(server, origin, resolve);
                self.target(found, origin, &about, "master")
            }
        };
        if let Some(target) = target {
            self.origins.insert(pattern.clone(), vec![origin.clone()]);
            self.config.routes.insert(pattern, target);
        }
    }

    fn listen(&mut self, port: u16, serving: &Serving) {
        let Serving { interfaces, addresses, remark } = serving;
        self.config.listen.interfaces.clone_from(interfaces);
        let listener = |(ip, own): &(IpAddr, Option<u16>)| SocketAddr::new(*ip, own.unwrap_or(port));
        self.config.listen.addresses = addresses.iter().map(listener).collect();
        self.notes.extend(remark.as_deref().map(|remark| Note::general(About::Listen, remark)));
    }

    fn general_notes(&mut self) {
        let root = Pattern { name: Name::root(), kind: PatternKind::Subtree };
        for (about, text) in [
            (
                About::Whole,
                "The original matches names as they are spelled, so that a query in other than \
                lower case goes to the default; here case does not matter.",
            ),
            (
                About::Whole,
                "Routes that were deleted from the files remain in the original's Redis, and in \
                force; they are not in this file.",
            ),
            (
                About::Route(root),
                "Queries for the root itself get no answer there; here they go with the \
                rest. To keep it so: \"=.\" = { answer = \"drop\" }",
            ),
        ] {
            self.notes.push(Note::general(about, text));
        }
    }

    fn finish(self, source: &Source) -> Result<Converted, ImportError> {
        let Self { config, notes, mut mistakes, origins, pool_origins, pools: _ } = self;
        if mistakes.is_empty() {
            let origin_of = |place: &Place| {
                if let Place::Pool(pool) | Place::Backend(pool, ..) = place {
                    return pool_origins.get(pool).cloned();
                }
                let Place::Route(pattern) = place else { return None };
                origins.get(pattern).and_then(|origins| origins.first().cloned())
            };
            mistakes.extend(check(&config).into_iter().map(|problem| {
                let Problem { place, says, allowed, against: _ } = problem;
                Mistake { origin: origin_of(&place), what: format!("{place} {says}"), allowed }
            }));
        }
        if !mistakes.is_empty() {
            return Err(ImportError { folder: source.folder.clone(), mistakes });
        }
        let folder = source.folder.display().to_string();
        Ok(Converted { config, notes, folder, origins, pool_origins })
    }
}

impl Converted {
    /// `3 routes, 2 pools; 5 notes`.
    pub fn summary(&self) -> String {
        let Config { routes, pools, .. } = &self.config;
        let [routes, pools] = [counted(routes.len(), "route"), counted(pools.len(), "pool")];
        format!("{routes}, {pools}; {}", counted(self.notes.len(), "note"))
    }
}

/// An entry as a note shows it, with where it leads.
fn shown(entry: &Entry) -> String {
    let value = |field: &Option<Field>| {
        field.as_ref().map_or_else(|| "nothing".to_owned(), |field| field.value.clone())
    };
    format!("{} (address {}, port {})", entry.key, value(&entry.address), value(&entry.port))
}

/// Longest name that is made here: room for a number within the 63 characters that are allowed.
const POOL_NAME: usize = 50;

/// A pool's name, made from a route's: `cryo-network`.
fn pool_name(route: &str, taken: impl Fn(&str) -> bool) -> String {
    let fitting = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
    let name: String = route.chars().map(fitting).take(POOL_NAME).collect();
    let name = name.trim_matches(['-', '_']);
    let name = if name.is_empty() { "pool" } else { name };
    let free = |name: &str| !taken(name) && !Answer::WORDS.contains(&name);
    if free(name) {
        return name.to_owned();
    }
    (2_u32..).map(|number| format!("{name}-{number}")).find(|name| free(name)).unwrap_or_default()
}
