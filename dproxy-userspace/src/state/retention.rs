//! Which generations are kept.

use std::collections::BTreeSet;

use super::lineage::lineage;
use super::record::{Header, Kind};

/// So many of the newest generations are kept, and so many of those that more than an edit made.
const KEPT: usize = 10;

/// The generations to keep, with those whose records they need, out of all, the newest first.
pub(super) fn kept(history: &[Header], unconfirmed: Option<&Header>) -> BTreeSet<u64> {
    let newest = history.iter().take(KEPT);
    let large = history.iter().filter(|header| header.kind != Kind::Edit).take(KEPT);
    let mut kept: BTreeSet<u64> = newest.chain(large).map(|header| header.generation).collect();
    kept.extend(unconfirmed.and_then(|header| header.base));
    // What live edits are compared with.
    kept.extend(lineage(history).filter(|header| header.is_whole()).map(|header| header.generation));
    // A base is older than what needs it.
    for header in history {
        if kept.contains(&header.generation) {
            kept.extend(header.base);
        }
    }
    kept
}
