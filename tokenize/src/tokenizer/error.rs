//! Why a tokenizer could not be loaded, or a text not be encoded.

use std::io;
use std::path::{Path, PathBuf};

use ratdata_schemas::Dtype;
use thiserror::Error;

use super::encoding::Encoding;
use crate::bounds::boundary::Bound;
use crate::engine::LEVEL_VARIABLE;

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
    /// The file is something else.
    #[error("{}: not a tokenizer: found {found}; expected a `tokenizer.json`, a SentencePiece `.model`, a `.tiktoken` file or a `tekken.json`", .path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What was found instead.
        found: String,
        /// What to do about it.
        hint: &'static str,
    },
    /// The file has ranks of `tiktoken`, and is named after no encoding.
    #[error("{}: the file has ranks of `tiktoken`, and neither pattern nor special tokens, which its name would say: found `{}`, expected {}", .path.display(), name_of(.path), encodings())]
    Encoding {
        /// The file.
        path: PathBuf,
    },
    /// The file is a tokenizer by its looks, and is not well formed or beyond a bound.
    #[error("{}: not a tokenizer that can be used: {reason}", .path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What in it is the matter.
        reason: String,
    },
    /// The tokenizer drops merges at random.
    #[error("{}: `model.dropout` is {share}, expected null: with dropout, merges are left out at random, and each run gives other ids", .path.display())]
    Dropout {
        /// The file.
        path: PathBuf,
        /// The share of merges.
        share: f64,
    },
    /// A file next to the tokenizer, which names its BOS and EOS, cannot be read.
    #[error("{}: {reason}", .path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What was found instead.
        reason: String,
    },
    /// Hugging Face `tokenizers`, which would serve the file, refuses it.
    #[error("{}: Hugging Face `tokenizers` refuses this `tokenizer.json`: {reason}", .path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// What it says.
        reason: String,
    },
    /// The environment names no level of vector instructions.
    #[error("{LEVEL_VARIABLE} is `{found}`; expected `plain`, `avx2`, `avx512` or `neon`")]
    Level {
        /// What it says.
        found: String,
    },
    /// The file is a SentencePiece model, but of a kind that nothing here can run.
    #[error("{}: this SentencePiece model cannot be run: {reason}", .path.display())]
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
            Self::Foreign { hint, .. } => Some(hint),
            Self::Encoding { .. } => Some(
                "name the file after its encoding; for any other vocabulary, give its `tokenizer.json`",
            ),
            Self::Invalid { .. } => Some(
                "fetch the file again, if it was cut or changed; its bounds are in docs/tokenizers.md",
            ),
            Self::Dropout { .. } => {
                Some("set `\"dropout\": null` in the file; dropout is for training alone")
            }
            Self::Config { .. } => {
                Some("it says which tokens begin and end a document; mend it or move it away")
            }
            Self::Refused { .. } => Some(
                "save it again with `transformers` or `tokenizers` 0.23, and see whether they load it",
            ),
            Self::Unsupported { .. } => {
                Some("convert it to a `tokenizer.json`, which Hugging Face `tokenizers` then runs")
            }
            Self::Level { .. } => {
                Some("unset it, so that the best instructions of this processor are used")
            }
            Self::Io { .. } | Self::EmptyFolder { .. } => None,
        }
    }
}

/// Returns the name of a file.
fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Returns the names of the files of the known encodings.
fn encodings() -> String {
    let [others @ .., last] =
        Encoding::ALL.map(|encoding| format!("`{}.tiktoken`", encoding.name()));
    format!("{} or {last}", others.join(", "))
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
    /// A token of fill in the middle stands in a document.
    #[error("byte {at}: the text has `{token}`, a token of fill in the middle")]
    Sentinel {
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
    #[error("{}: Hugging Face `tokenizers` refuses the text: {reason}", .path.display())]
    Oracle {
        /// The tokenizer.
        path: PathBuf,
        /// What it says.
        reason: String,
    },
    /// The tokenizer asks for more work than a text may cost.
    #[error("{}: {bound}", .path.display())]
    Bound {
        /// The tokenizer.
        path: PathBuf,
        /// What it has met.
        bound: Bound,
    },
    /// The code that encodes broke off.
    #[error("{}: the text cannot be encoded: the program broke off with `{reason}`", .path.display())]
    Broken {
        /// The tokenizer.
        path: PathBuf,
        /// What the code said.
        reason: String,
    },
}

impl EncodeError {
    /// Returns whether the text is at fault, and others of the same input may be right.
    pub fn is_of_row(&self) -> bool {
        matches!(self, Self::Special { .. } | Self::Sentinel { .. } | Self::TooLong { .. })
    }

    /// Returns what the user can do about it, where there is something to do.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Special { .. } => {
                Some("`--special-in-text parse` makes it its id, `plain` reads it as plain text")
            }
            Self::Sentinel { .. } => Some(
                "`--special-in-text plain` reads it as plain text, `--on-bad-row skip` leaves such rows out and counts them",
            ),
            Self::Width { .. } => Some("leave `--dtype` at `auto`, or choose `u32`"),
            Self::Bound { .. } => Some(
                "the tokenizer file asks for this; use one whose patterns and replacements are bounded",
            ),
            Self::Broken { .. } => {
                Some("the tokenizer file, or the program, has a defect; please report it with both")
            }
            Self::TooLong { .. } | Self::Oracle { .. } => None,
        }
    }
}
