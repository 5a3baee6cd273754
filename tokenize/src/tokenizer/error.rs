//! Why a tokenizer could not be loaded, or a text not be encoded.

use std::io;
use std::path::PathBuf;

use ratdata_schemas::Dtype;
use thiserror::Error;

/// An error of loading a tokenizer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TokenizerError {
    /// The operating system refused the file.
    #[error("{}: cannot read the tokenizer: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The folder has no tokenizer file.
    #[error("{}: no `tokenizer.json` in this folder", .path.display())]
    EmptyFolder {
        /// The folder.
        path: PathBuf,
        /// Whether it has a `tokenizer.model`.
        has_model: bool,
    },
    /// The file is of no kind that is known.
    #[error("{}: not a tokenizer: {reason}; expected a `tokenizer.json` or a SentencePiece `.model`", .path.display())]
    UnknownKind {
        /// The file.
        path: PathBuf,
        /// What was found instead.
        reason: String,
    },
    /// A file beside the tokenizer, which names its tokens, cannot be read.
    #[error("{}: not JSON: {reason}", .path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What was found instead.
        reason: String,
    },
    /// The file is a tokenizer, but of a kind that nothing here can run.
    #[error("{}: this tokenizer cannot be run: {reason}", .path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What in it is the matter.
        reason: String,
    },
}

impl TokenizerError {
    /// Returns what the user can do about it, where there is something to do.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::EmptyFolder { has_model: true, .. } => {
                Some("there is a `tokenizer.model`; give its path to use SentencePiece's semantics")
            }
            Self::UnknownKind { .. } => Some(
                "give a file or folder as `transformers` saves it, or a name such as `llama` or `gpt2`",
            ),
            Self::Config { .. } => {
                Some("it says which tokens begin and end a document; mend it or move it away")
            }
            Self::Unsupported { .. } => {
                Some("convert it to a `tokenizer.json`, which Hugging Face `tokenizers` then runs")
            }
            _ => None,
        }
    }
}

/// An error of encoding one text.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// A special token stands in the text and was not allowed to.
    #[error("byte {at}: the text has the special token `{token}`")]
    Special {
        /// Where in the text.
        at: usize,
        /// The token.
        token: String,
    },
    /// The text is too long.
    #[error("the text has {bytes} bytes, at most {most} can be encoded as one document")]
    TooLong {
        /// Its size.
        bytes: usize,
        /// The largest size.
        most: usize,
    },
    /// The ids do not fit the width that was asked for.
    #[error("the vocabulary has {vocab_size} ids, too many for {dtype}")]
    Width {
        /// The vocabulary's size.
        vocab_size: u32,
        /// The width.
        dtype: Dtype,
    },
    /// The oracle refused.
    #[error("`tokenizers` refused the text: {0}")]
    Oracle(String),
}

impl EncodeError {
    /// Returns whether the text is at fault, and others of the same input may be right.
    pub fn is_of_row(&self) -> bool {
        matches!(self, Self::Special { .. } | Self::TooLong { .. })
    }

    /// Returns what the user can do about it, where there is something to do.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Special { .. } => {
                Some("`--special-in-text parse` makes it its id, `plain` reads it as plain text")
            }
            Self::Width { .. } => Some("leave `--dtype` at `auto`, or choose `u32`"),
            Self::TooLong { .. } | Self::Oracle(_) => None,
        }
    }
}
