//! Why a tokenize job failed.

use std::path::PathBuf;

use ratdata_objects::ObjectError;
use ratdata_schemas::{ArtifactError, BinError, ManifestError, OtherJob};
use thiserror::Error;

use crate::source::{BadText, SourceError};
use crate::tokenizer::EncodeError;

/// An error of a tokenize job.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum JobError {
    /// The input cannot be read.
    #[error(transparent)]
    Source(SourceError),
    /// The object store that the output is delivered to cannot be written.
    #[error(transparent)]
    Object(ObjectError),
    /// The output cannot be written.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// What an earlier run left cannot be read.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A shard of an earlier run cannot be read.
    #[error(transparent)]
    Bin(#[from] BinError),
    /// A row holds no text.
    #[error("{}: {place}: {bad}", .path.display())]
    BadRow {
        /// The file.
        path: PathBuf,
        /// The row or line.
        place: String,
        /// What it holds instead.
        bad: BadText,
    },
    /// A row's text cannot be encoded.
    #[error("{}: {place}: {source}", .path.display())]
    Encode {
        /// The file.
        path: PathBuf,
        /// The row or line.
        place: String,
        /// Why.
        source: EncodeError,
    },
    /// The vocabulary is too large for the width.
    #[error("the vocabulary has {vocab_size} ids, and the dtype `u16` holds 65536")]
    Width {
        /// How many ids.
        vocab_size: u32,
    },
    /// The tokenizer has no id that was asked for.
    #[error("the tokenizer has no {what} id, which the setting `{option}` adds to every document")]
    NoSpecial {
        /// Which id.
        what: &'static str,
        /// The option that wants it.
        option: &'static str,
    },
    /// The vocabulary lacks a token that was asked for.
    #[error("the vocabulary has no token `{token}`, which the setting `{option}` names{}", among(.specials))]
    UnknownToken {
        /// The token.
        token: String,
        /// The option that names it.
        option: &'static str,
        /// Its special tokens, the first of them.
        specials: Vec<String>,
    },
    /// The vocabulary has the tokens of fill in the middle of no family that is known.
    #[error("the vocabulary has no tokens of fill in the middle that are known, such as `<fim_prefix>`{}", among(.specials))]
    NoFimTokens {
        /// Its special tokens, the first of them.
        specials: Vec<String>,
    },
    /// A token of fill in the middle is none.
    #[error("fill in the middle: {} `{token}`", if *.is_piece { "the vocabulary has as a piece of text, and not as a token of its own," } else { "the vocabulary has no token" })]
    FimToken {
        /// The token.
        token: String,
        /// Whether it is a piece, which text may be encoded to.
        is_piece: bool,
    },
    /// The folder holds something else.
    #[error(transparent)]
    OtherJob(#[from] OtherJob),
    /// An input lies where the job's own files will.
    #[error("{}: this input lies in `{}`, where the job keeps its shards", .path.display(), .out.join("shards").display())]
    InputInside {
        /// The input.
        path: PathBuf,
        /// The output folder.
        out: PathBuf,
    },
    /// Not every file is done.
    #[error("{}: {missing} of {total} files are not tokenized yet, the first is `{first}`", .out.display())]
    Unfinished {
        /// The folder.
        out: PathBuf,
        /// How many are missing.
        missing: usize,
        /// How many there are.
        total: usize,
        /// The first that is missing.
        first: String,
    },
    /// The user stopped the job.
    #[error("interrupted; finished files are kept, the same command continues")]
    Interrupted,
    /// The system has no room for a thread of the job.
    #[error("no thread can be started: {source}")]
    Thread {
        /// Why not.
        source: std::io::Error,
    },
    /// A thread of the job panicked: a defect of this program.
    #[error("a worker thread panicked; please report this")]
    Panicked,
}

impl From<SourceError> for JobError {
    fn from(wrong: SourceError) -> Self {
        if wrong.is_stop() { Self::Interrupted } else { Self::Source(wrong) }
    }
}

impl From<ObjectError> for JobError {
    fn from(wrong: ObjectError) -> Self {
        match wrong {
            ObjectError::Interrupted => Self::Interrupted,
            wrong => Self::Object(wrong),
        }
    }
}

impl JobError {
    /// Returns what the user can do about it, where there is something to do.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Source(wrong) => wrong.hint(),
            Self::Object(wrong) => wrong.hint(),
            Self::Artifact(wrong) => wrong.hint(),
            Self::Manifest(wrong) => wrong.hint(),
            Self::Bin(wrong) => wrong.hint(),
            Self::Encode { source, .. } => source.hint(),
            Self::BadRow { bad, .. } if bad.is_undecodable() => Some(
                "`--on-bad-row replace` puts U+FFFD in its place; `--on-bad-row skip` leaves such rows out and counts them in the manifest",
            ),
            Self::BadRow { .. } => {
                Some("`--on-bad-row skip` leaves such rows out and counts them in the manifest")
            }
            Self::Width { .. } => Some("leave `--dtype` at `auto`, or choose `u32`"),
            Self::NoSpecial { option: "eos", .. } => {
                Some("name the token, as in `--eos '<|end|>'`, or turn it off with `--eos off`")
            }
            Self::NoSpecial { .. } => {
                Some("name the token, as in `--bos '<|begin|>'`, or turn it off with `--bos off`")
            }
            Self::UnknownToken { .. } => Some(
                "write the token as the vocabulary does; quote it, so that the shell leaves it alone",
            ),
            Self::NoFimTokens { .. } => Some(
                "name them with `--fim-tokens PREFIX,MIDDLE,SUFFIX`, or choose another tokenizer",
            ),
            Self::FimToken { .. } => Some(
                "name added tokens of the vocabulary with `--fim-tokens PREFIX,MIDDLE,SUFFIX`, as it writes them",
            ),
            Self::OtherJob(wrong) => Some(wrong.hint()),
            Self::InputInside { .. } => {
                Some("choose another `--out`, or keep the input out of that folder")
            }
            Self::Unfinished { .. } => Some(
                "was something removed from the folder while the job ran? the same command makes what is missing",
            ),
            Self::Thread { .. } => Some("allow more memory or more threads, or use fewer of them"),
            Self::Interrupted | Self::Panicked => None,
        }
    }
}

/// Lists special tokens, where there are any.
fn among(specials: &[String]) -> String {
    match specials {
        [] => String::new(),
        some => format!("; its special tokens begin with `{}`", some.join("`, `")),
    }
}
