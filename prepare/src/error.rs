//! Why rows could not be prepared.

use std::path::PathBuf;

use ratdata_schemas::{ArtifactError, OtherJob};
use ratdata_tokenize::source::SourceError;
use ratdata_tokenize::tokenizer::EncodeError;
use thiserror::Error;

use crate::predicate::PredicateError;

/// An error of preparing rows.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PrepareError {
    /// The input cannot be read.
    #[error(transparent)]
    Source(SourceError),
    /// The output cannot be written.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// The folder has another job's result.
    #[error(transparent)]
    OtherJob(#[from] OtherJob),
    /// The predicate does not fit the columns of a file.
    #[error("{}: {wrong}", .path.display())]
    Predicate {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        wrong: PredicateError,
    },
    /// A row cannot be judged.
    #[error("{}: {place}: {reason}", .path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// The row or line.
        place: String,
        /// What it has instead.
        reason: String,
    },
    /// A file cannot be read as a table, or rows of it cannot be written as one.
    #[error("{}: {place}: {reason}", .path.display())]
    Table {
        /// The file.
        path: PathBuf,
        /// Where in it.
        place: String,
        /// What is wrong.
        reason: String,
    },
    /// Two inputs would have one output.
    #[error("{}: this input is in `{}`, where the result is written", .path.display(), .out.display())]
    InputInside {
        /// The input.
        path: PathBuf,
        /// The output folder.
        out: PathBuf,
    },
    /// Files that a run without a share has to find done are not.
    #[error("{}: an input was changed while the job ran", .path.display())]
    Changed {
        /// The input.
        path: PathBuf,
    },
    /// The tokenizer cannot encode a text.
    #[error("{}: {place}: {source}", .path.display())]
    Encode {
        /// The file.
        path: PathBuf,
        /// The row or line.
        place: String,
        /// What the tokenizer says.
        source: EncodeError,
    },
    /// A benchmark without a text that could be looked for.
    #[error("{}: no text of at least {shortest} {unit}{}", .path.display(), among(*.too_short, .fields))]
    NoPassage {
        /// The benchmark.
        path: PathBuf,
        /// How many texts have fewer units.
        too_short: usize,
        /// How many units a passage has at least.
        shortest: usize,
        /// What they are: words or tokens.
        unit: String,
        /// The fields that texts were found in.
        fields: String,
    },
    /// More rows than near duplicates are looked for in.
    #[error("the inputs have {rows} rows, and near duplicates are found among at most 4294967295")]
    TooManyRows {
        /// How many there are.
        rows: u64,
    },
    /// A thread could not be started.
    #[error("no thread could be started: {source}")]
    Thread {
        /// What the system said.
        source: std::io::Error,
    },
    /// A worker panicked.
    #[error("a worker panicked; this is an error of ratdata")]
    Panicked,
    /// The user stopped the job.
    #[error("interrupted")]
    Interrupted,
}

impl From<SourceError> for PrepareError {
    fn from(wrong: SourceError) -> Self {
        if wrong.is_stop() { Self::Interrupted } else { Self::Source(wrong) }
    }
}

fn among(too_short: usize, fields: &str) -> String {
    if too_short == 0 {
        return "; no field of it holds text".to_owned();
    }
    format!("; {too_short} texts have fewer, in the fields {fields}")
}

impl PrepareError {
    /// Returns what the user can do about it, where there is something to do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Source(wrong) => wrong.hint().map(str::to_owned),
            Self::Artifact(wrong) => wrong.hint().map(str::to_owned),
            Self::OtherJob(wrong) => Some(wrong.hint().to_owned()),
            Self::Encode { source, .. } => source.hint().map(str::to_owned),
            Self::Predicate { wrong, .. } => wrong.hint().map(str::to_owned),
            Self::Row { .. } => Some("leave such rows out with `--on-bad-row skip`".into()),
            Self::InputInside { .. } => Some("choose another `--out`".into()),
            Self::NoPassage { .. } => Some(
                "is it a benchmark, and are these its fields (`--against-fields`)? shorter passages are looked for with a lower `--shortest`"
                    .into(),
            ),
            Self::TooManyRows { .. } => {
                Some("leave exact duplicates out first, or part by part".into())
            }
            Self::Changed { .. } => Some("give the same command again".into()),
            _ => None,
        }
    }

    /// Returns whether the command line or a file of settings is to blame.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Predicate { .. } | Self::InputInside { .. } | Self::NoPassage { .. })
    }
}
