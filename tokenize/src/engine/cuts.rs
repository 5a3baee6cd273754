//! Finds the places where a text is cut into units, block by block.

use super::joins::Joins;
use super::pretokenize::{self, PatternState};
use super::scan::{Level, PairTables, pair_mask};
use super::walk::{Rules, Walk};

/// How much text is cut at a time: the cuts then stay in the nearest cache.
pub(crate) const WINDOW: usize = 8192;

/// The cuts of one window, and, of the last one, the end of the text.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cuts {
    ends: Vec<u32>,
    len: usize,
}

/// Room for a cut a byte, and what a block writes beyond its last.
const ROOM: usize = WINDOW + 64 + 1;

impl Cuts {
    /// Returns the places in the text, in order.
    pub(crate) fn ends(&self) -> &[u32] {
        &self.ends[..self.len]
    }

    /// Adds the places of a mask's bits, counted from `at`.
    ///
    /// Eight at a time, those beyond the last being overwritten: how many there are is not to be
    /// foreseen, and a wrong guess for each block costs more than some writes in vain.
    #[inline]
    fn push_mask(&mut self, at: u32, mut mask: u64) {
        let count = mask.count_ones() as usize;
        let Some(block) = self.ends[self.len..].first_chunk_mut::<64>() else { return };
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
}

/// A pre-tokenization pattern that the engine knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// GPT-2's.
    Gpt2,
    /// One of GPT-4's family.
    Walk(Rules),
}

impl Pattern {
    /// Recognizes a pattern by its text.
    pub(crate) fn from_regex(regex: &str) -> Option<Self> {
        if pretokenize::is_gpt2(regex) {
            return Some(Self::Gpt2);
        }
        Rules::from_regex(regex).map(Self::Walk)
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

/// Where the scan of one text stands, between two windows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CutState {
    before: u8, // the byte in front; a space where a `▁` was put before the text
    first: bool,
    pattern: PatternState,
    /// Where the last unit ends that a walk has found, in this window or after it.
    walked: usize,
}

impl CutState {
    /// The state before a text; `prefixed` where a `▁` stands in front of it.
    pub(crate) fn new(prefixed: bool) -> Self {
        Self { before: b' ', first: !prefixed, pattern: PatternState::default(), walked: 0 }
    }
}

impl Cutter {
    /// Finds the cuts of `text[from..to]`, a window that begins at a multiple of its size.
    ///
    /// The end of the text is one of them. Windows come one after the other. Place 0 is a cut only of a prefixed text, between the prefix and the first character.
    pub(crate) fn cuts(
        &self,
        level: Level,
        state: &mut CutState,
        text: &str,
        from: usize,
        to: usize,
        out: &mut Cuts,
    ) {
        out.ends.resize(ROOM, 0); // at first use only, so that an empty one costs nothing
        out.len = 0;
        let bytes = text.as_bytes();
        let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX); // `MAX_TEXT` bounds it
        match self {
            Self::Joins(joins) => {
                for at in (from..to).step_by(64) {
                    let block = &bytes[at..to.min(at + 64)];
                    out.push_mask(place(at), joins.cut_mask(level, text, at, block, state));
                    state.before = block[block.len() - 1];
                    state.first = false;
                }
            }
            Self::Pattern(Pattern::Gpt2) => {
                for at in (from..to).step_by(64) {
                    let mask = pretokenize::cut_mask(level, text, at, &mut state.pattern);
                    out.push_mask(place(at), mask);
                }
            }
            Self::Pattern(Pattern::Walk(rules)) => {
                let mut walk = Walk::new(*rules, level, text);
                while state.walked < to {
                    if state.walked > 0 {
                        out.push(place(state.walked));
                    }
                    state.walked = walk.unit_end(state.walked);
                }
            }
        }
        if to == text.len() {
            out.push(place(to));
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
