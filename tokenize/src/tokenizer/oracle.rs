//! The oracle of a `tokenizer.json`: Hugging Face `tokenizers`, which also serves what the engine does
//! not cover.

use std::path::Path;

use ratdata_schemas::{Checksum, TokenId};
use serde::Deserialize;
use serde_json::Value;

use super::boundary::{Bound, Broken, bounded};
use super::decode::Decoder;
use super::encoder::{Piece, SpecialInText};
use super::error::EncodeError;
use super::limits::MOST_ADDED_BYTES;
use super::parts::BoundedTokenizer;
use super::{Aligned, Inner, Semantics, content};

/// A `tokenizer.json` as `tokenizers` reads it, without truncation, padding or post-processing.
#[derive(Clone, Debug)]
pub(super) struct JsonOracle {
    tokenizer: Box<BoundedTokenizer>,
    /// The file's decoder, as it is written there.
    decoder: Value,
}

/// The part of the file that is read once more, as text.
#[derive(Deserialize)]
struct Written {
    #[serde(default)]
    decoder: Value,
}

impl JsonOracle {
    /// Loads the file again, which has to be the one of this checksum still.
    ///
    /// # Errors
    ///
    /// It is another now, or `tokenizers` refuses it.
    pub(super) fn load(path: &Path, checksum: &Checksum) -> Result<Self, String> {
        let bytes = content::read(path).map_err(|wrong| wrong.to_string())?;
        if Checksum::of(&bytes) != *checksum {
            return Err("the file was changed while it was in use".into());
        }
        Self::parse(&bytes)
    }

    /// Reads the bytes of a file.
    ///
    /// # Errors
    ///
    /// `tokenizers` refuses them.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        // What is counted here is what the normalizer does to added tokens.
        let parsed = bounded(bytes.len().min(MOST_ADDED_BYTES), || -> tokenizers::Result<Self> {
            let mut tokenizer: BoundedTokenizer = serde_json::from_slice(bytes)?;
            // A file may ask for truncation or padding; documents are encoded whole.
            tokenizer.with_truncation(None)?;
            tokenizer.with_padding(None);
            // Without special tokens a post-processor does nothing but trim places in the text.
            tokenizer.with_post_processor(None::<tokenizers::PostProcessorWrapper>);
            let Written { decoder } = serde_json::from_slice(bytes)?;
            Ok(Self { tokenizer: Box::new(tokenizer), decoder })
        });
        match parsed {
            Ok(Ok(oracle)) => Ok(oracle),
            Ok(Err(wrong)) => Err(wrong.to_string()),
            Err(broken) => Err(broken.to_string()),
        }
    }

    /// Returns the table that decodes ids below `count`; none where only the oracle can decode them.
    pub(super) fn decoder(&self, count: u32) -> Option<Decoder> {
        Decoder::of_steps(&self.decoder, (0..count).map(|id| self.tokenizer.id_to_token(id)))
    }

    /// Returns the same, reading special tokens as plain text.
    pub(super) fn reading_plainly(&self) -> Self {
        let mut plain = self.clone();
        plain.tokenizer.set_encode_special_tokens(true);
        plain
    }

    /// Returns the ids of a text.
    pub(super) fn encode(&self, path: &Path, text: &str) -> Result<Vec<TokenId>, EncodeError> {
        let encoded = bounded(text.len(), || -> tokenizers::Result<_> {
            let encoding = self.tokenizer.encode_fast(text, false)?;
            Ok(encoding.get_ids().to_vec())
        });
        told(path, encoded)
    }

    /// Returns the ids of a text, and the bytes that each stands for.
    pub(super) fn encode_aligned(&self, path: &Path, text: &str) -> Result<Aligned, EncodeError> {
        let encoded = bounded(text.len(), || -> tokenizers::Result<Aligned> {
            let encoding = self.tokenizer.encode(text, false)?;
            let places = encoding.get_offsets().iter().map(|&(start, end)| start..end);
            Ok((encoding.get_ids().to_vec(), places.collect()))
        });
        told(path, encoded)
    }

    /// Returns the text of ids, where `tokenizers` gives one.
    pub(super) fn decode(&self, ids: &[TokenId]) -> Option<String> {
        // An id stands for a few bytes.
        bounded(ids.len() * 4, || self.tokenizer.decode(ids, false).ok()).ok().flatten()
    }
}

/// Says of the tokenizer at `path` what became of an encoding.
fn told<T>(path: &Path, encoded: Result<tokenizers::Result<T>, Broken>) -> Result<T, EncodeError> {
    let path = path.to_owned();
    match encoded {
        Ok(Ok(encoded)) => Ok(encoded),
        Ok(Err(wrong)) => Err(match wrong.downcast::<Bound>() {
            Ok(bound) => EncodeError::Bound { path, bound: *bound },
            Err(wrong) => EncodeError::Oracle { path, reason: wrong.to_string() },
        }),
        Err(Broken::Bound(bound)) => Err(EncodeError::Bound { path, bound }),
        Err(Broken::Panic(reason)) => Err(EncodeError::Broken { path, reason }),
    }
}

impl Inner {
    /// Returns the oracle's ids of a text.
    pub(super) fn oracle_encode(
        &self,
        text: &str,
        specials: SpecialInText,
    ) -> Result<Vec<TokenId>, EncodeError> {
        if specials == SpecialInText::Error {
            self.for_each_piece(text, specials, |_| {})?;
        }
        if let (Semantics::SentencePiece, Some(engine)) = (self.semantics, &self.engine) {
            let mut ids = Vec::new();
            self.for_each_piece(text, specials, |piece| match piece {
                Piece::Text { text, at_start } => ids.extend(engine.encode_uncut(text, at_start)),
                Piece::Token(id) => ids.push(id),
            })?;
            return Ok(ids);
        }
        let oracle = match specials {
            SpecialInText::Plain => self.plain_oracle(),
            SpecialInText::Parse | SpecialInText::Error => self.json_oracle(),
        };
        oracle.map_err(|reason| self.refused(reason))?.encode(&self.path, text)
    }

    /// Returns the oracle's ids with the bytes that each stands for, where the file is JSON.
    pub(super) fn oracle_encode_aligned(&self, text: &str) -> Result<Option<Aligned>, EncodeError> {
        if self.semantics != Semantics::Json {
            return Ok(None);
        }
        let oracle = self.json_oracle().map_err(|reason| self.refused(reason))?;
        oracle.encode_aligned(&self.path, text).map(Some)
    }

    /// Says of an encoding that it broke off.
    pub(super) fn broken(&self, broken: &Broken) -> EncodeError {
        EncodeError::Broken { path: self.path.clone(), reason: broken.to_string() }
    }

    fn refused(&self, reason: String) -> EncodeError {
        EncodeError::Oracle { path: self.path.clone(), reason }
    }

    /// Returns the oracle that reads special tokens as plain text.
    fn plain_oracle(&self) -> Result<&JsonOracle, String> {
        let loaded = self.plain_oracle.get_or_init(|| Ok(self.json_oracle()?.reading_plainly()));
        loaded.as_ref().map_err(Clone::clone)
    }

    pub(super) fn json_oracle(&self) -> Result<&JsonOracle, String> {
        let loaded = self.oracle.get_or_init(|| JsonOracle::load(&self.path, &self.file));
        loaded.as_ref().map_err(Clone::clone)
    }
}
