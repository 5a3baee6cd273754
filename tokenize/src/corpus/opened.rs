//! Opens a job's files one after the other, and those of an object store before their turn comes: the wait for a
//! store's first answer is then over when the file is read.

use std::collections::VecDeque;
use std::thread::{Builder, Scope, ScopedJoinHandle};

use ratdata_objects::Address;

use super::context::JobContext;
use super::error::JobError;
use crate::source::{Source, SourceError};

/// How many files are opened at once.
const AHEAD: usize = 16;

/// The files of a job that are to be read, each when it is opened.
pub(super) struct OpenedFiles<'scope, 'env> {
    scope: &'scope Scope<'scope, 'env>,
    job: &'env JobContext,
    todo: std::slice::Iter<'env, usize>,
    opening: VecDeque<(usize, Opening<'scope>)>,
}

/// A file that is being opened by another thread, or was found to need none.
enum Opening<'scope> {
    Begun(ScopedJoinHandle<'scope, Result<Source, SourceError>>),
    Waits,
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
        let opened = match opening {
            Opening::Begun(thread) => match thread.join() {
                Ok(opened) => opened.map_err(JobError::from),
                Err(_) => Err(JobError::Panicked),
            },
            Opening::Waits => {
                let opened = self.job.inputs.open(number, &self.job.config.text_column);
                opened.map_err(JobError::from)
            }
        };
        Some((number, opened))
    }
}
