//! The threads of a job: parts of files in, blocks of ids out, in the order of the input.
//!
//! Every worker both reads and encodes. It takes a batch of rows that waits for encoding, or opens
//! the next part and offers its batches to the others; when enough of them wait, it encodes the
//! next itself. So one large row group keeps all threads busy, many small ones need no hand-over,
//! and what waits is bounded. One more thread puts the blocks in order and writes.
//!
//! Longer than 500 lines because who waits for whom is one argument, and its test drives the workers by hand.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use ratdata_schemas::TokenId;
use ratdata_schemas::narrow;

use super::block::EncodedBatch;
use super::error::JobError;
use super::fim::FimFiles;
use super::progress::Progress;
use crate::source::{Cell, RowText, Rows, Source, SourceError};
use crate::tokenizer::{Encoder, IdWidth};
use ratdata_schemas::recipe::OnBadRow;

/// No new part is opened while this much waits for its turn to be written.
const MOST_WAITING: usize = 128 << 20;

/// A batch's place in the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct BatchPlace {
    /// The number of its part, counted over all files.
    part: usize,
    /// Its number in the part.
    batch: usize,
}

/// What reaches the writer.
enum Message<W> {
    Block { place: BatchPlace, file: usize, block: EncodedBatch<W> },
    PartEnd { part: usize, batches: usize, file: usize, is_last: bool },
    Failed(BatchPlace, JobError),
}

/// A batch of rows that waits for a worker.
struct RowBatch {
    place: BatchPlace,
    file: usize,
    source: Arc<Source>,
    path: Arc<PathBuf>,
    rows: Rows,
}

/// One part of one file.
#[derive(Clone)]
pub(crate) struct FilePart {
    pub(crate) file: usize,
    pub(crate) number: usize,
    /// Whether it is the last of its file.
    pub(crate) last: bool,
    pub(crate) source: Arc<Source>,
    pub(crate) path: Arc<PathBuf>,
}

/// What is put around each document.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) bos: Option<TokenId>,
    pub(crate) eos: Option<TokenId>,
    pub(crate) on_bad_row: OnBadRow,
    /// How documents are parted to fill in the middle, if they are.
    pub(super) fim: Option<FimFiles>,
}

struct Shared<'a, I> {
    state: Mutex<State<I>>,
    changed: Condvar,
    waiting: AtomicUsize,
    stop: AtomicBool,
    interrupted: &'a AtomicBool,
    most_queued: usize,
    frame: Frame,
    progress: &'a Progress,
}

impl<I> Shared<'_, I> {
    /// Returns whether all work is to end: the user asked, or the writer has all that it wants.
    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst) || self.interrupted.load(Ordering::SeqCst)
    }
}

struct State<I> {
    parts: I,
    queue: VecDeque<RowBatch>,
    opened: usize,
    open: usize,
    exhausted: bool,
    /// Where the first failure so far lies; what comes before it is still encoded, so that the
    /// first of the input is the one that is told, whichever thread met it.
    failed_at: Option<BatchPlace>,
    failed: Option<JobError>,
}

impl<I> State<I> {
    /// Gives up all that comes after `place`.
    fn fail_at(&mut self, place: BatchPlace) {
        let first = self.failed_at.map_or(place, |failed| failed.min(place));
        self.failed_at = Some(first);
        self.queue.retain(|batch| batch.place < first);
        self.exhausted = true;
    }

    fn is_wanted(&self, place: BatchPlace) -> bool {
        self.failed_at.is_none_or(|failed| place < failed)
    }
}

