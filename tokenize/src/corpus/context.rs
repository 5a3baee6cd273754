//! What a job and those that write for it share: its folder, its settings and its inputs.

use std::path::PathBuf;

use ratdata_schemas::FileRecord;

use super::delivery::Delivery;
use super::error::JobError;
use super::inputs::Inputs;
use super::room::Rooms;
use super::state::{JobState, Receipt};
use crate::source::SourceFile;
use ratdata_schemas::recipe::Tokenize;

/// What a job and those that write for it share.
#[derive(Debug)]
pub(super) struct JobContext {
    /// The output folder.
    pub(super) out: PathBuf,
    /// Where it is delivered to, if that is an object store.
    pub(super) delivery: Option<Delivery>,
    /// Room for the files that are being finished.
    pub(super) rooms: Rooms,
    /// The settings.
    pub(super) config: Tokenize,
    /// The input files, as they are and as they were.
    pub(super) inputs: Inputs,
    /// The receipts of what is done.
    pub(super) state: JobState,
}

impl JobContext {
    /// Puts together what a job has.
    pub(super) fn new(
        out: PathBuf,
        delivery: Option<Delivery>,
        config: Tokenize,
        inputs: Inputs,
        state: JobState,
    ) -> Self {
        Self { out, delivery, rooms: Rooms::default(), config, inputs, state }
    }

    /// Returns the input files, in the order of the artifact.
    pub(super) fn files(&self) -> &[SourceFile] {
        self.inputs.files()
    }

    /// Returns whether a file of the artifact is whole: in the folder, or in the store that it is delivered to.
    pub(super) fn has(&self, record: &FileRecord) -> bool {
        record.is_whole(&self.out) || self.delivery.as_ref().is_some_and(|store| store.has(record))
    }

    /// Delivers the shards of a file that is done, and its receipt after them.
    ///
    /// # Errors
    ///
    /// The store refuses one of them.
    pub(super) fn deliver(&self, receipt: &Receipt, stem: &str) -> Result<(), JobError> {
        // Shards that will be joined are needed here.
        let Some(store) = self.delivery.as_ref().filter(|_| !self.config.merge) else {
            return Ok(());
        };
        let records = receipt.shards.values().flat_map(|shard| [&shard.bin, &shard.idx]);
        store.deliver_all(&records.collect::<Vec<_>>())?;
        store.note(&self.state.receipt_path(stem))
    }

    /// Delivers what a run that was killed has made and not delivered.
    ///
    /// # Errors
    ///
    /// As of [`JobContext::deliver`].
    pub(super) fn deliver_rest(&self, receipt: &Receipt, stem: &str) -> Result<(), JobError> {
        let Some(store) = &self.delivery else { return Ok(()) };
        let mut records = receipt.shards.values().flat_map(|shard| [&shard.bin, &shard.idx]);
        if records.all(|record| store.has(record)) && store.has_note(&self.state.receipt_path(stem))
        {
            return Ok(());
        }
        self.deliver(receipt, stem)
    }

    /// Delivers what the job is, so that it is continued wherever the same command is given.
    ///
    /// # Errors
    ///
    /// The store refuses.
    pub(super) fn deliver_begin(&self) -> Result<(), JobError> {
        let Some(store) = self.delivery.as_ref().filter(|_| !self.config.merge) else {
            return Ok(());
        };
        self.state.begun_paths().iter().try_for_each(|path| store.note(path))
    }

    /// Returns the output as the user names it.
    pub(super) fn called(&self) -> PathBuf {
        self.delivery.as_ref().map_or_else(|| self.out.clone(), Delivery::called)
    }

    /// Forgets that a file is done.
    ///
    /// # Errors
    ///
    /// The system or the store refuses.
    pub(super) fn forget(&self, stem: &str) -> Result<(), JobError> {
        let path = self.state.receipt_path(stem);
        self.state.forget(stem)?;
        self.delivery.as_ref().map_or(Ok(()), |store| store.forget(&path))
    }
}
