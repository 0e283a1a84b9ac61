//! Health in the engine: the one place where it meets reachability.

mod judge;
mod readings;
mod shares;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::timeout;
use tracing::{debug, error, info, warn};

use self::readings::Counted;
use self::shares::Measures;
use super::events::{EventKind, Events};
use super::{Engine, Instructions};
use crate::config::{Change, HashInput, Pattern, Policy, Pool, Target};
use crate::health::{Checker, Decision, News, Picture, PoolSpec, Portrait, Question, Share, State};

/// How often the counters of backends are read.
pub(super) const READING: Duration = Duration::from_millis(50);

/// How long the start waits to hear who was down.
const FIRST_PICTURE: Duration = Duration::from_secs(1);

/// What the engine knows of health.
pub(super) struct Health {
    is_on: bool,
    checker: Option<Checker>,
    news: Option<UnboundedReceiver<News>>,
    picture: Arc<Picture>,
    /// By pool.
    decisions: BTreeMap<String, Decision>,
    /// What members get of their queries, by pool. Who is not among them gets all.
    shares: BTreeMap<String, BTreeMap<SocketAddr, Share>>,
    measures: Measures,
    /// The addresses of ours that queries to backends come from, as the checker was told.
    sources: BTreeMap<SocketAddr, IpAddr>,
    counted: Counted,
    /// Routes whose names are asked for.
    asked_for: BTreeSet<Pattern>,
    /// Pools that have no such route yet.
    without_route: BTreeSet<String>,
    pub(super) events: Events,
}

impl Health {
    /// Nothing is checked.
    pub(super) fn off() -> Self {
        Self {
            is_on: false,
            checker: None,
            news: None,
            picture: Arc::default(),
            decisions: BTreeMap::new(),
            shares: BTreeMap::new(),
            measures: Measures::default(),
            sources: BTreeMap::new(),
            counted: Counted::default(),
            asked_for: BTreeSet::new(),
            without_route: BTreeSet::new(),
            events: Events::default(),
        }
    }

    /// Waits for news.
    pub(super) async fn news(&mut self) -> News {
        match &mut self.news {
            Some(news) => match news.recv().await {
                Some(news) => news,
                // The thread has panicked, which it has said itself.
                None => std::future::pending().await,
            },
            None => std::future::pending().await,
        }
    }

    /// Is anything checked?
    pub(super) fn is_on(&self) -> bool {
        self.is_on
    }

    /// As if something was, for tests that say what comes of it.
    #[cfg(test)]
    pub(super) fn pretend(&mut self) {
        self.is_on = true;
    }

    /// What is known of a member.
    pub(super) fn portrait(&self, pool: &str, backend: SocketAddr) -> Option<&Portrait> {
        self.picture.get(&(Arc::from(pool), backend))
    }

    /// How a pool gets by.
    pub(super) fn decision(&self, pool: &str) -> Option<&Decision> {
        self.decisions.get(pool)
    }

    /// What a member gets of its queries, if there is a way to it.
    pub(super) fn share(&self, pool: &str, backend: SocketAddr) -> Share {
        let shares = self.shares.get(pool);
        shares.and_then(|shares| shares.get(&backend)).copied().unwrap_or(Share::WHOLE)
    }

    /// Does a change concern who is checked, or what is asked?
    pub(super) fn is_concerned(&self, change: &Change) -> bool {
        let is_first = |target: &Option<Target>| matches!(target, Some(Target::Pool(pool)) if self.without_route.contains(&**pool));
        change.settings.is_some()
            || !change.pools.is_empty()
            || change
                .routes
                .iter()
                .any(|(pattern, target)| self.asked_for.contains(pattern) || is_first(target))
    }
}

