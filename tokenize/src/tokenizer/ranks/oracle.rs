//! The slow twin of the engine for vocabularies with ranks: `tiktoken`'s own algorithm, on Oniguruma.

use ratdata_schemas::TokenId;
use rustc_hash::FxHashMap;

use super::RankedVocabulary;
use crate::bounds::Bound;
use crate::bounds::pattern::BoundedPattern;

/// A vocabulary as `tiktoken` has it: what cuts a text, and the id of each piece.
#[derive(Debug)]
pub(crate) struct RankOracle {
    pattern: BoundedPattern,
    ids: FxHashMap<Box<[u8]>, TokenId>,
}

impl RankOracle {
    /// Makes the oracle of a vocabulary.
    ///
    /// # Errors
    ///
    /// Oniguruma refuses its pattern.
    pub(crate) fn new(vocabulary: RankedVocabulary) -> Result<Self, String> {
        let pattern = BoundedPattern::regex("pattern", &vocabulary.pattern)?;
        let pieces = vocabulary.pieces.into_iter();
        Ok(Self { pattern, ids: pieces.map(|(piece, id)| (piece.into(), id)).collect() })
    }

    /// Appends the ids of a text without special tokens.
    ///
    /// # Errors
    ///
    /// The pattern takes more steps than a text may cost.
    pub(crate) fn encode(&self, text: &str, out: &mut Vec<TokenId>) -> Result<(), Bound> {
        for ((start, end), is_match) in self.pattern.stretches(text)? {
            if is_match {
                self.merge(&text.as_bytes()[start..end], out);
            }
        }
        Ok(())
    }

    fn merge(&self, unit: &[u8], out: &mut Vec<TokenId>) {
        if let Some(id) = self.ids.get(unit) {
            out.push(*id);
            return;
        }
        // Where each part begins, and the end of the unit.
        let mut starts: Vec<usize> = (0..=unit.len()).collect();
        let rank = |starts: &[usize], at: usize| {
            let end = *starts.get(at + 2)?;
            self.ids.get(&unit[starts[at]..end]).map(|id| (*id, at))
        };
        while let Some((_, at)) = (0..starts.len()).filter_map(|at| rank(&starts, at)).min() {
            starts.remove(at + 1);
        }
        let parts = starts.windows(2).filter_map(|ends| self.ids.get(&unit[ends[0]..ends[1]]));
        out.extend(parts.copied());
    }
}
