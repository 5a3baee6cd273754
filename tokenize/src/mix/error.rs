//! Why artifacts could not be mixed.

use std::fmt;
use std::path::PathBuf;

use ratdata_schemas::{
    ArtifactError, ArtifactInputError, BinError, BinSetError, Dtype, ManifestError, OtherJob,
};
use thiserror::Error;

/// An error of mixing.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MixError {
    /// A manifest is missing or wrong.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// Bins cannot be opened.
    #[error(transparent)]
    Bins(#[from] BinSetError),
    /// An index is wrong.
    #[error(transparent)]
    Index(#[from] BinError),
    /// The artifact cannot be written.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// A file of a source is not what its manifest says.
    #[error(transparent)]
    ArtifactInput(ArtifactInputError),
    /// The folder holds something else.
    #[error(transparent)]
    OtherJob(#[from] OtherJob),
    /// Not every source has its amount.
    #[error("found {takes} amounts for {inputs} artifacts, expected one each")]
    Takes {
        /// How many artifacts are named.
        inputs: usize,
        /// How many amounts.
        takes: usize,
    },
    /// Two sources have ids of different widths.
    #[error("{}: `dtype` is {found}, the first source's is {expected}", .path.display())]
    Dtype {
        /// The source.
        path: PathBuf,
        /// Its width.
        found: Dtype,
        /// The width of the first.
        expected: Dtype,
    },
    /// Two sources have ids of different tokenizers.
    #[error(
        "{}: ids of the tokenizer `{found}`, those of {} are of another one, `{expected}`",
        .path.display(), .first.display()
    )]
    Tokenizers {
        /// The source.
        path: PathBuf,
        /// Its tokenizer.
        found: String,
        /// The first source.
        first: PathBuf,
        /// Its tokenizer.
        expected: String,
    },
    /// A source has no token.
    #[error("{}: split `{split}` has no tokens to mix", .path.display())]
    Empty {
        /// The source.
        path: PathBuf,
        /// The split.
        split: String,
    },
    /// Nobody knows how long a source's text is.
    #[error("{}: does not record how many bytes of text it has", .path.display())]
    NoText {
        /// The source.
        path: PathBuf,
    },
    /// A total that no source fills up.
    #[error("a total of {total} {unit}, but no source has a weight: they give {fixed} {unit}")]
    NoWeight {
        /// The total.
        total: u64,
        /// What is counted.
        unit: &'static str,
        /// What the sources give.
        fixed: u64,
    },
    /// The amounts leave nothing of the total.
    #[error(
        "a total of {total} {unit}, of which the sources without a weight take {fixed}: nothing is left for the others"
    )]
    OverTotal {
        /// The total.
        total: u64,
        /// What is counted.
        unit: &'static str,
        /// What the sources without a weight give.
        fixed: u64,
    },
    /// Sources are too small.
    #[error("{}", told(.sources))]
    TooSmall {
        /// The sources that are.
        sources: Vec<TooSmall>,
    },
    /// More documents or tokens than can be counted.
    #[error("the sources give 2^64 documents or tokens, or more")]
    TooMany,
    /// The result would be in a folder that is read.
    #[error("{}: lies in the folder of the input {}", .out.display(), .input.display())]
    InInput {
        /// The folder of the result.
        out: PathBuf,
        /// The source.
        input: PathBuf,
    },
    /// No thread could be started.
    #[error("no thread can be started: {reason}")]
    Thread {
        /// What the system said.
        reason: String,
    },
    /// The user stopped the run.
    #[error("interrupted; the same command continues")]
    Interrupted,
}

/// A source that is asked for more than it has.
#[derive(Clone, Debug, PartialEq)]
pub struct TooSmall {
    /// The source.
    pub path: PathBuf,
    /// What is counted: tokens or documents.
    pub unit: &'static str,
    /// How many are asked for.
    pub asked: u64,
    /// How many it has.
    pub there: u64,
    /// How often each may come.
    pub max_epochs: f64,
    /// How many are missing.
    pub missing: u64,
}

impl fmt::Display for TooSmall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, unit, asked, there, max_epochs, missing } = self;
        write!(f, "{}: {asked} {unit} asked for, {there} there", path.display())?;
        if *max_epochs > 1.0 {
            write!(f, ", each at most {max_epochs} times")?;
        }
        write!(f, ", {missing} missing")
    }
}

fn told(sources: &[TooSmall]) -> String {
    sources.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl MixError {
    /// Returns what the user can do about it, where there is something to do.
    pub fn hint(&self) -> Option<String> {
        let hint: &str = match self {
            Self::Manifest(wrong) => wrong.hint()?,
            Self::Bins(BinSetError::Layout { .. }) => {
                "what is mixed are the bins of `ratdata tokenize`, `sft --packing` or `merge`; pack the mix"
            }
            Self::Bins(wrong) => wrong.hint()?,
            Self::Index(wrong) => wrong.hint()?,
            Self::Artifact(wrong) => wrong.hint()?,
            Self::ArtifactInput(wrong) => wrong.hint()?,
            Self::OtherJob(wrong) => wrong.hint(),
            Self::Takes { .. } => {
                "give one `--take` after each `--input`, or none: then each document comes once"
            }
            Self::Tokenizers { .. } | Self::Dtype { .. } => {
                "tokenize all sources with one tokenizer and one `--dtype`"
            }
            Self::NoText { .. } => "ask for tokens or documents of it",
            Self::NoWeight { .. } => {
                "leave the total out, or give a source `--take weight=1`: it fills up what is left"
            }
            Self::OverTotal { .. } => "raise the total, or take less of them",
            Self::TooSmall { sources } => {
                let most =
                    sources.iter().map(|source| source.asked as f64 / source.there.max(1) as f64);
                let most = most.fold(1.0, f64::max).ceil();
                return Some(format!(
                    "ask for less; or repeat documents with `--max-epochs {most}`, or `--take epochs=N` of a source"
                ));
            }
            Self::InInput { .. } => "choose an `--out` outside of the sources",
            Self::Empty { .. } => "leave the source out",
            Self::TooMany | Self::Thread { .. } | Self::Interrupted => return None,
        };
        Some(hint.to_owned())
    }

    /// Returns whether the command line is at fault.
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Takes { .. }
                | Self::Dtype { .. }
                | Self::Tokenizers { .. }
                | Self::NoText { .. }
                | Self::NoWeight { .. }
                | Self::OverTotal { .. }
                | Self::TooSmall { .. }
                | Self::TooMany
                | Self::InInput { .. }
                | Self::OtherJob(_)
        )
    }
}

impl From<ArtifactInputError> for MixError {
    fn from(wrong: ArtifactInputError) -> Self {
        if wrong.is_stop() { Self::Interrupted } else { Self::ArtifactInput(wrong) }
    }
}
