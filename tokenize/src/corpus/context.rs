//! What a job and those that write for it share: its folder, its settings and its inputs.

use std::path::PathBuf;

use super::inputs::Inputs;
use super::state::JobState;
use crate::source::SourceFile;
use ratdata_schemas::recipe::Tokenize;

/// What a job and those that write for it share.
#[derive(Debug)]
pub(super) struct JobContext {
    /// The output folder.
    pub(super) out: PathBuf,
    /// The settings.
    pub(super) config: Tokenize,
    /// The input files, as they are and as they were.
    pub(super) inputs: Inputs,
    /// The receipts of what is done.
    pub(super) state: JobState,
}

impl JobContext {
    /// Returns the input files, in the order of the artifact.
    pub(super) fn files(&self) -> &[SourceFile] {
        self.inputs.files()
    }
}
