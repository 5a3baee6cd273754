//! Why documents could not be packed.

use std::path::PathBuf;

use ratdata_schemas::{
    ArtifactError, ArtifactInputError, BinError, BinSetError, ManifestError, OtherJob,
};
use thiserror::Error;

/// An error of packing.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PackError {
    /// The manifest of the bins is missing or wrong.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The bins cannot be opened.
    #[error(transparent)]
    Bins(#[from] BinSetError),
    /// An index is wrong.
    #[error(transparent)]
    Index(#[from] BinError),
    /// The pack cannot be written.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// A file of the bins is not what their manifest says.
    #[error(transparent)]
    ArtifactInput(ArtifactInputError),
    /// A row length or alignment that makes no sense.
    #[error("{reason}")]
    Config {
        /// What is wrong.
        reason: String,
    },
    /// More documents than an order is drawn of.
    #[error("{documents} documents, an order with a seed is drawn of at most 4,294,967,295")]
    TooMany {
        /// How many there are.
        documents: u64,
    },
    /// Nothing to pack.
    #[error("{}: split `{split}` has no tokens to pack", .root.display())]
    Nothing {
        /// The bins.
        root: PathBuf,
        /// The part.
        split: String,
    },
    /// The pack would lie among the files that it is made of.
    #[error("{}: lies in the folder of the input {}", .out.display(), .input.display())]
    InInput {
        /// The folder of the pack.
        out: PathBuf,
        /// The bins.
        input: PathBuf,
    },
    /// The way from the pack to its bins cannot be written down.
    #[error("{}: the path is not UTF-8, and a pack's manifest says where its bins lie", .input.display())]
    NotUtf8 {
        /// The bins.
        input: PathBuf,
    },
    /// The folder holds something else.
    #[error(transparent)]
    OtherJob(#[from] OtherJob),
    /// The user stopped the run.
    #[error("interrupted; the same command makes the pack from its beginning")]
    Interrupted,
}

impl PackError {
    /// Returns what the user can do about it, where there is something to do.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Manifest(wrong) => wrong.hint(),
            Self::Bins(BinSetError::Layout { .. }) => {
                Some("what is packed are the bins of `ratdata tokenize` or `ratdata sft --packing`")
            }
            Self::Bins(wrong) => wrong.hint(),
            Self::Index(wrong) => wrong.hint(),
            Self::Artifact(wrong) => wrong.hint(),
            Self::ArtifactInput(wrong) => wrong.hint(),
            Self::InInput { .. } => Some(
                "choose an `--out` outside the input: a pack points at the bins, and needs them whole",
            ),
            Self::OtherJob(wrong) => Some(wrong.hint()),
            Self::TooMany { .. } => Some("leave `--seed` out: a trainer shuffles the rows"),
            Self::NotUtf8 { .. } => Some("rename the folders on the way"),
            Self::Config { .. } | Self::Nothing { .. } | Self::Interrupted => None,
        }
    }

    /// Returns whether the command line is at fault.
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Config { .. }
                | Self::InInput { .. }
                | Self::NotUtf8 { .. }
                | Self::OtherJob(_)
                | Self::TooMany { .. }
        )
    }
}

impl From<ArtifactInputError> for PackError {
    fn from(wrong: ArtifactInputError) -> Self {
        if wrong.is_stop() { Self::Interrupted } else { Self::ArtifactInput(wrong) }
    }
}
