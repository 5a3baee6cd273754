//! A tokenizer's vocabulary: its pieces, its added tokens, and the ids with a purpose.

use ratdata_schemas::{Dtype, TokenId, narrow};

use super::added::tokens::AddedTokens;
use super::bos_eos::BosEos;
use super::error::EncodeError;

/// The pieces of a tokenizer, by id, and the ids with a purpose.
#[derive(Debug)]
pub(super) struct Vocabulary {
    /// By id; an id that no piece has is empty.
    pub(super) pieces: Vec<String>,
    pub(super) added: AddedTokens,
    pub(super) bos_eos: BosEos,
    /// The id that the model gives to text that it cannot spell.
    pub(super) model_unk: Option<TokenId>,
}

impl Vocabulary {
    /// Returns the largest id plus one.
    pub(super) fn size(&self) -> u32 {
        narrow(self.pieces.len())
    }

    /// Returns the id of a piece or added token, by its text.
    pub(super) fn id_of(&self, piece: &str) -> Option<TokenId> {
        id_of(&self.pieces, piece)
    }

    /// Returns the piece of an id as the vocabulary writes it.
    pub(super) fn piece(&self, id: TokenId) -> Option<&str> {
        self.pieces.get(id as usize).map(String::as_str)
    }

    /// Returns the id of text that cannot be spelt.
    pub(super) fn unk(&self) -> Option<TokenId> {
        self.model_unk.or_else(|| self.added.first_special(&["<unk>", "[UNK]"]))
    }

    /// Returns the id that fills rows up.
    pub(super) fn pad(&self) -> Option<TokenId> {
        self.added.first_special(&["<pad>", "[PAD]", "<|pad|>"])
    }

    /// Checks that ids fit a width.
    ///
    /// # Errors
    ///
    /// The vocabulary has more ids than the width holds.
    pub(super) fn check_width(&self, dtype: Dtype) -> Result<(), EncodeError> {
        let vocab_size = self.size();
        if dtype == Dtype::U16 && Dtype::for_vocab(vocab_size) != Dtype::U16 {
            return Err(EncodeError::Width { vocab_size, dtype });
        }
        Ok(())
    }
}

/// Returns the id of a piece.
pub(super) fn id_of(pieces: &[String], piece: &str) -> Option<TokenId> {
    pieces.iter().position(|other| other == piece).map(narrow)
}
