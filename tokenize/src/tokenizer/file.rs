//! The file that a tokenizer is loaded from.

use std::path::{Path, PathBuf};

use ratdata_schemas::Checksum;

use super::encoding::Encoding;
use super::error::TokenizerError;
use super::file_kind::{self, FileKind, Foreign};

/// Whose results the ids equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Semantics {
    /// Hugging Face `tokenizers`, from a `tokenizer.json`.
    Json,
    /// SentencePiece, from a `.model`.
    SentencePiece,
    /// `tiktoken`, from a file of ranks that is named after its encoding.
    Tiktoken(Encoding),
    /// `mistral_common`, from a `tekken.json`.
    Tekken,
}

impl Semantics {
    /// Returns the name in manifests.
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "tokenizers",
            Self::SentencePiece => "sentencepiece",
            Self::Tiktoken(_) => "tiktoken",
            Self::Tekken => "mistral_common",
        }
    }
}

impl From<Semantics> for ratdata_schemas::Semantics {
    fn from(semantics: Semantics) -> Self {
        match semantics {
            Semantics::Json => Self::Tokenizers,
            Semantics::SentencePiece => Self::SentencePiece,
            Semantics::Tiktoken(_) => Self::Tiktoken,
            Semantics::Tekken => Self::MistralCommon,
        }
    }
}

/// A tokenizer's file, as it was when it was read.
#[derive(Clone, Debug)]
pub(super) struct TokenizerFile {
    pub(super) path: PathBuf,
    pub(super) semantics: Semantics,
    /// The checksum of the bytes.
    checksum: Checksum,
    /// The checksum of the bytes and the semantics.
    pub(super) fingerprint: Checksum,
}

impl TokenizerFile {
    /// Reads the file that a path names: itself, or the `tokenizer.json` of a folder.
    ///
    /// # Errors
    ///
    /// It cannot be read, or is no tokenizer.
    pub(super) fn read(path: &Path) -> Result<(Self, Vec<u8>), TokenizerError> {
        let path = if path.is_dir() { in_folder(path)? } else { path.to_owned() };
        let bytes = file_kind::read(&path)?;
        let semantics = match file_kind::kind(&path, &bytes) {
            Ok(FileKind::Json) => Semantics::Json,
            Ok(FileKind::Model) => Semantics::SentencePiece,
            Ok(FileKind::Tekken) => Semantics::Tekken,
            Ok(FileKind::Tiktoken) => match Encoding::of_file(&path) {
                Some(encoding) => Semantics::Tiktoken(encoding),
                None => return Err(TokenizerError::Encoding { path }),
            },
            Err(Foreign { found, hint }) => {
                return Err(TokenizerError::Foreign { path, found, hint });
            }
        };
        let checksum = Checksum::of(&bytes);
        // The name decides ids, too, where it is the encoding's.
        let about = match semantics {
            Semantics::Tiktoken(encoding) => format!("tiktoken {} {checksum}", encoding.name()),
            other => format!("{} {checksum}", other.name()),
        };
        let fingerprint = Checksum::of(about.as_bytes());
        Ok((Self { path, semantics, checksum, fingerprint }, bytes))
    }

    /// Reads the same bytes again.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or has other bytes now.
    pub(super) fn read_again(&self) -> Result<Vec<u8>, String> {
        let bytes = file_kind::read(&self.path).map_err(|wrong| wrong.to_string())?;
        if Checksum::of(&bytes) == self.checksum {
            Ok(bytes)
        } else {
            Err("the file was changed while it was in use".into())
        }
    }
}

fn in_folder(path: &Path) -> Result<PathBuf, TokenizerError> {
    let file = path.join("tokenizer.json");
    if file.is_file() {
        return Ok(file);
    }
    let has_model = path.join("tokenizer.model").is_file();
    Err(TokenizerError::EmptyFolder { path: path.to_owned(), has_model })
}
