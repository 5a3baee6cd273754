//! What a job would keep, from the beginning of some of its files.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use ratdata_tokenize::source::SampleFile;
use serde::Serialize;

use crate::decide::{Decide, RowSettings};
use crate::error::PrepareError;
use crate::judge::judge;
use crate::pool::in_order;
use crate::rows::{OpenFile, Piece, PieceCounts, Task, tasks};

/// How many bytes of each file are looked at.
const LOOKED_AT: u64 = 8 << 20;

/// What a job would keep.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// How many files there are.
    pub files: usize,
    /// How many bytes they have on disk.
    pub input_bytes: u64,
    /// About how many rows they have.
    pub rows: u64,
    /// About how many are kept.
    pub kept: u64,
    /// About how long it takes.
    pub seconds: f64,
    /// The share of the input that was looked at.
    pub sampled: f64,
    /// How many of the rows that were looked at are left out, by their reason.
    pub reasons: std::collections::BTreeMap<String, u64>,
}

/// Judges the first rows of some files, and writes nothing.
///
/// # Errors
///
/// An input cannot be read, a row cannot be judged, or `stop` was set.
pub fn estimate<D: Decide>(
    decide: &D,
    rows: &RowSettings,
    files: &[SampleFile],
    threads: usize,
    stop: &AtomicBool,
) -> Result<Estimate, PrepareError> {
    let begun = Instant::now();
    let mut counts = PieceCounts::default();
    let (mut looked_at, mut all_rows, mut kept) = (0_u64, 0.0, 0.0);
    for (number, sample) in files.iter().enumerate() {
        let open = OpenFile::open(&sample.file, &rows.text_column, decide.needs_text())?;
        let state = decide.open(number, &open)?;
        let mut of_file = PieceCounts::default();
        let mut bytes = 0;
        let end = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let open = Arc::new(open);
            let parts = tasks(scope, number, open, Arc::new(state), &end);
            let workers = (0..threads.max(1)).map(|_| decide.worker()).collect();
            let work =
                |worker: &mut D::Worker, task: Task<D::File>| judge(decide, worker, &task, rows);
            let mut taken = 0;
            // What is taken is decided before it is read, so that the estimate is always the same.
            let parts = parts.take_while(move |_| {
                taken += 1;
                taken <= 2 + LOOKED_AT / (1 << 20)
            });
            in_order(workers, parts, stop, work, |piece: Piece| {
                bytes += piece.input_bytes;
                of_file.add(&piece.counts);
                Ok(())
            })
        })?;
        let scale = sample.bytes as f64 / bytes.max(1) as f64;
        all_rows += of_file.rows as f64 * scale;
        kept += of_file.kept as f64 * scale;
        looked_at += bytes;
        counts.add(&of_file);
    }
    let input_bytes = files.iter().map(|file| file.bytes).sum::<u64>();
    let seconds = begun.elapsed().as_secs_f64();
    Ok(Estimate {
        files: files.iter().map(|file| file.files).sum(),
        input_bytes,
        rows: whole(all_rows),
        kept: whole(kept),
        seconds: seconds * input_bytes as f64 / looked_at.max(1) as f64,
        sampled: looked_at as f64 / input_bytes.max(1) as f64,
        reasons: counts.reasons,
    })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an estimate of a count"
)]
fn whole(number: f64) -> u64 {
    number.round() as u64
}
