//! Finds the places where a text is cut into units, block by block.

use ratdata_schemas::narrow;

use super::block_classes::Family;
use super::joins::Joins;
use super::pattern::{Pattern, UnitWalk};
use super::splits::PieceEnds;
use super::unit_blocks::{BlockCuts, Blocks};
use crate::engine::mask::{self, BLOCK};
use crate::engine::simd::{Kernel, Level, PairTables, pair_mask, places_from, run};

/// How much text is cut at a time: the cuts then stay in the nearest cache.
const WINDOW: usize = 8192;

/// A stretch of a text that is cut at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window<'a> {
    text: &'a str,
    from: usize,
    to: usize,
}

impl<'a> Window<'a> {
    /// Returns the windows of a text, in order.
    pub(crate) fn all(text: &'a str) -> impl Iterator<Item = Self> {
        let froms = (0..text.len()).step_by(WINDOW);
        froms.map(move |from| Self { text, from, to: text.len().min(from + WINDOW) })
    }

    /// Returns where each block of the window begins.
    fn blocks(self) -> impl Iterator<Item = usize> {
        (self.from..self.to).step_by(BLOCK)
    }
}

/// The cuts of one window, and, of the last one, the end of the text.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cuts {
    ends: Vec<u32>,
    len: usize,
}

/// Room for a cut at each byte, also of a block that begins in this window and ends in the next, and for the surplus
/// that a block writes after its last cut.
const ROOM: usize = WINDOW + 2 * BLOCK + 1;

impl Cuts {
    /// Returns the places in the text, in order.
    pub(crate) fn ends(&self) -> &[u32] {
        &self.ends[..self.len]
    }

    fn clear(&mut self) {
        self.ends.resize(ROOM, 0); // at first use only, so that an empty one costs nothing
        self.len = 0;
    }

    /// Adds the places of a mask's bits, counted from `at`. What is written behind the last one is overwritten later.
    #[expect(clippy::inline_always, reason = "only what is inlined gets the caller's instructions")]
    #[inline(always)]
    fn push_mask(&mut self, level: Level, at: u32, mask: u64) {
        let Some(block) = self.ends[self.len..].first_chunk_mut() else { return };
        places_from(level, mask, at, block);
        self.len += mask.count_ones() as usize;
    }

    #[inline]
    fn push(&mut self, at: u32) {
        self.ends[self.len] = at;
        self.len += 1;
    }

    /// Adds the end of the last unit that was found, unless it is the beginning of the text.
    #[inline]
    fn push_walked(&mut self, state: &CutState) {
        if state.walked > 0 {
            self.push(narrow(state.walked));
        }
    }
}

/// The work of adding the ends of units, block by block, up to the window's end, or to a unit that masks do not find.
struct PushBlocks<'a, 'b> {
    blocks: Blocks<'a>,
    /// Where the next unit begins, in front of which nothing is left to add.
    at: usize,
    to: usize,
    out: &'b mut Cuts,
}

impl PushBlocks<'_, '_> {
    #[expect(clippy::inline_always, reason = "only what is inlined gets the caller's instructions")]
    #[inline(always)]
    fn push(mut self, family: Family) -> usize {
        while self.at < self.to
            && let Some(BlockCuts { cuts, end }) = self.blocks.cuts(family, self.at)
        {
            // The beginning of the block is a cut itself, but for that of the text.
            self.out.push_mask(self.blocks.level, narrow(self.at), cuts | u64::from(self.at > 0));
            self.at += end;
        }
        self.at
    }
}

impl Kernel for PushBlocks<'_, '_> {
    type Output = usize;

    #[expect(clippy::inline_always, reason = "only what is inlined gets the caller's instructions")]
    #[inline(always)]
    fn run(self) -> usize {
        match self.blocks.family {
            Family::Gpt2 => self.push(Family::Gpt2),
            Family::Words => self.push(Family::Words),
            Family::CasedWords => self.push(Family::CasedWords),
            Family::DeepSeek => self.push(Family::DeepSeek),
        }
    }
}

/// What decides where units end.
#[derive(Debug)]
pub(crate) enum Cutter {
    /// Neighbours that no piece spans.
    Joins(Joins),
    /// A byte-level pattern.
    Pattern(Pattern),
}

/// The state of the scan of one text, between two windows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CutState {
    before: u8, // the byte in front; a space where a `▁` was put before the text
    first: bool,
    /// Where the next unit begins, in this window or after it; the cut there is still to be added.
    walked: usize,
    pieces: PieceEnds,
}

impl CutState {
    /// The state before a text; `prefixed` where a `▁` stands in front of it.
    pub(crate) fn new(prefixed: bool) -> Self {
        Self { before: b' ', first: !prefixed, walked: 0, pieces: PieceEnds::default() }
    }
}

impl Cutter {
    /// Finds the cuts of a window; windows of a text come one after the other.
    ///
    /// The end of the text is a cut. Place 0 is one only of a prefixed text, between the prefix and the
    /// first character.
    pub(crate) fn cuts(
        &self,
        level: Level,
        state: &mut CutState,
        window: Window<'_>,
        out: &mut Cuts,
    ) {
        out.clear();
        let Window { text, to, .. } = window;
        match self {
            Self::Joins(joins) => {
                for at in window.blocks() {
                    let block = &text.as_bytes()[at..to.min(at + BLOCK)];
                    out.push_mask(level, narrow(at), joins.cut_mask(level, text, at, block, state));
                    state.before = block[block.len() - 1];
                    state.first = false;
                }
            }
            Self::Pattern(pattern) => {
                let blocks = pattern.blocks(level, text);
                let mut walk = UnitWalk::new(pattern, level, text);
                while state.walked < to {
                    if let Some(blocks) = blocks {
                        state.walked = run(level, PushBlocks { blocks, at: state.walked, to, out });
                        if state.walked >= to {
                            break;
                        }
                    }
                    out.push_walked(state);
                    state.walked = walk.unit_end(state.walked, &mut state.pieces);
                }
            }
        }
        if to == text.len() {
            out.push(narrow(to));
        }
    }
}

impl Joins {
    /// Returns the cuts of one block.
    fn cut_mask(&self, level: Level, text: &str, at: usize, block: &[u8], state: &CutState) -> u64 {
        let tables = PairTables { first: &self.first, second: &self.second };
        let pairs = pair_mask(level, tables, block, state.before);
        let live = mask::first(block.len());
        let mut cuts = !pairs.joined & live;
        let unsure = (pairs.beyond | pairs.beyond << 1 | u64::from(state.before >= 128)) & live;
        for place in mask::places(unsure) {
            let bit = 1 << place;
            if self.cut_at(text, at + place) { cuts |= bit } else { cuts &= !bit }
        }
        if state.first { cuts & !1 } else { cuts }
    }

    /// Returns whether the text is cut at `place`, next to a character beyond ASCII.
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
