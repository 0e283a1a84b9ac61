//! What a generation is made of.

use super::record::{Header, Kind};

/// What the newest generation of a history is made of, the newest first: live edits, and at the end the whole
/// configuration that they were made to. Behind a rollback, that is what the generation is made of that it went back
/// to, so what was made in between is left out.
pub(super) fn lineage(history: &[Header]) -> impl Iterator<Item = &Header> {
    let (mut newest, mut is_at_end) = (u64::MAX, false);
    history.iter().filter(move |header| {
        if is_at_end || header.generation > newest {
            return false;
        }
        match header.back_to {
            Some(back_to) => newest = back_to,
            None => is_at_end = header.is_whole(),
        }
        true
    })
}

impl Header {
    /// Is it a configuration as a whole, and no edit of one?
    pub fn is_whole(&self) -> bool {
        match self.kind {
            Kind::Start | Kind::Apply | Kind::Rollback => true,
            Kind::Edit | Kind::Switch => false,
        }
    }
}
