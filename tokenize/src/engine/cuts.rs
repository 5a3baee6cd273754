//! Finds the places where a text is cut into units, block by block.

use super::joins::Joins;
use super::pretokenize::{self, Pattern, PatternState};
use super::scan::{Level, PairTables, pair_mask};

/// What decides where units end.
#[derive(Debug)]
pub(crate) enum Cutter {
    /// Neighbours that no piece spans.
    Joins(Joins),
    /// A byte-level pattern.
    Pattern(Pattern),
}

/// Where the scan of one text stands, between two windows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CutState {
    before: u8, // the byte in front; a space where a `▁` was put before the text
    first: bool,
    pattern: PatternState,
}

impl CutState {
    /// The state before a text; `prefixed` where a `▁` stands in front of it.
    pub(crate) fn new(prefixed: bool) -> Self {
        Self { before: b' ', first: !prefixed, pattern: PatternState::default() }
    }
}

impl Cutter {
    /// Appends the cuts of `text[from..to]`, where `from` is a multiple of 64.
    ///
    /// Place 0 is a cut only of a prefixed text, between the prefix and the first character.
    pub(crate) fn cuts(
        &self,
        level: Level,
        state: &mut CutState,
        text: &str,
        from: usize,
        to: usize,
        out: &mut Vec<usize>,
    ) {
        let bytes = text.as_bytes();
        for at in (from..to).step_by(64) {
            let mut mask = match self {
                Self::Joins(joins) => {
                    let block = &bytes[at..to.min(at + 64)];
                    let mask = joins.cut_mask(level, text, at, block, state);
                    state.before = block[block.len() - 1];
                    mask
                }
                Self::Pattern(Pattern::Gpt2) => {
                    pretokenize::cut_mask(level, text, at, &mut state.pattern)
                }
            };
            state.first = false;
            while mask != 0 {
                out.push(at + mask.trailing_zeros() as usize);
                mask &= mask - 1;
            }
        }
    }
}

impl Joins {
    /// Returns the cuts of one block.
    fn cut_mask(&self, level: Level, text: &str, at: usize, block: &[u8], state: &CutState) -> u64 {
        let tables = PairTables { first: &self.first, second: &self.second };
        let mask = pair_mask(level, tables, block, state.before);
        let live = if block.len() >= 64 { u64::MAX } else { (1 << block.len()) - 1 };
        let mut cuts = !mask.joined & live;
        let mut unsure = (mask.beyond | mask.beyond << 1 | u64::from(state.before >= 128)) & live;
        while unsure != 0 {
            let bit = unsure & unsure.wrapping_neg();
            let place = at + unsure.trailing_zeros() as usize;
            unsure ^= bit;
            if self.cut_at(text, place) { cuts |= bit } else { cuts &= !bit }
        }
        if state.first { cuts & !1 } else { cuts }
    }

    /// Returns whether the text is cut at `place`, beside a character beyond ASCII.
    ///
    /// The place before the first character follows the prefix.
    fn cut_at(&self, text: &str, place: usize) -> bool {
        if !text.is_char_boundary(place) {
            return false;
        }
        let (before, after) = text.split_at(place);
        let before = before.chars().next_back().unwrap_or(' ');
        after.chars().next().is_some_and(|after| !self.joined(before, after))
    }
}
