//! Counters of routes.

use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;

use crate::control::MAX_ROUTE_IDS;

/// Counters of routes, of which there may be millions: made in pieces, when they are needed.
#[derive(Debug)]
pub(super) struct ByRoute(Box<[OnceLock<Box<[AtomicU64]>>]>);

impl ByRoute {
    const PIECE: usize = 4096;
    const PIECES: usize = (MAX_ROUTE_IDS as usize).div_ceil(Self::PIECE);

    pub(super) fn new() -> Self {
        Self((0..Self::PIECES).map(|_| OnceLock::new()).collect())
    }

    pub(super) fn get_or_make(&self, id: u32) -> Option<&AtomicU64> {
        let piece = self.0.get(id as usize / Self::PIECE)?;
        let make = || (0..Self::PIECE).map(|_| AtomicU64::new(0)).collect();
        piece.get_or_init(make).get(id as usize % Self::PIECE)
    }

    pub(super) fn get(&self, id: u32) -> Option<&AtomicU64> {
        self.0.get(id as usize / Self::PIECE)?.get()?.get(id as usize % Self::PIECE)
    }

    /// The pieces that there are, and their first ids.
    pub(super) fn made(&self) -> impl Iterator<Item = (usize, &[AtomicU64])> {
        let pieces = self.0.iter().enumerate();
        pieces.filter_map(|(number, piece)| Some((number * Self::PIECE, &**piece.get()?)))
    }
}
