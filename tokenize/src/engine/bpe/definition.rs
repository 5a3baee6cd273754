//! The plain twin of the engine: BPE by its definition, over a whole text, without cuts or caches.
//!
//! It is quadratic on purpose: tests and fuzzing compare the engine with it.

use ratdata_schemas::TokenId;

use super::pairs::{NO_RANK, Symbol};
use super::vocabulary::Bpe;

/// Returns the ids of `text`.
///
/// A text that is a whole unit has that unit's id. Else the pair of the lowest rank merges, the leftmost
/// among equals, until no two neighbours merge.
pub(crate) fn encode(bpe: &Bpe, text: &str) -> Vec<TokenId> {
    if let Some(id) = bpe.whole(text) {
        return vec![id];
    }
    let mut symbols: Vec<(Symbol, &str)> = Vec::new();
    bpe.alphabet.spell(text, |symbol, start, end| {
        // A byte of a byte-level alphabet is no text of its own, and is never emitted as such.
        symbols.push((symbol, text.get(start..end).unwrap_or("")));
    });
    loop {
        let best = symbols
            .windows(2)
            .enumerate()
            .map(|(at, pair)| (bpe.pairs.get(pair[0].0, pair[1].0), at))
            .filter(|((rank, _), _)| *rank != NO_RANK)
            .min_by_key(|((rank, _), at)| (*rank, *at));
        let Some(((_, becomes), at)) = best else { break };
        symbols[at].0 = becomes;
        symbols.remove(at + 1);
    }
    let mut ids = Vec::new();
    let mut last_unknown = false;
    for (symbol, spelt) in symbols {
        bpe.emit(symbol, spelt, &mut last_unknown, &mut ids);
    }
    ids
}
