//! The writing side of a job: blocks are staged file by file, and each file that ends is finished
//! on a thread of its own while the next are encoded.
//!
//! Small files spend their time waiting for the disk to say that they are durable, so several of
//! them are finished at once: the system then gathers what it makes durable. Files that go to an object store
//! wait for it; their ids are on disk then, and leave the memory to others.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Scope, ScopedJoinHandle};

use ratdata_schemas::ArtifactError;
use ratdata_schemas::narrow;

use super::block::EncodedBatch;
use super::context::JobContext;
use super::error::JobError;
use super::finish::{StagedSource, finish};
use super::pool::Event;
use super::progress::Progress;
use crate::staging::Staging;
use crate::tokenizer::IdWidth;

/// How many files are finished at once, at most.
const MOST_FINISHING: usize = 32;

/// The thread of a file that is being finished.
type Finishing<'scope> = ScopedJoinHandle<'scope, Result<(), JobError>>;

/// Takes a job's blocks in the order of the input.
pub(crate) struct Writer<'scope, 'env, W> {
    scope: &'scope Scope<'scope, 'env>,
    job: &'env JobContext,
    progress: &'env Progress,
    interrupted: &'env AtomicBool,
    /// How many documents may still be taken, where there is a limit.
    left: Option<u64>,
    current: Option<(usize, StagedSource<W>)>,
    finishing: VecDeque<Finishing<'scope>>,
}

impl<'scope, 'env, W: IdWidth> Writer<'scope, 'env, W> {
    pub(crate) fn new(
        scope: &'scope Scope<'scope, 'env>,
        job: &'env JobContext,
        progress: &'env Progress,
        interrupted: &'env AtomicBool,
        left: Option<u64>,
    ) -> Self {
        Self { scope, job, progress, interrupted, left, current: None, finishing: VecDeque::new() }
    }

    /// Takes what happened next; returns whether the job continues.
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

    /// Waits for the files that are being finished, and tells the first failure.
    pub(crate) fn end(mut self) -> Result<(), JobError> {
        let mut ended = Ok(());
        while let Some(finishing) = self.finishing.pop_front() {
            ended = ended.and(self.join(finishing));
        }
        ended
    }

    fn stage(&mut self, number: usize, mut block: EncodedBatch<W>) -> Result<(), JobError> {
        limit(&mut self.left, &mut block);
        let file = &self.job.files()[number];
        self.progress.bad.add(file, &block.bad);
        self.progress.replaced.add(file, &block.replaced);
        let (_, staged) = self.current.get_or_insert_with(|| (number, staged_source(number)));
        staged.rows += block.rows;
        staged.bad_rows += block.bad.len() as u64;
        staged.replaced_rows += block.replaced.len() as u64;
        staged.text_bytes += block.text_bytes();
        let folder = self.job.state.folder();
        let io = ArtifactError::io(folder);
        staged.staging.push(block.ids, &block.lens, folder).map_err(io)?;
        Ok(())
    }

    fn finish_file(&mut self, number: usize) -> Result<(), JobError> {
        let staged =
            self.current.take().map_or_else(|| staged_source(number), |(_, staged)| staged);
        let ids = staged.staging.ids();
        let undelivered = self
            .job
            .delivery
            .is_some()
            .then(|| self.job.rooms.undelivered.take(ids * size_of::<W>()));
        let held = self.job.rooms.ids.take(ids);
        // What has failed by now ends the job.
        while self.finishing.len() >= MOST_FINISHING
            || self.finishing.front().is_some_and(ScopedJoinHandle::is_finished)
        {
            let Some(first) = self.finishing.pop_front() else { break };
            self.join(first)?;
        }
        let (job, interrupted) = (self.job, self.interrupted);
        let stem = &job.files()[staged.number].stem;
        let work = move || {
            let receipt = finish(job, staged, interrupted)?;
            drop(held);
            job.deliver(&receipt, stem)?;
            drop(undelivered);
            Ok(())
        };
        let handle = std::thread::Builder::new().spawn_scoped(self.scope, work);
        self.finishing.push_back(handle.map_err(|source| JobError::Thread { source })?);
        Ok(())
    }

    fn join(&self, finishing: Finishing<'scope>) -> Result<(), JobError> {
        finishing.join().unwrap_or(Err(JobError::Panicked))?;
        self.progress.files_done.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// A file of which nothing is staged yet.
fn staged_source<W: IdWidth>(number: usize) -> StagedSource<W> {
    StagedSource {
        staging: Staging::new(),
        number,
        rows: 0,
        bad_rows: 0,
        replaced_rows: 0,
        text_bytes: 0,
    }
}

/// Cuts a block where the limit of documents is reached.
fn limit<W>(left: &mut Option<u64>, block: &mut EncodedBatch<W>) {
    let Some(left) = left else { return };
    block.truncate(narrow(*left));
    *left -= block.lens.len() as u64;
}
