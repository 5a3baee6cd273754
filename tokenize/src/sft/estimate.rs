//! Predicts the rows, tokens and bytes of a job over instruction data from a sample, and writes nothing.
//!
//! All rows are counted. Of a large split, every N-th row by chance is encoded, and stands for N.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ratdata_schemas::draw::mix;
use ratdata_schemas::recipe::{Form, Split};
use ratdata_schemas::{Dtype, TokenId};
use rayon::prelude::*;
use serde::Serialize;

use super::error::SftError;
use super::job::SftJob;
use super::row_error::RowError;
use super::rows::{RowEncoder, RowExamples};
use super::split_files::SplitFiles;
use crate::hub::FetchProgress;
use crate::source::{SourceFile, TableRow};
use crate::tokenizer::{Encoder, SpecialInText, Tokenizer};

/// How many bytes of files are encoded whole; of larger splits, as much as that.
const SAMPLE_BYTES: u64 = 32 << 20;

/// What a job is predicted to make.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SftEstimate {
    /// The splits of the task.
    pub splits: Vec<SplitEstimate>,
    /// How long it takes, in seconds, on the threads asked for.
    pub seconds: f64,
}

/// What is predicted of a split.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SplitEstimate {
    /// Its name in the task.
    pub name: String,
    /// The number of its files.
    pub files: usize,
    /// Their size.
    pub input_bytes: u64,
    /// All rows of the files, which are counted.
    pub rows: u64,
    /// Examples; two of each preference pair.
    pub examples: u64,
    /// Rows that cannot be used.
    pub bad_rows: u64,
    /// Examples or pairs that are left out for their length.
    pub dropped: u64,
    /// Tokens of all examples, without padding.
    pub tokens: u64,
    /// The size of what is written, without a pack.
    pub output_bytes: u64,
    /// How many of the rows were encoded, from 0 to 1.
    pub sampled: f64,
}

/// What the encoded rows of a split have.
#[derive(Debug, Default)]
struct Counts {
    rows: u64,
    encoded: u64,
    examples: u64,
    bad_rows: u64,
    dropped: u64,
    tokens: u64,
    encoding: Duration,
}

impl SftJob {
    /// Predicts what [`SftJob::run`] makes.
    ///
    /// # Errors
    ///
    /// As of the job itself, for the rows that are encoded.
    pub fn estimate(
        &self,
        tokenizer: &Tokenizer,
        fetch: &dyn FetchProgress,
        interrupted: &AtomicBool,
    ) -> Result<SftEstimate, SftError> {
        let eos = self.check_all(tokenizer)?;
        let encoder = tokenizer.encoder(SpecialInText::Parse);
        let encoders: Vec<_> =
            (0..self.threads.max(1)).map(|_| Mutex::new(encoder.clone())).collect();
        let pool = self.pool(encoders.len())?;
        let mut estimate = SftEstimate::default();
        for found in self.files(fetch)? {
            let SplitFiles { name, split, files, .. } = &found;
            let limit = self.limit(split) as usize;
            let truncate = self.truncate;
            let rows =
                RowEncoder::new(&self.task, split, tokenizer, eos, limit, truncate, interrupted)?;
            let sampler = Sampler { job: self, rows: &rows, encoders: &encoders, pool: &pool };
            let begun = Instant::now();
            let input_bytes = files.iter().map(|file| file.bytes).sum();
            let stride = u64::div_ceil(input_bytes, SAMPLE_BYTES).max(1);
            let mut counts = Counts::default();
            for file in files {
                sampler.read(file, stride, interrupted, &mut counts)?;
            }
            let reading = begun.elapsed().saturating_sub(counts.encoding).as_secs_f64();
            estimate.seconds += reading + counts.encoding.as_secs_f64() * scale(&counts);
            let wide = Dtype::for_vocab(tokenizer.vocab_size());
            let mut made = self.scaled(&counts, split, wide);
            (made.name, made.files) = ((*name).to_owned(), files.len());
            made.input_bytes = input_bytes;
            estimate.splits.push(made);
        }
        Ok(estimate)
    }

