//! Hugging Face `tokenizers`: the oracle of a `tokenizer.json`, which also serves what the engine does
//! not cover.

mod bounded_parts;

use std::path::Path;
use std::sync::OnceLock;

use ratdata_schemas::TokenId;
use serde::Deserialize;
use serde_json::Value;

use super::aligned_ids::AlignedIds;
use super::decoder::Decoder;
use super::error::EncodeError;
use super::file::TokenizerFile;
use crate::bounds::boundary::{Bound, Broken, bounded};
use crate::bounds::limits::MOST_ADDED_BYTES;
use bounded_parts::BoundedTokenizer;

/// The oracle of a file, loaded on first use, since that takes a while.
#[derive(Debug, Default)]
pub(super) struct Oracles {
    parsed: OnceLock<Result<JsonOracle, String>>,
    /// The same, reading special tokens as plain text.
    plain: OnceLock<Result<JsonOracle, String>>,
}

impl Oracles {
    /// Takes an oracle that was parsed.
    pub(super) fn of(oracle: JsonOracle) -> Self {
        Self { parsed: OnceLock::from(Ok(oracle)), plain: OnceLock::new() }
    }

    /// Returns the oracle of a file.
    ///
    /// # Errors
    ///
    /// The file has changed, or `tokenizers` refuses it.
    pub(super) fn parsed(&self, file: &TokenizerFile) -> Result<&JsonOracle, String> {
        let load = || JsonOracle::parse(&file.read_again()?);
        self.parsed.get_or_init(load).as_ref().map_err(Clone::clone)
    }

    /// Returns the oracle that reads special tokens as plain text.
    ///
    /// # Errors
    ///
    /// As of [`Oracles::parsed`].
    pub(super) fn plain(&self, file: &TokenizerFile) -> Result<&JsonOracle, String> {
        let load = || Ok(self.parsed(file)?.reading_plainly());
        self.plain.get_or_init(load).as_ref().map_err(Clone::clone)
    }
}

/// A `tokenizer.json` as `tokenizers` reads it, without truncation, padding or post-processing.
#[derive(Clone, Debug)]
pub(super) struct JsonOracle {
    tokenizer: Box<BoundedTokenizer>,
    /// The file's decoder, as it is written there.
    decoder: Value,
}

/// The part of the file that is read again, as text.
#[derive(Deserialize)]
struct Written {
    #[serde(default)]
    decoder: Value,
}

impl JsonOracle {
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
        result_of(path, encoded)
    }

    /// Returns the ids of a text, and the bytes that each stands for.
    pub(super) fn encode_aligned(
        &self,
        path: &Path,
        text: &str,
    ) -> Result<AlignedIds, EncodeError> {
        let encoded = bounded(text.len(), || -> tokenizers::Result<AlignedIds> {
            let encoding = self.tokenizer.encode(text, false)?;
            let ranges = encoding.get_offsets().iter().map(|&(start, end)| start..end).collect();
            Ok(AlignedIds { ids: encoding.get_ids().to_vec(), ranges })
        });
        result_of(path, encoded)
    }

    /// Returns the text of ids, where `tokenizers` gives one.
    pub(super) fn decode(&self, ids: &[TokenId]) -> Option<String> {
        // An id stands for a few bytes.
        bounded(ids.len() * 4, || self.tokenizer.decode(ids, false).ok()).ok().flatten()
    }
}

/// Returns the result of an encoding by the tokenizer at `path`.
fn result_of<T>(
    path: &Path,
    encoded: Result<tokenizers::Result<T>, Broken>,
) -> Result<T, EncodeError> {
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
