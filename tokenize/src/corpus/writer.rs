//! The writing side of a job: blocks are staged file by file, and each file that ends is finished
//! on a thread of its own while the next is encoded.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Scope, ScopedJoinHandle};

use ratdata_schemas::ArtifactError;

use super::error::JobError;
use super::finish::{StagedSource, finish};
use super::job::{Job, Progress};
use super::pool::{Block, Event};
use crate::tokenizer::IdWidth;

/// Takes a job's blocks in the order of the input.
pub(crate) struct Writer<'scope, 'env, W> {
    scope: &'scope Scope<'scope, 'env>,
    job: &'env Job,
    progress: &'env Progress,
    interrupted: &'env AtomicBool,
    /// How many documents may still be taken, where there is a limit.
    left: Option<u64>,
    current: Option<(usize, StagedSource<W>)>,
    finishing: Option<ScopedJoinHandle<'scope, Result<u64, JobError>>>,
}

impl<'scope, 'env, W: IdWidth> Writer<'scope, 'env, W> {
    pub(crate) fn new(
        scope: &'scope Scope<'scope, 'env>,
        job: &'env Job,
        progress: &'env Progress,
        interrupted: &'env AtomicBool,
        left: Option<u64>,
    ) -> Self {
        Self { scope, job, progress, interrupted, left, current: None, finishing: None }
    }

    /// Takes what happened next; returns whether the job goes on.
    pub(crate) fn take(&mut self, event: Event<W>) -> Result<bool, JobError> {
        match event {
            Event::Block(number, block) => {
                self.stage(number, block)?;
                if self.left == Some(0) {
                    self.finish_file(number)?;
                }
                Ok(self.left != Some(0))
            }
            Event::FileEnd(number) => self.finish_file(number).map(|()| true),
        }
    }

    /// Waits for the last file.
    pub(crate) fn end(mut self) -> Result<(), JobError> {
        self.join()
    }

    fn stage(&mut self, number: usize, mut block: Block<W>) -> Result<(), JobError> {
        self.progress.add_bad(&self.job.files()[number], &block.bad);
        limit(&mut self.left, &mut block);
        let (_, staged) = self.current.get_or_insert_with(|| (number, self.job.staged(number)));
        staged.record.rows += block.rows;
        staged.record.bad_rows += block.bad.len() as u64;
        staged.record.text_bytes += block.text_bytes;
        let folder = self.job.state().folder();
        let io = |source| ArtifactError::Io { path: folder.to_owned(), source };
        staged.staging.push(block.ids, &block.lens, folder).map_err(io)?;
        Ok(())
    }

    fn finish_file(&mut self, number: usize) -> Result<(), JobError> {
        self.join()?;
        let staged =
            self.current.take().map_or_else(|| self.job.staged(number), |(_, staged)| staged);
        let (job, interrupted) = (self.job, self.interrupted);
        self.finishing = Some(self.scope.spawn(move || {
            finish(job.out(), job.state(), job.config(), staged, interrupted)
                .map(|_| job.files()[number].bytes)
        }));
        Ok(())
    }

    fn join(&mut self) -> Result<(), JobError> {
        let Some(handle) = self.finishing.take() else { return Ok(()) };
        let bytes = handle.join().unwrap_or(Err(JobError::Panicked))?;
        self.progress.files_done.fetch_add(1, Ordering::Relaxed);
        self.progress.input_bytes_done.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }
}

/// Cuts a block where the limit of documents is reached.
fn limit<W>(left: &mut Option<u64>, block: &mut Block<W>) {
    let Some(left) = left else { return };
    let keep = usize::try_from(*left).unwrap_or(usize::MAX).min(block.lens.len());
    block.lens.truncate(keep);
    let ids: usize = block.lens.iter().map(|&len| len as usize).sum();
    block.ids.truncate(ids);
    *left -= keep as u64;
}