    /// Scales what the encoded rows have to all rows, and to those that the task draws.
    fn scaled(&self, counts: &Counts, split: &Split, wide: Dtype) -> SplitEstimate {
        let by = scale(counts);
        let examples = counts.examples as f64 * by;
        let a_row = if self.task.preference.is_some() { 2.0 } else { 1.0 };
        let drawn = split
            .sample
            .map_or(1.0, |sample| (f64::from(sample.rows) * a_row / examples.max(1.0)).min(1.0));
        let (examples, tokens) =
            (rounded(examples * drawn), rounded(counts.tokens as f64 * by * drawn));
        let output_bytes = match self.form {
            Form::Pairs => examples * (u64::from(self.max_length) * 4 + 8),
            Form::Documents => tokens * wide.width() as u64 + tokens.div_ceil(8) + examples * 8,
        };
        SplitEstimate {
            rows: counts.rows,
            examples,
            bad_rows: rounded(counts.bad_rows as f64 * by),
            dropped: rounded(counts.dropped as f64 * by),
            tokens,
            output_bytes,
            sampled: counts.encoded as f64 / (counts.rows as f64).max(1.0),
            ..SplitEstimate::default()
        }
    }
}

/// How many rows one encoded row stands for.
fn scale(counts: &Counts) -> f64 {
    if counts.encoded > 0 { counts.rows as f64 / counts.encoded as f64 } else { 0.0 }
}

/// Encodes some rows of files.
struct Sampler<'a> {
    job: &'a SftJob,
    rows: &'a RowEncoder<'a>,
    encoders: &'a [Mutex<Encoder>],
    pool: &'a rayon::ThreadPool,
}

impl Sampler<'_> {
    /// Counts the rows of a file, and encodes one of `stride` of them.
    fn read(
        &self,
        file: &SourceFile,
        stride: u64,
        interrupted: &AtomicBool,
        counts: &mut Counts,
    ) -> Result<(), SftError> {
        let table = self.rows.open(file)?;
        let is_taken = |row: u64| stride == 1 || mix(row).is_multiple_of(stride);
        let mut failed = None;
        table.read_wanted(&is_taken, &mut |first, rows| {
            if interrupted.load(Ordering::Relaxed) {
                failed = Some(SftError::Interrupted);
                return false;
            }
            counts.rows += rows.len() as u64;
            let taken = (first..).zip(rows).filter(|(row, _)| is_taken(*row));
            let taken: Vec<TableRow> = taken.map(|(_, row)| row).collect();
            let begun = Instant::now();
            let encoded = self.encode(&taken);
            counts.encoding += begun.elapsed();
            for (row, made) in taken.iter().zip(encoded) {
                match made {
                    Ok(made) => counts.add(&made),
                    Err(RowError::Bad(_) | RowError::Refused(_)) if self.job.skip_bad => {
                        counts.bad_rows += 1;
                    }
                    Err(wrong) => {
                        failed = Some(wrong.of(file, row.place.clone()));
                        return false;
                    }
                }
            }
            counts.encoded += taken.len() as u64;
            true
        })?;
        failed.map_or(Ok(()), Err)
    }

    fn encode(&self, rows: &[TableRow]) -> Vec<Result<RowExamples, RowError>> {
        let encode = |row: &TableRow| {
            let row = row.columns.as_ref().map_err(|reason| RowError::Bad(reason.clone()))?;
            let thread = rayon::current_thread_index().unwrap_or(0);
            let mut encoder = self.encoders[thread].lock().unwrap_or_else(PoisonError::into_inner);
            self.rows.encode(row, &mut encoder)
        };
        self.pool.install(|| rows.par_iter().map(encode).collect())
    }
}

impl Counts {
    fn add(&mut self, made: &RowExamples) {
        for example in &made.examples {
            let Some(example) = example else {
                self.dropped += 1;
                continue;
            };
            self.examples += 1;
            let closing: Option<TokenId> = example.closing();
            self.tokens += example.ids.len() as u64 + u64::from(closing.is_some());
        }
        let is_left_out = made.preference.is_some() && made.examples.is_empty();
        self.dropped += u64::from(is_left_out);
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
