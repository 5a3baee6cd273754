//! Opens a job's files one after the other, and those of an object store before their turn comes: the wait for a
//! store's first answer is then over when the file is read, and its first blocks are on their way.

use std::collections::VecDeque;
use std::thread::{Builder, Scope, ScopedJoinHandle};

use ratdata_objects::Address;

use super::context::JobContext;
use super::error::JobError;
use crate::source::{Source, SourceError};

/// How many files are opened at once.
const AHEAD: usize = 16;

/// How many files have their first blocks fetched while the one before them is read.
const FETCHED: usize = 2;

/// The files of a job that are to be read, each when it is opened.
pub(super) struct OpenedFiles<'scope, 'env> {
    scope: &'scope Scope<'scope, 'env>,
    job: &'env JobContext,
    todo: std::slice::Iter<'env, usize>,
    opening: VecDeque<(usize, Opening<'scope>)>,
}

/// A file that is being opened by another thread, is open, or was found to need no thread.
enum Opening<'scope> {
    Begun(ScopedJoinHandle<'scope, Result<Source, SourceError>>),
    Done(Result<Source, JobError>),
    Waits,
}

impl Opening<'_> {
    /// Returns whether a thread has opened the file, or has failed to.
    fn is_ready(&self) -> bool {
        matches!(self, Self::Begun(thread) if thread.is_finished())
    }
}

impl<'scope, 'env> OpenedFiles<'scope, 'env> {
    pub(super) fn new(
        scope: &'scope Scope<'scope, 'env>,
        job: &'env JobContext,
        todo: &'env [usize],
    ) -> Self {
        Self { scope, job, todo: todo.iter(), opening: VecDeque::new() }
    }

    /// Begins to open a file, where that takes its time.
    fn begin(&self, number: usize) -> Opening<'scope> {
        if Address::of_path(&self.job.files()[number].path).is_none() {
            return Opening::Waits;
        }
        let job = self.job;
        let open = move || job.inputs.open(number, &job.config.text_column);
        // Where no thread can be started, the file is opened when its turn comes.
        Builder::new().spawn_scoped(self.scope, open).map_or(Opening::Waits, Opening::Begun)
    }

    /// Returns a file once it is open, and has its first blocks fetched.
    fn open(&self, number: usize, opening: Opening<'scope>) -> Result<Source, JobError> {
        let opened = match opening {
            Opening::Begun(thread) => thread.join().map_err(|_| JobError::Panicked)?,
            Opening::Done(opened) => return opened,
            Opening::Waits => self.job.inputs.open(number, &self.job.config.text_column),
        };
        let source = opened?;
        source.begin_reading()?;
        Ok(source)
    }
}

impl Iterator for OpenedFiles<'_, '_> {
    type Item = (usize, Result<Source, JobError>);

    fn next(&mut self) -> Option<Self::Item> {
        while self.opening.len() < AHEAD
            && let Some(&number) = self.todo.next()
        {
            let opening = self.begin(number);
            self.opening.push_back((number, opening));
        }
        let (number, opening) = self.opening.pop_front()?;
        let opened = self.open(number, opening);
        for next in 0..FETCHED.min(self.opening.len()) {
            let (number, opening) = &mut self.opening[next];
            if opening.is_ready() {
                let (number, ready) = (*number, std::mem::replace(opening, Opening::Waits));
                self.opening[next].1 = Opening::Done(self.open(number, ready));
            }
        }
        Some((number, opened))
    }
}