/// Encodes all parts on as many threads as there are encoders, and calls `write` with what
/// happened, in the order of the input; it says whether to continue.
///
/// # Errors
///
/// The first failure by its place in the input, or what `write` returned.
pub(crate) fn run<W: IdWidth>(
    encoders: Vec<Encoder>,
    parts: impl Iterator<Item = Result<FilePart, JobError>> + Send,
    frame: Frame,
    progress: &Progress,
    interrupted: &AtomicBool,
    mut write: impl FnMut(Event<W>) -> Result<bool, JobError>,
) -> Result<(), JobError> {
    let threads = encoders.len();
    let shared = Shared {
        state: Mutex::new(State {
            parts,
            queue: VecDeque::new(),
            opened: 0,
            open: 0,
            exhausted: false,
            failed_at: None,
            failed: None,
        }),
        changed: Condvar::new(),
        waiting: AtomicUsize::new(0),
        stop: AtomicBool::new(false),
        interrupted,
        most_queued: 2 * threads,
        frame,
        progress,
    };
    let (sender, receiver) = sync_channel(4 * threads);
    std::thread::scope(|scope| {
        let mut workers = Vec::new();
        for encoder in encoders {
            let (sender, shared) = (sender.clone(), &shared);
            let worker = move || {
                // A panic must not leave the others waiting for this worker's part.
                let guard = StopOnPanic { shared };
                work(shared, encoder, &sender);
                std::mem::forget(guard);
            };
            match std::thread::Builder::new().spawn_scoped(scope, worker) {
                Ok(worker) => workers.push(worker),
                // Fewer threads give the same bytes.
                Err(_) if !workers.is_empty() => break,
                Err(source) => return Err(JobError::Thread { source }),
            }
        }
        drop(sender);
        let written = in_order(&shared, &receiver, &mut write);
        shared.stop.store(true, Ordering::SeqCst);
        shared.changed.notify_all();
        drop(receiver); // workers that wait to send give up
        // A panic that is not taken here would be the scope's own.
        let panicked = workers.into_iter().filter_map(|worker| worker.join().err()).count();
        if panicked > 0 { Err(JobError::Panicked) } else { written }
    })?;
    let mut state = lock(&shared.state);
    match state.failed.take() {
        Some(failed) => Err(failed),
        None if interrupted.load(Ordering::SeqCst) => Err(JobError::Interrupted),
        None => Ok(()),
    }
}

struct StopOnPanic<'a, 'b, I> {
    shared: &'a Shared<'b, I>,
}

