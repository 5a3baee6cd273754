//! Predicts a job's tokens, bytes and time from a sample of its rows, before anything is written.

use std::time::Instant;

use serde::Serialize;

use super::config::{JobConfig, OnBadRow};
use super::error::JobError;
use crate::source::{Source, SourceFile};
use crate::tokenizer::Tokenizer;

/// How much text is encoded for an estimate, at most.
const SAMPLE_BYTES: u64 = 64 << 20;

/// What a job is predicted to give.
#[derive(Clone, Debug, Serialize)]
pub struct Estimate {
    /// How many input files there are.
    pub files: usize,
    /// Their size on disk, in bytes.
    pub input_bytes: u64,
    /// Documents, where they can be counted without reading all.
    pub documents: u64,
    /// Tokens, those around documents included.
    pub tokens: u64,
    /// The size of the bins and indexes, in bytes.
    pub output_bytes: u64,
    /// The width of ids.
    pub dtype: String,
    /// How long it takes, in seconds, on the threads asked for.
    pub seconds: f64,
    /// How much of the input was looked at, from 0 to 1.
    pub sampled: f64,
}

/// Encodes a sample of the input, spread over all its files, and scales it up.
///
/// # Errors
///
/// As of the job itself, for the rows of the sample.
pub fn estimate(
    config: &JobConfig,
    tokenizer: &Tokenizer,
    files: &[SourceFile],
    threads: usize,
) -> Result<Estimate, JobError> {
    let record = tokenizer.record("");
    let dtype =
        config.dtype.resolve(&record).ok_or(JobError::Width { vocab_size: record.vocab_size })?;
    let mut encoder = tokenizer.encoder(config.special_in_text.into());
    let framed = u64::from(config.bos) + u64::from(config.eos);
    let budget = (SAMPLE_BYTES / files.len().max(1) as u64).max(1 << 20);
    let mut total = Totals::default();
    let begun = Instant::now();
    for file in files {
        let source = Source::open(file, &config.text_column)?;
        let parts = source.num_parts();
        // Every n-th part until the file's budget is spent, the middle of the file included.
        let stride = parts.div_ceil(16).max(1);
        let mut seen = Totals::default();
        for part in (stride / 2..parts).step_by(stride) {
            let mut failed = None;
            source.read_part(part, &mut |rows| {
                for (row, cell) in (rows.first..).zip(&rows.cells) {
                    let text = match source.text(cell) {
                        Ok(text) => text,
                        Err(_) if config.on_bad_row == OnBadRow::Skip => continue,
                        Err(reason) => {
                            let path = file.path.clone();
                            failed =
                                Some(JobError::BadRow { path, place: cell.place(row), reason });
                            return false;
                        }
                    };
                    let mut ids: Vec<u32> = Vec::new();
                    if let Err(source) = encoder.encode_into(&text, &mut ids) {
                        let path = file.path.clone();
                        failed = Some(JobError::Encode { path, place: cell.place(row), source });
                        return false;
                    }
                    seen.rows += 1;
                    seen.tokens += ids.len() as u64 + framed;
                    seen.text_bytes += text.len() as u64;
                }
                seen.text_bytes < budget
            })?;
            if let Some(failed) = failed {
                return Err(failed);
            }
            if seen.text_bytes >= budget {
                break;
            }
        }
        let share = match source.num_rows() {
            Some(rows) if seen.rows > 0 => rows as f64 / seen.rows as f64,
            // Without a count of rows the file's size is the measure.
            _ if seen.text_bytes < budget => 1.0,
            _ => file.bytes as f64 / seen.text_bytes as f64,
        };
        total.add(&seen, share.max(1.0));
    }
    let elapsed = begun.elapsed().as_secs_f64();
    let limited =
        config.limit_docs.map_or(1.0, |limit| (limit as f64 / total.scaled_rows).min(1.0));
    let tokens = rounded(total.scaled_tokens * limited);
    let documents = rounded(total.scaled_rows * limited);
    let grown = total.scaled_tokens / (total.tokens as f64).max(1.0) * limited;
    Ok(Estimate {
        files: files.len(),
        input_bytes: files.iter().map(|file| file.bytes).sum(),
        documents,
        tokens,
        output_bytes: tokens * dtype.width() as u64 + documents * 8,
        dtype: dtype.to_string(),
        seconds: elapsed * grown / threads.max(1) as f64,
        sampled: (1.0 / grown.max(f64::MIN_POSITIVE)).min(1.0),
    })
}

#[derive(Default)]
struct Totals {
    rows: u64,
    tokens: u64,
    text_bytes: u64,
    scaled_rows: f64,
    scaled_tokens: f64,
}

impl Totals {
    fn add(&mut self, seen: &Self, share: f64) {
        self.rows += seen.rows;
        self.tokens += seen.tokens;
        self.text_bytes += seen.text_bytes;
        self.scaled_rows += seen.rows as f64 * share;
        self.scaled_tokens += seen.tokens as f64 * share;
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an estimate is not negative, and beyond 2^53 it is no longer exact anyway"
)]
fn rounded(value: f64) -> u64 {
    value.round() as u64
}
