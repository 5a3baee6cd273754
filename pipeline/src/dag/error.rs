//! Why a pipeline was refused.

use std::io;
use std::path::PathBuf;

use ratdata_schemas::layered::LayerError;
use thiserror::Error;

use super::place::Place;
use crate::failure::{Failure, Kind};

/// An error of a pipeline, found before anything runs.
#[derive(Debug, Error)]
pub(crate) enum PipelineError {
    /// The file or what it extends cannot be read.
    #[error(transparent)]
    Layers(#[from] LayerError),
    /// There is no such file, and no pipeline of that name is compiled in.
    #[error("{}: no such file, and no pipeline of this name is compiled in", .path.display())]
    NoPipeline { path: PathBuf, known: String },
    /// A table holds a key that nothing reads.
    #[error("{place}: unknown key `{key}` in {table}")]
    UnknownKey { place: Place, table: String, key: String, nearest: Option<String>, known: String },
    /// A key holds a value that cannot be read.
    #[error("{place}: `{key}` of {table}: {wrong}")]
    Value { place: Place, table: String, key: String, wrong: String },
    /// A step has no kind, or one that does not exist.
    #[error("{place}: step `{step}` is of unknown kind `{kind}`")]
    UnknownKind { place: Place, step: String, kind: String, known: String, nearest: Option<String> },
    /// A step refers to one that does not exist.
    #[error("{place}: step `{step}` takes `@{wanted}`, and no step is called so")]
    UnknownStep { place: Place, step: String, wanted: String, nearest: Option<String> },
    /// The user named a step that does not exist.
    #[error("{}: no step is called `{wanted}`", .path.display())]
    NoStep { path: PathBuf, wanted: String, nearest: Option<String> },
    /// Steps need each other.
    #[error("{place}: steps need each other: {}", .chain.join(" -> "))]
    Cycle { place: Place, chain: Vec<String> },
    /// Two steps claim one path.
    #[error("{place}: steps `{first}` and `{second}` both write `{output}`")]
    DuplicateOutput { place: Place, first: String, second: String, output: String },
    /// An input is not there.
    #[error("{place}: step `{step}` takes `{}`, which is not there", .input.display())]
    MissingInput { place: Place, step: String, input: PathBuf },
    /// An input cannot be read.
    #[error("{}: cannot read: {source}", .path.display())]
    Io { path: PathBuf, source: io::Error },
}

impl PipelineError {
    /// Returns what the user can do about it, where there is something to do.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownKey { nearest, known, .. } | Self::UnknownKind { nearest, known, .. } => {
                Some(match nearest {
                    Some(nearest) => format!("the nearest is `{nearest}`"),
                    None => format!("known are {known}"),
                })
            }
            Self::UnknownStep { nearest, .. } | Self::NoStep { nearest, .. } => {
                nearest.as_ref().map(|nearest| format!("the nearest is `{nearest}`"))
            }
            Self::NoPipeline { known, .. } => Some(format!("compiled in are {known}")),
            Self::Cycle { .. } => Some("take one of these inputs away".into()),
            Self::DuplicateOutput { .. } => Some("give one of them another path".into()),
            Self::MissingInput { .. } => Some(
                "paths are relative to the pipeline's folder; another step's result is `@STEP`"
                    .into(),
            ),
            Self::Layers(_) | Self::Value { .. } | Self::Io { .. } => None,
        }
    }
}

/// Tells what is wrong with a pipeline.
pub(crate) fn pipeline_failure(wrong: &PipelineError) -> Failure {
    let kind = match wrong {
        PipelineError::Io { .. } => Kind::Failed,
        _ => Kind::Usage,
    };
    Failure::new(kind, wrong).hinted(wrong.hint())
}
