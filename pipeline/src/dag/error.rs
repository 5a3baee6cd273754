//! Why a pipeline was refused.

use std::io;
use std::path::PathBuf;

use ratdata_schemas::TomlPlace as Place;
use ratdata_schemas::layered::LayerError;
use thiserror::Error;

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
    /// A step does not say what it is.
    #[error("{place}: step `{step}` has no `kind`")]
    NoKind { place: Place, step: String, known: String },
    /// A value is of no name that there is.
    #[error("{place}: step `{step}`: `{key}` is `{name}`, and nothing is called so")]
    UnknownName { place: Place, step: String, key: String, name: String, nearest: Option<String> },
    /// A step refers to one that does not exist.
    #[error("{place}: step `{step}` takes `@{wanted}`, and no step is called so")]
    UnknownStep {
        place: Place,
        step: String,
        wanted: String,
        nearest: Option<String>,
        known: String,
    },
    /// The user named a step that does not exist.
    #[error("{}: no step is called `{wanted}`", .path.display())]
    NoStep { path: PathBuf, wanted: String, nearest: Option<String>, known: String },
    /// Steps need each other.
    #[error("{place}: steps need each other: {}", .chain.join(" -> "))]
    Cycle { place: Place, chain: Vec<String> },
    /// Two steps claim one path.
    #[error("{place}: steps `{first}` and `{second}` both write `{output}`")]
    DuplicateOutput { place: Place, first: String, second: String, output: String },
    /// A step claims a path inside another's result.
    #[error(
        "{place}: step `{inner}` writes `{}`, inside `{}` of step `{outer}`",
        .below.display(), .above.display()
    )]
    NestedOutput { place: Place, outer: String, inner: String, above: PathBuf, below: PathBuf },
    /// An input is not there.
    #[error("{place}: step `{step}` takes `{}`, which is not there", .input.display())]
    MissingInput { place: Place, step: String, input: PathBuf, nearest: Option<String> },
    /// An input cannot be read.
    #[error("{}: cannot read: {source}", .path.display())]
    Io { path: PathBuf, source: io::Error },
}

impl PipelineError {
    /// Returns what the user can do about it, where there is something to do.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownKey { nearest, known, .. }
            | Self::UnknownKind { nearest, known, .. }
            | Self::UnknownStep { nearest, known, .. }
            | Self::NoStep { nearest, known, .. } => match nearest {
                Some(nearest) => Some(format!("the nearest is `{nearest}`")),
                None if known.is_empty() => Some("the pipeline has no step".into()),
                None => Some(format!("known are {known}")),
            },
            Self::NoKind { known, .. } => Some(format!("it is one of {known}")),
            Self::NoPipeline { known, .. } => Some(format!("compiled in are {known}")),
            Self::Cycle { .. } => Some("take one of these inputs away".into()),
            Self::NestedOutput { .. } => Some(
                "a result is never changed: give one of them a path outside the other's".into(),
            ),
            Self::DuplicateOutput { .. } => Some("give one of them another path".into()),
            Self::UnknownName { nearest: Some(nearest), .. }
            | Self::MissingInput { nearest: Some(nearest), .. } => {
                Some(format!("the nearest is `{nearest}`"))
            }
            Self::MissingInput { .. } => Some(
                "paths are relative to the pipeline's folder; another step's result is `@STEP`"
                    .into(),
            ),
            Self::UnknownName { .. } | Self::Layers(_) | Self::Value { .. } | Self::Io { .. } => {
                None
            }
        }
    }
}

/// Tells what is wrong with a pipeline.
pub(crate) fn pipeline_failure(wrong: &PipelineError) -> Failure {
    let kind = match wrong {
        PipelineError::Io { source, .. } if source.kind() == io::ErrorKind::Interrupted => {
            Kind::Interrupted
        }
        PipelineError::Io { .. } => Kind::Failed,
        _ => Kind::Usage,
    };
    Failure::new(kind, wrong).hinted(wrong.hint())
}