impl Engine {
    /// Begins to check backends; who was down when the daemon ended is so from the start.
    pub async fn start_checks(&mut self) {
        match Checker::start(Some(self.store.path().to_owned())) {
            Ok((checker, news)) => {
                (self.health.checker, self.health.news) = (Some(checker), Some(news));
                self.health.is_on = true;
                self.configure_checks();
                // The answer to that, so that nobody who was down gets the first queries.
                if let Ok(News { picture, .. }) = timeout(FIRST_PICTURE, self.health.news()).await {
                    self.health.picture = picture;
                }
                self.judge();
            }
            Err(error) => {
                error!("backends are not checked: {error}");
                self.life.warnings.push(format!("backends are not checked: {error}"));
            }
        }
    }

    /// Tells the checker about a change, if it is concerned.
    pub(super) fn follow_change(&mut self, change: &Change) {
        if self.health.is_concerned(change) {
            self.configure_checks();
        }
    }

    fn configure_checks(&mut self) {
        let mut firsts = BTreeMap::<&str, &Pattern>::new();
        for (pattern, target) in &self.config.routes {
            if let Target::Pool(pool) = target
                && !pattern.name.is_root()
            {
                firsts.entry(pool).or_insert(pattern);
            }
        }
        let spec = |(name, pool): (&String, &Pool)| PoolSpec {
            name: Arc::from(name.as_str()),
            check: (*pool.health).clone(),
            question: Arc::new(Question::new(&pool.health, firsts.get(name.as_str()).copied().into_iter())),
            by_name: is_by_name(pool.policy),
            members: pool.backends.iter().map(|backend| backend.address).collect(),
        };
        let specs = match self.config.health.enabled {
            true => self.config.pools.iter().map(spec).collect(),
            false => Vec::new(),
        };
        let without = self.config.pools.keys().filter(|name| !firsts.contains_key(name.as_str()));
        self.health.without_route = without.cloned().collect();
        self.health.asked_for = firsts.into_values().cloned().collect();
        if let Some(checker) = &self.health.checker {
            checker.configure(specs);
        }
        let on_change = &self.config.health;
        self.instructions.send_replace(Instructions {
            endpoint: on_change.address,
            command: on_change.on_change.clone(),
            patience: on_change.on_change_timeout,
        });
    }

    /// Takes note of what the checker says.
    pub(super) fn follow_health(&mut self, News { changes, picture }: News) {
        self.health.picture = picture;
        for change in &changes {
            let (pool, backend) = (&change.id.0, change.id.1);
            self.health.measures.note(&change.id, &change.transition);
            if change.transition.from == State::Checking && change.transition.to == State::Up {
                // All is as it was thought to be. At a start, that is thousands at once.
                debug!("backend {backend} of pool {pool} does its work");
                continue;
            }
            // One that is down may become silent, and cease to be.
            let is_silent = self.health.portrait(pool, backend).is_some_and(|portrait| portrait.is_silent);
            if change.transition.from == change.transition.to && !is_silent {
                continue;
            }
            let (kind, text) = match change.transition.to {
                State::Up | State::Checking => (EventKind::BackendUp, "it does its work".to_owned()),
                State::Down => {
                    let why = change.transition.cause.as_ref().map(ToString::to_string).unwrap_or_default();
                    let held = change.held.map(|held| {
                        let seconds = held.as_secs();
                        format!("; it went down {} times, and is held for {seconds} s", change.flaps)
                    });
                    (EventKind::BackendDown, format!("{why}{}", held.unwrap_or_default()))
                }
            };
            self.event(kind, Some(pool), Some(backend), text);
        }
        // Without changes it is a picture for people.
        if !changes.is_empty() {
            self.update_live();
        }
    }

    /// Notes what has happened, in the log as well.
    pub(super) fn event(
        &self,
        kind: EventKind,
        pool: Option<&str>,
        backend: Option<SocketAddr>,
        text: String,
    ) {
        let event = self.health.events.note(kind, pool, backend, text);
        match kind.is_bad() {
            true => warn!("{event}"),
            false => info!("{event}"),
        }
    }
}

/// Do queries for one name go to one backend?
const fn is_by_name(policy: Policy) -> bool {
    match policy.hash() {
        Some(HashInput::Qname | HashInput::QnameClient) => true,
        Some(HashInput::Client) | None => false,
    }
}
