//! The parts of files in their order: row groups, which a worker reads itself, and batches of lines,
//! which a thread reads ahead.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::Scope;

use ratdata_tokenize::source::{Rows, SourceError};

use super::open::OpenFile;
use crate::error::PrepareError;

/// How many batches of lines are read ahead.
const AHEAD: usize = 4;

/// What a worker gets.
#[derive(Debug)]
pub(crate) struct Task<F> {
    /// The place of the file among those of the job.
    pub(crate) file: usize,
    pub(crate) open: Arc<OpenFile>,
    /// What a decision knows of the file.
    pub(crate) state: Arc<F>,
    pub(crate) part: Part,
}

/// A part of a file.
#[derive(Debug)]
pub(crate) enum Part {
    /// A row group of a table, and the number of its first row.
    Group(usize, u64),
    /// Rows that were read.
    Rows(Rows),
    /// The file ends here.
    End,
}

/// Returns the tasks of a file; lines are read by a thread of `scope`.
pub(crate) fn tasks<'scope, 'env, F: Send + Sync + 'scope>(
    scope: &'scope Scope<'scope, 'env>,
    file: usize,
    open: Arc<OpenFile>,
    state: Arc<F>,
    stop: &'env AtomicBool,
) -> Box<dyn Iterator<Item = Result<Task<F>, PrepareError>> + Send + 'scope> {
    let task = {
        let open = open.clone();
        move |part| Task { file, open: open.clone(), state: state.clone(), part }
    };
    let end = std::iter::once(Ok(task(Part::End)));
    if let Some(groups) = open.num_groups() {
        let mut first = 0;
        let groups = (0..groups).map(move |group| {
            let begin = first;
            first += open.group_rows(group);
            Ok(task(Part::Group(group, begin)))
        });
        return Box::new(groups.chain(end));
    }
    let read = ReadAhead::start(scope, open, stop);
    Box::new(read.map(move |rows| rows.map(|rows| task(Part::Rows(rows)))).chain(end))
}

/// Rows that a thread reads ahead.
struct ReadAhead {
    rows: Receiver<Result<Rows, PrepareError>>,
}

impl ReadAhead {
    fn start<'scope, 'env>(
        scope: &'scope Scope<'scope, 'env>,
        open: Arc<OpenFile>,
        stop: &'env AtomicBool,
    ) -> Self {
        let (sender, rows) = sync_channel(AHEAD);
        let failed = sender.clone();
        let read = move || {
            let Some(source) = &open.source else { return };
            let stopped = || stop.load(Ordering::Relaxed);
            let sent = source.read_part(0, &stopped, &mut |rows| sender.send(Ok(rows)).is_ok());
            match sent {
                Ok(()) | Err(SourceError::Stopped) => {}
                // Nobody waits for it where the job has ended already.
                Err(wrong) => drop(sender.send(Err(wrong.into()))),
            }
        };
        if let Err(source) = std::thread::Builder::new().spawn_scoped(scope, read) {
            drop(failed.send(Err(PrepareError::Thread { source })));
        }
        Self { rows }
    }
}

impl Iterator for ReadAhead {
    type Item = Result<Rows, PrepareError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.rows.recv().ok()
    }
}
