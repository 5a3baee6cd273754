//! A sequence of patterns, each of which splits the pieces of the one before.

use super::regex::split_regex::SplitRegex;

/// How many patterns a sequence has at most.
const MOST_STEPS: usize = 6;

/// Patterns, each of which splits the pieces of the one before.
#[derive(Debug)]
pub(crate) struct Splits(Vec<SplitRegex>);

/// For each pattern, the end of the piece that the walk is in.
pub(crate) type PieceEnds = [usize; MOST_STEPS];

impl Splits {
    /// Puts patterns together, or says that there are too many.
    pub(crate) fn new(patterns: Vec<SplitRegex>) -> Result<Self, String> {
        if patterns.len() > MOST_STEPS {
            return Err(format!("its pre-tokenizer splits more than {MOST_STEPS} times"));
        }
        Ok(Self(patterns))
    }

    /// Returns the end of the unit that begins at `start`, which is before the end of the text.
    ///
    /// Units come one after the other; `ends` keeps what is known from one to the next.
    pub(crate) fn unit_end(&self, text: &str, start: usize, ends: &mut PieceEnds) -> usize {
        let mut limit = text.len();
        for (pattern, end) in self.0.iter().zip(ends) {
            if *end <= start {
                *end = pattern.piece_end(&text[..limit], start);
            }
            limit = *end;
        }
        limit
    }

    /// Returns how much memory the patterns take, in bytes.
    pub(crate) fn memory(&self) -> usize {
        self.0.iter().map(SplitRegex::memory).sum()
    }
}
