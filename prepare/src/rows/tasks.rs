//! The parts of files in their order: row groups, which a worker reads itself, and batches of rows,
//! which a thread reads ahead.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::Scope;

use arrow_array::RecordBatch;
use ratdata_tokenize::source::{Rows, SourceError};

use super::open::OpenFile;
use crate::error::PrepareError;

/// How many batches are read ahead.
const AHEAD: usize = 4;

/// How many rows of a table a worker gets at a time.
const BATCH_ROWS: usize = 512;

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
    /// Rows of a table that were read.
    Batch(Batch),
    /// The file ends here.
    End,
}

/// Rows of a table that is read from its beginning to its end.
#[derive(Debug)]
pub(crate) struct Batch {
    /// The number of the first row.
    pub(crate) first: u64,
    pub(crate) rows: RecordBatch,
    pub(crate) input_bytes: u64,
}

/// Returns the tasks of a file; batches are read by a thread of `scope`.
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
    Box::new(read.map(move |part| part.map(&task)).chain(end))
}

/// Parts that a thread reads ahead.
struct ReadAhead {
    parts: Receiver<Result<Part, PrepareError>>,
}

impl ReadAhead {
    fn start<'scope, 'env>(
        scope: &'scope Scope<'scope, 'env>,
        open: Arc<OpenFile>,
        stop: &'env AtomicBool,
    ) -> Self {
        let (sender, parts) = sync_channel(AHEAD);
        let failed = sender.clone();
        let read = move || {
            let stopped = || stop.load(Ordering::Relaxed);
            let mut send = |part| sender.send(Ok(part)).is_ok();
            let sent = match (open.batches(), &open.source) {
                (Some(table), _) => {
                    let mut first = 0;
                    table.read(&stopped, &mut |batch, bytes| {
                        send_batch(&batch, &mut first, bytes, &mut send)
                    })
                }
                (None, Some(source)) => {
                    source.read_part(0, &stopped, &mut |rows| send(Part::Rows(rows)))
                }
                (None, None) => return,
            };
            match sent {
                Ok(()) if !stopped() => {}
                // What was not read is no end of the file.
                Ok(()) | Err(SourceError::Stopped) => {
                    drop(sender.send(Err(PrepareError::Interrupted)));
                }
                // Nobody waits for it where the job has ended already.
                Err(wrong) => drop(sender.send(Err(wrong.into()))),
            }
        };
        if let Err(source) = std::thread::Builder::new().spawn_scoped(scope, read) {
            drop(failed.send(Err(PrepareError::Thread { source })));
        }
        Self { parts }
    }
}

/// Sends the rows of a batch that begins at row `first`, a few at a time; returns whether to continue.
fn send_batch(
    batch: &RecordBatch,
    first: &mut u64,
    bytes: u64,
    send: &mut dyn FnMut(Part) -> bool,
) -> bool {
    let all = batch.num_rows();
    (0..all).step_by(BATCH_ROWS).all(|start| {
        let rows = batch.slice(start, BATCH_ROWS.min(all - start));
        let count = rows.num_rows() as u64;
        let input_bytes = ratdata_schemas::narrow(
            u128::from(bytes) * (start as u128 + u128::from(count)) / all as u128
                - u128::from(bytes) * start as u128 / all as u128,
        );
        let part = Part::Batch(Batch { first: *first, rows, input_bytes });
        *first += count;
        send(part)
    })
}

impl Iterator for ReadAhead {
    type Item = Result<Part, PrepareError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.parts.recv().ok()
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write;

    use ratdata_tokenize::source::find_inputs;

    use super::*;

    #[test]
    fn a_file_that_the_user_stopped_within_has_no_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        let mut file = File::create(&path).unwrap();
        // More than is read ahead, in lines that are longer than what is read at a time.
        let line = format!("{{\"text\": \"{}\"}}\n", "rat ".repeat(1 << 18));
        for _ in 0..40 {
            file.write_all(line.as_bytes()).unwrap();
        }
        let input = find_inputs(&[path.display().to_string()]).unwrap().remove(0);
        let open = Arc::new(OpenFile::open(&input, "text", true).unwrap());
        let stop = AtomicBool::new(false);

        let parts: Vec<_> = std::thread::scope(|scope| {
            let mut parts = tasks(scope, 0, open, Arc::new(()), &stop);
            assert!(matches!(parts.next(), Some(Ok(Task { part: Part::Rows(_), .. }))));
            stop.store(true, Ordering::Relaxed);
            parts.take_while(|task| !matches!(task, Ok(Task { part: Part::End, .. }))).collect()
        });

        let last = parts.last();
        assert!(matches!(last, Some(Err(PrepareError::Interrupted))), "{last:?}");
    }
}
