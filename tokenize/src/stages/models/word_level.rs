//! `WordLevel`: each unit is one piece.

use std::collections::HashMap;

use super::super::stop::Stop;

/// The model.
#[derive(Debug)]
pub(in super::super) struct WordLevel {
    pieces: HashMap<Box<str>, u32>,
    unknown: Option<u32>,
}

impl WordLevel {
    /// Makes a model of pieces and their ids.
    pub(in super::super) fn new<'a>(
        pieces: impl Iterator<Item = (&'a str, u32)>,
        unknown: &str,
    ) -> Self {
        let pieces: HashMap<Box<str>, u32> = pieces.map(|(piece, id)| (piece.into(), id)).collect();
        Self { unknown: pieces.get(unknown).copied(), pieces }
    }

    /// Returns the id of a unit.
    pub(super) fn id_of(&self, unit: &str) -> Result<u32, Stop> {
        // A vocabulary without the unknown piece has an error to tell.
        self.pieces.get(unit).copied().or(self.unknown).ok_or(Stop::Oracle)
    }

    /// Returns how much memory the table takes, in bytes.
    pub(super) fn memory(&self) -> usize {
        let texts: usize = self.pieces.keys().map(|piece| piece.len()).sum();
        texts + self.pieces.capacity() * size_of::<(Box<str>, u32)>()
    }
}