impl<I> Drop for StopOnPanic<'_, '_, I> {
    fn drop(&mut self) {
        lock(&self.shared.state).failed.get_or_insert(JobError::Panicked);
        self.shared.stop.store(true, Ordering::SeqCst);
        self.shared.changed.notify_all();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One worker's life.
fn work<W: IdWidth, I: Iterator<Item = Result<FilePart, JobError>>>(
    shared: &Shared<'_, I>,
    mut encoder: Encoder,
    sender: &SyncSender<Message<W>>,
) {
    loop {
        match next_task(shared) {
            WorkerTask::Encode(batch) => {
                if !encode_and_send(shared, &mut encoder, &batch, sender) {
                    return;
                }
            }
            WorkerTask::Open(number, part) => {
                let continues = read_part(shared, &mut encoder, number, &part, sender);
                lock(&shared.state).open -= 1;
                shared.changed.notify_all();
                if !continues {
                    return;
                }
            }
            WorkerTask::Done => return,
        }
    }
}

enum WorkerTask {
    Encode(RowBatch),
    Open(usize, FilePart),
    Done,
}

fn next_task<I: Iterator<Item = Result<FilePart, JobError>>>(shared: &Shared<'_, I>) -> WorkerTask {
    let mut state = lock(&shared.state);
    loop {
        if shared.is_stopped() {
            shared.changed.notify_all();
            return WorkerTask::Done;
        }
        if let Some(batch) = state.queue.pop_front() {
            return WorkerTask::Encode(batch);
        }
        let room = shared.waiting.load(Ordering::Relaxed) < MOST_WAITING || state.open == 0;
        if !state.exhausted && room {
            match state.parts.next() {
                Some(Ok(part)) => {
                    state.open += 1;
                    state.opened += 1;
                    return WorkerTask::Open(state.opened - 1, part);
                }
                Some(Err(failed)) => {
                    state.failed.get_or_insert(failed);
                    state.exhausted = true;
                }
                None => state.exhausted = true,
            }
            continue;
        }
        if state.exhausted && state.open == 0 {
            shared.changed.notify_all();
            return WorkerTask::Done;
        }
        // The writer makes room without a signal, so the wait is short.
        let tick = std::time::Duration::from_millis(20);
        state = shared.changed.wait_timeout(state, tick).unwrap_or_else(PoisonError::into_inner).0;
    }
}

/// Reads a part, offering its batches to the others; returns whether to continue.
fn read_part<W: IdWidth, I: Iterator<Item = Result<FilePart, JobError>>>(
    shared: &Shared<'_, I>,
    encoder: &mut Encoder,
    number: usize,
    part: &FilePart,
    sender: &SyncSender<Message<W>>,
) -> bool {
    let mut batches = 0;
    let mut continues = true;
    let mut wanted = true;
    let stopped = || shared.is_stopped();
    let read = part.source.read_part(part.number, &stopped, &mut |rows| {
        let batch = RowBatch {
            place: BatchPlace { part: number, batch: batches },
            file: part.file,
            source: part.source.clone(),
            path: part.path.clone(),
            rows,
        };
        batches += 1;
        let mut state = lock(&shared.state);
        wanted = state.is_wanted(batch.place);
        if !wanted {
            return false;
        }
        state.queue.push_back(batch);
        // The oldest first: the writer waits for it, and what comes after it waits in memory.
        let full = state.queue.len() > shared.most_queued;
        let oldest = if full { state.queue.pop_front() } else { None };
        drop(state);
        match oldest {
            Some(oldest) => continues = encode_and_send(shared, encoder, &oldest, sender),
            None => shared.changed.notify_one(),
        }
        continues = continues && !shared.is_stopped();
        continues
    });
    if !continues || !wanted {
        return continues;
    }
    match read {
        Ok(()) => sender
            .send(Message::PartEnd { part: number, batches, file: part.file, is_last: part.last })
            .is_ok(),
        Err(SourceError::Stopped) => false,
        Err(wrong) => {
            fail(shared, BatchPlace { part: number, batch: batches }, wrong.into(), sender)
        }
    }
}

/// Encodes one batch; returns whether to continue.
fn encode_and_send<W: IdWidth, I>(
    shared: &Shared<'_, I>,
    encoder: &mut Encoder,
    batch: &RowBatch,
    sender: &SyncSender<Message<W>>,
) -> bool {
    match encode(shared, encoder, batch) {
        Ok(block) => {
            shared.progress.add(&block, batch.rows.input_bytes);
            shared.waiting.fetch_add(block.ids.len() * W::DTYPE.width(), Ordering::Relaxed);
            sender.send(Message::Block { place: batch.place, file: batch.file, block }).is_ok()
        }
        Err(failed) => fail(shared, batch.place, failed, sender),
    }
}

/// Tells of a failure and gives up what comes after it; returns whether to continue with the rest.
fn fail<W, I>(
    shared: &Shared<'_, I>,
    place: BatchPlace,
    failed: JobError,
    sender: &SyncSender<Message<W>>,
) -> bool {
    lock(&shared.state).fail_at(place);
    shared.changed.notify_all();
    sender.send(Message::Failed(place, failed)).is_ok()
}

/// Encodes the rows of one batch, with what frames each document.
fn encode<W: IdWidth, I>(
    shared: &Shared<'_, I>,
    encoder: &mut Encoder,
    batch: &RowBatch,
) -> Result<EncodedBatch<W>, JobError> {
    let frame = &shared.frame;
    let bytes: usize = batch.rows.cells.iter().map(Cell::bytes).sum();
    let mut block = EncodedBatch {
        // An id of most texts stands for three bytes or more; a vector that grows is copied.
        ids: Vec::with_capacity(bytes / 3),
        lens: Vec::with_capacity(batch.rows.cells.len()),
        text_lens: Vec::with_capacity(batch.rows.cells.len()),
        rows: batch.rows.cells.len() as u64,
        bad: Vec::new(),
        replaced: Vec::new(),
    };
    let first = batch.rows.first;
    let path = || batch.path.as_ref().clone();
    for (row, cell) in (first..).zip(&batch.rows.cells) {
        // A batch may take a slow tokenizer seconds.
        if shared.is_stopped() {
            return Err(JobError::Interrupted);
        }
        let place = || batch.source.place(cell, row);
        let RowText { text, replaced } = match batch.source.text(cell, frame.on_bad_row.into()) {
            Ok(text) => text,
            Err(bad) if frame.on_bad_row == OnBadRow::Skip || bad.is_empty() => {
                block.bad.push((row - first, format!("{}: {bad}", place())));
                continue;
            }
            Err(bad) => return Err(JobError::BadRow { path: path(), place: place(), bad }),
        };
        let before = block.ids.len();
        block.ids.extend(frame.bos.map(W::of));
        let encoded = match &frame.fim {
            Some(fim) => fim.encode((batch.file, row), &text, encoder, &mut block.ids),
            None => encoder.encode_into(&text, &mut block.ids),
        };
        match encoded {
            Ok(()) => {}
            Err(wrong) if frame.on_bad_row == OnBadRow::Skip && wrong.is_of_row() => {
                block.ids.truncate(before);
                block.bad.push((row - first, format!("{}: {wrong}", place())));
                continue;
            }
            Err(source) => return Err(JobError::Encode { path: path(), place: place(), source }),
        }
        if replaced {
            block.replaced.push((row - first, place()));
        }
        block.ids.extend(frame.eos.map(W::of));
        block.lens.push(narrow(block.ids.len() - before));
        block.text_lens.push(text.len() as u64);
    }
    Ok(block)
}

/// What the writer is told, in the order of the input.
pub(crate) enum Event<W> {
    /// The next block of a file.
    Block(usize, EncodedBatch<W>),
    /// The last block of a file was written.
    FileEnd(usize),
}

/// Puts what the workers send in order and hands it on.
fn in_order<W: IdWidth, I>(
    shared: &Shared<'_, I>,
    receiver: &Receiver<Message<W>>,
    write: &mut impl FnMut(Event<W>) -> Result<bool, JobError>,
) -> Result<(), JobError> {
    let mut parts: BTreeMap<usize, Waiting<W>> = BTreeMap::new();
    let mut failures: BTreeMap<BatchPlace, JobError> = BTreeMap::new();
    let mut next = 0;
    for message in receiver {
        match message {
            Message::Block { place, file, block } => {
                parts.entry(place.part).or_default().blocks.insert(place.batch, (file, block));
            }
            Message::PartEnd { part, batches, file, is_last } => {
                parts.entry(part).or_default().end = Some((batches, file, is_last));
            }
            Message::Failed(place, failed) => {
                failures.insert(place, failed);
            }
        }
        // A batch or part that failed never arrives, so what comes after it is never written.
        while let Some(waiting) = parts.get_mut(&next) {
            while let Some((file, block)) = waiting.blocks.remove(&waiting.written) {
                waiting.written += 1;
                shared.waiting.fetch_sub(block.ids.len() * W::DTYPE.width(), Ordering::Relaxed);
                if !write(Event::Block(file, block))? {
                    return Ok(());
                }
            }
            let Some((_, file, last)) = waiting.end.filter(|end| end.0 == waiting.written) else {
                break;
            };
            parts.remove(&next);
            next += 1;
            if last && !write(Event::FileEnd(file))? {
                return Ok(());
            }
        }
    }
    failures.pop_first().map_or(Ok(()), |(_, failed)| Err(failed))
}

/// What has arrived of one part.
struct Waiting<W> {
    blocks: BTreeMap<usize, (usize, EncodedBatch<W>)>,
    /// How many batches there are, of which file, and whether it ends with this part.
    end: Option<(usize, usize, bool)>,
    written: usize,
}

impl<W> Default for Waiting<W> {
    fn default() -> Self {
        Self { blocks: BTreeMap::new(), end: None, written: 0 }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::tokenizer::{SpecialInText, Tokenizer};

    const TOKENIZER: &str = r#"{"version": "1.0", "truncation": null, "padding": null,
        "added_tokens": [], "normalizer": null, "pre_tokenizer": null, "post_processor": null,
        "decoder": null, "model": {"type": "BPE", "dropout": null, "unk_token": null,
        "continuing_subword_prefix": null, "end_of_word_suffix": null, "fuse_unk": false,
        "byte_fallback": false, "vocab": {"a": 0}, "merges": []}}"#;

    fn encoder() -> Encoder {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(TOKENIZER.as_bytes()).unwrap();
        Tokenizer::load(file.path()).unwrap().encoder(SpecialInText::Parse)
    }

    #[test]
    fn one_thread_hands_blocks_on_while_it_reads() {
        const BATCHES: usize = 100;
        let mut file = tempfile::Builder::new().suffix(".jsonl").tempfile().unwrap();
        let lines = "{\"text\": \"a\"}\n".repeat(256 * BATCHES);
        file.write_all(lines.as_bytes()).unwrap();
        let path = file.path().display().to_string();
        let found = crate::source::find_inputs(&[path]).unwrap().remove(0);
        let part = FilePart {
            file: 0,
            number: 0,
            last: true,
            source: Arc::new(Source::open(&found, "text").unwrap()),
            path: Arc::new(found.path),
        };
        let progress = Progress::default();
        let mut encoded_at_first = None;

        run::<u16>(
            vec![encoder()],
            std::iter::once(Ok(part)),
            Frame { bos: None, eos: None, on_bad_row: OnBadRow::Fail, fim: None },
            &progress,
            &AtomicBool::new(false),
            |_| {
                let encoded = progress.documents.load(Ordering::SeqCst);
                encoded_at_first.get_or_insert(encoded);
                Ok(true)
            },
        )
        .unwrap();

        assert_eq!(progress.documents.load(Ordering::SeqCst), 256 * BATCHES as u64);
        let early = encoded_at_first.unwrap();
        assert!(early < 256 * 20, "{early} documents wait for the first");
    }

    #[test]
    fn a_worker_that_panics_is_an_error_of_the_job() {
        let encoder = encoder();
        let frame = Frame { bos: None, eos: None, on_bad_row: OnBadRow::Fail, fim: None };
        let parts = std::iter::from_fn(|| -> Option<Result<FilePart, JobError>> {
            unreachable!("what a defect does to a worker")
        });

        let ran = run::<u16>(
            vec![encoder; 2],
            parts,
            frame,
            &Progress::default(),
            &AtomicBool::new(false),
            |_| Ok(true),
        );

        assert!(matches!(ran, Err(JobError::Panicked)));
    }
}
