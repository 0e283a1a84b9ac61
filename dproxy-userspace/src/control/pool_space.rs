//! The pools' tables: who is a candidate for each.

use std::collections::BTreeMap;

use dproxy_common::abi::{self, CANDIDATES_PER_LINE, CandidateLine};

use super::ids::Ids;
use super::maglev::{self, Member};
use super::patch::Rows;
use super::{Capacity, CompileError, SnapshotNames};
use crate::config::{Config, HashInput, Policy, Pool};

/// What of the pools' tables is taken.
#[derive(Clone, Debug, Default)]
pub(super) struct PoolSpace {
    /// Where each pool's candidates are.
    regions: BTreeMap<u16, Region>,
    /// Lines in use, from the front.
    lines: u32,
}

/// A pool's candidates, and its members behind them, beginning with a line of their own.
#[derive(Clone, Copy, Debug)]
struct Region {
    first_line: u32,
    candidates: u32,
    members: u32,
}

/// What becomes of the pools' tables.
#[derive(Clone, Debug)]
pub(super) struct PoolRows {
    pub(super) pools: Rows<abi::Pool>,
    pub(super) candidates: Rows<CandidateLine>,
}

impl PoolSpace {
    /// Lays out all pools anew.
    pub(super) fn build(
        &mut self,
        config: &Config,
        ids: &mut Ids,
        names: &SnapshotNames,
        capacity: &Capacity,
    ) -> Result<PoolRows, CompileError> {
        let mut space = Self::default();
        let mut lines = Vec::new();
        for (id, name) in &names.pools {
            if let Some(pool) = config.pools.get(name) {
                lines.extend(space.place(*id, (name, pool), ids));
            }
        }
        space.fits(capacity)?;
        let mut pools =
            vec![abi::Pool::default(); names.pools.keys().next_back().map_or(0, |id| usize::from(*id) + 1)];
        for (id, pool) in space.entries(config, ids, names) {
            pools[id as usize] = pool;
        }
        *self = space;
        Ok(PoolRows { pools: Rows::All(pools), candidates: Rows::All(lines) })
    }

    /// Lays out those that a change concerns. Their candidates go behind all others': nothing knows
    /// what those before have left free. When there is no room left, all are laid out anew.
    pub(super) fn patch(
        &mut self,
        config: &Config,
        concerned: &BTreeMap<String, Option<Pool>>,
        ids: &mut Ids,
        names: &SnapshotNames,
        capacity: &Capacity,
    ) -> Result<PoolRows, CompileError> {
        self.regions.retain(|id, _| names.pools.contains_key(id));
        let mut rows = Vec::new();
        let mut space = self.clone();
        for name in concerned.keys() {
            if let (Some(id), Some(pool)) = (ids.pool(name), config.pools.get(name)) {
                let first = space.lines;
                rows.extend((first..).zip(space.place(id, (name, pool), ids)));
            }
        }
        if space.fits(capacity).is_err() {
            return self.build(config, ids, names, capacity);
        }
        *self = space;
        // Another pool may be on a switch to one of them.
        let pools = self.entries(config, ids, names);
        Ok(PoolRows { pools: Rows::Some(pools), candidates: Rows::Some(rows) })
    }

    fn fits(&self, capacity: &Capacity) -> Result<(), CompileError> {
        if self.lines <= capacity.candidate_lines {
            return Ok(());
        }
        Err(CompileError::TooMany {
            what: "lines of candidates",
            has: self.lines as usize,
            limit: capacity.candidate_lines,
            mend: "use fewer pools, backends or different weights",
        })
    }

    /// Takes lines for a pool; returns what is to be in them.
    fn place(&mut self, id: u16, (name, pool): (&str, &Pool), ids: &mut Ids) -> Vec<CandidateLine> {
        let member = |backend: &crate::config::WeightedBackend| {
            let id = ids.backend(name, backend.address)?;
            Some(Member { id, address: backend.address, weight: backend.share() })
        };
        let members: Vec<Member> = pool.backends.iter().filter_map(member).collect();
        let candidates = match pool.policy {
            Policy::RoundRobin => maglev::round(&members),
            Policy::Maglev { .. } | Policy::Random | Policy::Failover { .. } | Policy::LeastLatency => {
                maglev::table(&members)
            }
        };
        let tables = [candidates, maglev::in_turn(&members)];
        let [candidates, members] = [&tables[0], &tables[1]].map(|table| table.len() as u32);
        let lines: Vec<_> = tables.iter().flat_map(|ids| ids.chunks(CANDIDATES_PER_LINE)).map(line).collect();
        self.regions.insert(id, Region { first_line: self.lines, candidates, members });
        self.lines += lines.len() as u32;
        lines
    }

    fn entries(&self, config: &Config, ids: &mut Ids, names: &SnapshotNames) -> Vec<(u32, abi::Pool)> {
        let mut entries = Vec::new();
        for (&id, name) in &names.pools {
            let (Some(pool), Some(region)) = (config.pools.get(name), self.regions.get(&id)) else {
                continue;
            };
            // `check` has made sure that the other pool exists.
            let switch =
                pool.switch.as_ref().and_then(|switch| Some((ids.pool(&switch.to)?, switch.percent)));
            let (switch_to, switch_percent) = switch.unwrap_or((0, 0));
            let Region { first_line, candidates, members } = *region;
            let (hash, flags) = (hash_input(pool.policy) as u8, pool_flags(pool));
            let reserved = [0; 5];
            let entry = abi::Pool {
                first_line,
                candidates,
                id,
                hash,
                flags,
                members,
                switch_to,
                switch_percent,
                reserved,
            };
            entries.push((u32::from(id), entry));
        }
        entries
    }
}

fn line(ids: &[u16]) -> CandidateLine {
    let mut line = CandidateLine::default();
    line.0[..ids.len()].copy_from_slice(ids);
    line
}

/// Flags of a pool, as [`abi::Pool::flags`] has them.
const fn pool_flags(pool: &Pool) -> u8 {
    if pool.proxy_protocol { abi::Pool::SLOW_PATH } else { 0 }
}

const fn hash_input(policy: Policy) -> abi::HashInput {
    match policy {
        Policy::RoundRobin => abi::HashInput::RoundRobin,
        // Latency is in what is withheld.
        Policy::Random | Policy::LeastLatency => abi::HashInput::Random,
        Policy::Maglev { hash } | Policy::Failover { hash } => match hash {
            HashInput::Qname => abi::HashInput::Qname,
            HashInput::Client => abi::HashInput::Client,
            HashInput::QnameClient => abi::HashInput::QnameClient,
        },
    }
}
