//! SentencePiece models: BPE, compiled for the engine, and Unigram, which `unigram.rs` encodes.

pub(crate) mod model;
mod normalizer;
#[cfg(test)]
mod tests;
pub(crate) mod unigram;

use ratdata_schemas::narrow;
use rustc_hash::FxHashMap as HashMap;

use super::added::token::AddedToken;
use crate::bounds::limits::{MOST_MERGES, MOST_SPLITTING};
use crate::engine::MAX_IDS;
use crate::engine::bpe::pairs::{Merge, PairTable, Symbol};
use crate::engine::bpe::vocabulary::{Alphabet, Bpe, Fallback};
use crate::engine::compiled::{Compiled, Prefix, Reading};
use crate::engine::pre_tokenizer::joins::Joins;
use crate::engine::runs::RunTokens;
use model::{PieceKind, SentencePieceModel};

/// `model_type` of a Unigram model.
pub(crate) const UNIGRAM: u64 = 1;

/// `model_type` of a BPE model.
const BPE: u64 = 2;

/// Compiles a BPE model, or says what in it is not covered.
///
/// SentencePiece merges any two neighbours whose text together is a piece, the piece of the best
/// score first, the leftmost among equals. So the merges of a piece are all its splits into two
/// symbols, and its rank is the place of its score among all scores.
pub(crate) fn compile(model: &SentencePieceModel) -> Result<Compiled, String> {
    if model.model_type != BPE {
        return Err("its model type is neither Unigram nor BPE".into());
    }
    let rewrites = !model.character_map.is_empty() || model.remove_extra_whitespaces;
    if rewrites || !model.escape_whitespaces || model.space_after {
        return Err("its normalizer rewrites the text".into());
    }
    if let Some(piece) = model
        .pieces
        .iter()
        .find(|piece| matches!(piece.kind, PieceKind::UserDefined | PieceKind::Unused))
    {
        return Err(format!("its piece `{}` is user-defined or unused", piece.text));
    }
    let num_ids = u32::try_from(model.pieces.len()).map_err(|_| "it has too many pieces")?;
    if num_ids > MAX_IDS {
        return Err(format!("it has {num_ids} pieces, expected at most {MAX_IDS}"));
    }
    let symbols = Symbols::of(model, num_ids);
    let merges = merges(model, &symbols)?;
    let unknown = place_of(model, PieceKind::Unknown).unwrap_or(0);
    let fallback = match model.byte_ids() {
        Some(bytes) if model.byte_fallback => Fallback::Bytes(bytes),
        _ => Fallback::Unknown { id: unknown, fused: true },
    };
    let alphabet = Alphabet::of_chars(symbols.characters());
    let prefix = if model.add_dummy_prefix { Prefix::EachPiece } else { Prefix::Never };
    let joins =
        Joins::new(normal(model).map(|(_, text, _)| text), false, &alphabet, &fallback, num_ids, 0);
    let pairs = PairTable::new(&merges);
    Ok(Compiled {
        bpe: Bpe { alphabet, pairs, fallback, num_ids, whole_units: None },
        reading: Reading::Spaces { prefix, joins, runs: RunTokens::default() },
    })
}

/// Returns the control pieces and the unknown piece, which a text may spell.
pub(crate) fn added(model: &SentencePieceModel) -> Vec<AddedToken> {
    (0..)
        .zip(&model.pieces)
        .filter(|(_, piece)| matches!(piece.kind, PieceKind::Control | PieceKind::Unknown))
        .map(|(id, piece)| AddedToken {
            id,
            content: piece.text.clone(),
            special: true,
            normalized: false,
            replaced: Vec::new(),
        })
        .collect()
}

fn normal(model: &SentencePieceModel) -> impl Iterator<Item = (u32, &str, f32)> {
    (0..)
        .zip(&model.pieces)
        .filter(|(_, piece)| piece.kind == PieceKind::Normal)
        .map(|(id, piece)| (id, piece.text.as_str(), piece.score))
}

fn place_of(model: &SentencePieceModel, kind: PieceKind) -> Option<u32> {
    (0..).zip(&model.pieces).find(|(_, piece)| piece.kind == kind).map(|(id, _)| id)
}

/// The symbols that merging passes through: pieces, and characters that are only parts of pieces.
struct Symbols<'a> {
    pieces: HashMap<&'a str, Symbol>,
    parts: HashMap<char, Symbol>,
}

impl<'a> Symbols<'a> {
    fn of(model: &'a SentencePieceModel, num_ids: u32) -> Self {
        let mut pieces =
            HashMap::with_capacity_and_hasher(model.pieces.len(), rustc_hash::FxBuildHasher);
        for (id, text, _) in normal(model) {
            pieces.entry(text).or_insert(id);
        }
        let mut parts = HashMap::default();
        for (_, text, _) in normal(model) {
            for character in text.chars() {
                if !pieces.contains_key(character.encode_utf8(&mut [0; 4]) as &str) {
                    let next = num_ids + narrow::<_, u32>(parts.len());
                    parts.entry(character).or_insert(next);
                }
            }
        }
        Self { pieces, parts }
    }

    fn get(&self, text: &str) -> Option<Symbol> {
        self.pieces.get(text).copied().or_else(|| {
            let mut characters = text.chars();
            let first = characters.next()?;
            characters.as_str().is_empty().then(|| self.parts.get(&first).copied()).flatten()
        })
    }

    fn characters(&self) -> Vec<(char, Symbol)> {
        let whole = self.pieces.iter().filter_map(|(text, &symbol)| {
            let mut characters = text.chars();
            let first = characters.next()?;
            characters.as_str().is_empty().then_some((first, symbol))
        });
        whole.chain(self.parts.iter().map(|(&character, &symbol)| (character, symbol))).collect()
    }
}

/// Returns all splits of pieces into two symbols.
fn merges(model: &SentencePieceModel, symbols: &Symbols<'_>) -> Result<Vec<Merge>, String> {
    // Each split looks at the whole piece.
    let splitting = normal(model).map(|(_, text, _)| (text.len() as u64).pow(2)).sum::<u64>();
    if splitting > MOST_SPLITTING {
        return Err(format!(
            "its pieces are too long to be split in all ways: {splitting} steps, expected at most {MOST_SPLITTING}"
        ));
    }
    let mut scores: Vec<f32> = normal(model).map(|(_, _, score)| score).collect();
    scores.sort_unstable_by(|a, b| b.total_cmp(a));
    scores.dedup();
    let mut merges = Vec::with_capacity(2 * model.pieces.len());
    for (id, text, score) in normal(model) {
        let rank = narrow(scores.partition_point(|&better| better.total_cmp(&score).is_gt()));
        for (cut, _) in text.char_indices().skip(1) {
            let (left, right) = text.split_at(cut);
            if let (Some(left), Some(right)) = (symbols.get(left), symbols.get(right)) {
                merges.push(Merge { left, right, rank, becomes: id });
            }
        }
        if merges.len() > MOST_MERGES {
            return Err(format!("its pieces make more than {MOST_MERGES} merges"));
        }
    }
    Ok(merges)
}
