//! What real queries say about members.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use super::super::member::{Now, State};
use super::super::passive::{self, Counts, Evidence};
use super::{Change, Checks, Entry, Id};

impl Checks {
    /// Takes note of the counters of backends: of all those that got queries of late.
    pub fn read(&mut self, counts: &BTreeMap<SocketAddr, Counts>, now: Now) -> Vec<Change> {
        if counts.is_empty() {
            return Vec::new();
        }
        for (id, entry) in &mut self.entries {
            if let Some(counts) = counts.get(&id.1) {
                entry.window.note(*counts, now.instant);
            }
        }
        let mut found = Vec::new();
        for spec in self.pools.values().filter(|spec| spec.check.passive) {
            let members: Vec<(Id, &Entry)> = spec
                .members
                .iter()
                .filter(|address| counts.contains_key(address))
                .filter_map(|address| {
                    let id = (Arc::clone(&spec.name), *address);
                    let entry = self.entries.get(&id)?;
                    (entry.member.state() != State::Down).then_some((id, entry))
                })
                .collect();
            for (id, entry) in &members {
                let others = members.iter().filter(|(other, _)| other != id).map(|(_, entry)| &entry.window);
                let usual = entry.member.latency().unwrap_or_default();
                let evidence = passive::evidence(&entry.window, usual, others, spec.by_name, now.instant);
                found.extend(evidence.map(|evidence| (id.clone(), evidence)));
            }
        }
        let mut changes = self.read_who_is_down(counts, now);
        changes.extend(found.into_iter().filter_map(|(id, evidence)| self.note_evidence(&id, evidence, now)));
        changes
    }

    /// Who is down may get queries, where a pool fails open.
    fn read_who_is_down(&mut self, counts: &BTreeMap<SocketAddr, Counts>, now: Now) -> Vec<Change> {
        let mut found = Vec::new();
        for (id, entry) in &mut self.entries {
            let is_minded = self.pools.get(&id.0).is_some_and(|spec| spec.check.passive);
            if !is_minded || !counts.contains_key(&id.1) || entry.member.state() != State::Down {
                continue;
            }
            let usual = entry.member.latency().unwrap_or_default();
            let transition = if entry.member.is_silent() {
                entry.window.has_replies(now.instant).then(|| entry.member.set_silent(None))
            } else {
                entry.window.silence(usual, now.instant).map(|cause| entry.member.set_silent(Some(cause)))
            };
            found.extend(transition.map(|transition| (id.clone(), transition)));
        }
        found.into_iter().filter_map(|(id, transition)| self.change(&id, transition, now)).collect()
    }

    fn note_evidence(&mut self, id: &Id, evidence: Evidence, now: Now) -> Option<Change> {
        let spec = Arc::clone(self.pools.get(&id.0)?);
        let entry = self.entries.get_mut(id)?;
        let (transition, is_news) = match evidence {
            Evidence::Proof(cause) => (entry.member.note_proof(cause, now), true),
            Evidence::Suspicion(_) => (None, entry.member.suspect()),
        };
        if is_news {
            self.plan(id, &spec, Some(now.instant));
        }
        self.change(id, transition, now)
    }
}
