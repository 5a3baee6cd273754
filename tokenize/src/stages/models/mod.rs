//! Models: each gives the ids of a unit as the model of its name in Hugging Face `tokenizers` does.

mod bpe;
pub(crate) mod piece_link;
mod trie;
mod unigram;
mod word_level;
mod word_piece;

use super::stop::Stop;
pub(super) use bpe::Bpe;
pub(crate) use bpe::BpeOptions;
pub(crate) use trie::Trie;
pub(super) use unigram::Unigram;
pub(super) use word_level::WordLevel;
pub(super) use word_piece::WordPiece;

/// A model.
#[derive(Debug)]
pub(super) enum Model {
    Bpe(Bpe),
    Unigram(Unigram),
    WordLevel(WordLevel),
    WordPiece(WordPiece),
}

/// What models work in, and the ids of the last unit.
#[derive(Clone, Debug, Default)]
pub(super) struct Scratch {
    pub(super) ids: Vec<u32>,
    links: Vec<u32>,
    scores: Vec<f64>,
    merging: bpe::Merging,
}

impl Model {
    /// Puts the ids of a unit, which is not empty, into the scratch.
    ///
    /// # Errors
    ///
    /// The oracle has to be asked.
    pub(super) fn encode(&self, unit: &str, scratch: &mut Scratch) -> Result<(), Stop> {
        scratch.ids.clear();
        match self {
            Self::Bpe(bpe) => bpe.encode(unit, &mut scratch.merging, &mut scratch.ids),
            Self::Unigram(unigram) => unigram.encode(unit, scratch),
            Self::WordLevel(word_level) => {
                scratch.ids.push(word_level.id_of(unit)?);
                Ok(())
            }
            Self::WordPiece(word_piece) => word_piece.encode(unit, scratch),
        }
    }

    /// Returns how much memory the model's tables take, in bytes.
    pub(super) fn memory(&self) -> usize {
        match self {
            Self::Bpe(bpe) => bpe.memory(),
            Self::Unigram(unigram) => unigram.memory(),
            Self::WordLevel(word_level) => word_level.memory(),
            Self::WordPiece(word_piece) => word_piece.memory(),
        }
    }
}
