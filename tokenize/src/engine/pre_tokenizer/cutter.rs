//! Finds the places where a text is cut into units, block by block.

use ratdata_schemas::narrow;

use super::gpt2::{self, Gpt2State};
use super::gpt4::Walk;
use super::gpt4_blocks::{self, BlockState};
use super::joins::Joins;
use super::pattern::Pattern;
use super::splits::PieceEnds;
use crate::engine::mask::{self, BLOCK};
use crate::engine::simd::{Level, PairTables, pair_mask};

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

/// Room for a cut at each byte, and for the surplus that a block writes after its last cut.
const ROOM: usize = WINDOW + BLOCK + 1;

impl Cuts {
    /// Returns the places in the text, in order.
    pub(crate) fn ends(&self) -> &[u32] {
        &self.ends[..self.len]
    }

    fn clear(&mut self) {
        self.ends.resize(ROOM, 0); // at first use only, so that an empty one costs nothing
        self.len = 0;
    }

    /// Adds the places of a mask's bits, counted from `at`.
    ///
    /// Writes eight slots at a time; surplus slots are overwritten later. The count is unpredictable, and
    /// a mispredicted branch costs more than a few wasted stores.
    #[inline]
    fn push_mask(&mut self, at: u32, mut mask: u64) {
        let count = mask.count_ones() as usize;
        let Some(block) = self.ends[self.len..].first_chunk_mut::<BLOCK>() else { return };
        for eight in block.as_chunks_mut::<8>().0.iter_mut().take(count.div_ceil(8)) {
            for end in eight {
                *end = at + mask.trailing_zeros();
                mask &= mask.wrapping_sub(1);
            }
        }
        self.len += count;
    }

    #[inline]
    fn push(&mut self, at: u32) {
        self.ends[self.len] = at;
        self.len += 1;
    }

    /// Adds the ends of units up to `to`, as far as masks find them; returns the end of a block that is left to the walk.
    fn push_blocks(&mut self, walk: &Walk<'_>, state: &mut CutState, to: usize) -> usize {
        let base = state.walked;
        let mut blocks = BlockState::at(base);
        for at in (base..walk.text.len()).step_by(BLOCK) {
            let Some(cuts) =
                gpt4_blocks::cut_mask(walk.rules, walk.level, walk.text, at, &mut blocks)
            else {
                return at + BLOCK;
            };
            let within = cuts & mask::first(to.saturating_sub(at));
            if within != 0 {
                self.push_walked(state);
                let last = BLOCK - 1 - within.leading_zeros() as usize;
                self.push_mask(narrow(at), within & !(1 << last));
                state.walked = at + last;
            }
            if cuts != within {
                self.push_walked(state);
                state.walked = at + (cuts & !within).trailing_zeros() as usize;
                return to;
            }
        }
        self.push_walked(state);
        state.walked = walk.text.len();
        to
    }

    /// Adds the end of the last unit that was found, unless it is the beginning of the text.
    #[inline]
    fn push_walked(&mut self, state: &CutState) {
        if state.walked > 0 {
            self.push(narrow(state.walked));
        }
    }

    /// Adds the ends of units up to `to`, each of which `unit_end` finds from its beginning.
    #[inline]
    fn push_walk(
        &mut self,
        state: &mut CutState,
        to: usize,
        mut unit_end: impl FnMut(usize, &mut PieceEnds) -> usize,
    ) {
        while state.walked < to {
            self.push_walked(state);
            state.walked = unit_end(state.walked, &mut state.pieces);
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
    gpt2: Gpt2State,
    gpt4: BlockState,
    /// Where the last unit ends that a walk has found, in this window or after it.
    walked: usize,
    pieces: PieceEnds,
}

impl CutState {
    /// The state before a text; `prefixed` where a `▁` stands in front of it.
    pub(crate) fn new(prefixed: bool) -> Self {
        Self {
            before: b' ',
            first: !prefixed,
            gpt2: Gpt2State::default(),
            gpt4: BlockState::default(),
            walked: 0,
            pieces: PieceEnds::default(),
        }
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
                    out.push_mask(narrow(at), joins.cut_mask(level, text, at, block, state));
                    state.before = block[block.len() - 1];
                    state.first = false;
                }
            }
            Self::Pattern(Pattern::Gpt2) => {
                for at in window.blocks() {
                    out.push_mask(narrow(at), gpt2::cut_mask(level, text, at, &mut state.gpt2));
                }
            }
            Self::Pattern(Pattern::Gpt4(rules)) if !rules.cased => {
                for at in window.blocks() {
                    let cuts = gpt4_blocks::cut_mask(*rules, level, text, at, &mut state.gpt4);
                    // Without cases there always are some.
                    out.push_mask(narrow(at), cuts.unwrap_or(0));
                }
            }
            Self::Pattern(Pattern::Gpt4(rules)) => {
                let mut walk = Walk::new(*rules, level, text);
                while state.walked < to {
                    let block = out.push_blocks(&walk, state, to);
                    // What the masks leave open.
                    out.push_walk(state, to.min(block), |start, _| walk.unit_end(start));
                }
            }
            Self::Pattern(Pattern::Splits(splits)) => {
                out.push_walk(state, to, |start, ends| splits.unit_end(text, start, ends));
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
