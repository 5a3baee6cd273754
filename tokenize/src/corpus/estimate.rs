//! Predicts a job's tokens, bytes and time from a sample of its rows, before anything is written.
//!
//! The sample is spread over all files and, within each, over its row groups or bytes. Rows are
//! drawn by their number, each with a chance that is known, and stand for as many as that chance
//! says; tokens are then scaled by the bytes that were read, which are exact, not by the rows.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::error::JobError;
use super::fim::FimPlan;
use crate::source::{
    Cell, Compression, LinesSource, ParquetSource, Rows, SampleFile, Source, SourceError,
    SourceFile, Stopped,
};
use crate::tokenizer::{Encoder, Tokenizer};
use ratdata_schemas::draw::mix;
use ratdata_schemas::narrow;
use ratdata_schemas::recipe::{OnBadRow, Tokenize};

/// How much text is encoded for an estimate, about.
const SAMPLE_BYTES: u64 = 64 << 20;

/// How much of the input is read for it, about.
const READ_BYTES: u64 = 1 << 30;

/// How much of one file is read, at least.
const READ_AT_LEAST: u64 = 4 << 20;

/// Into how many strata a file falls, at most, where it is too large to be read whole.
const STRATA: u64 = 64;

/// What a job is predicted to give.
#[derive(Clone, Debug, Serialize)]
pub struct Estimate {
    /// How many input files there are.
    pub files: usize,
    /// How many of them were looked at.
    pub sampled_files: usize,
    /// The size of all files on disk, in bytes.
    pub input_bytes: u64,
    /// Documents, where they can be counted without reading all.
    pub documents: u64,
    /// Tokens, those around documents included.
    pub tokens: u64,
    /// The size of the bins and indexes, in bytes.
    pub output_bytes: u64,
    /// The width of ids.
    pub dtype: String,
    /// How long it takes, in seconds, on the threads asked for: reading and encoding.
    pub seconds: f64,
    /// How much of the text was encoded, from 0 to 1.
    pub sampled: f64,
}

/// Encodes a sample of the input, spread over all its files, and scales it up.
///
/// # Errors
///
/// As of the job itself, for the rows of the sample; [`JobError::Interrupted`] as soon as
/// `interrupted` is set.
pub fn estimate(
    config: &Tokenize,
    tokenizer: &Tokenizer,
    files: &[SampleFile],
    threads: usize,
    interrupted: &AtomicBool,
) -> Result<Estimate, JobError> {
    let record = tokenizer.record("");
    let dtype =
        config.dtype.resolve(&record).ok_or(JobError::Width { vocab_size: record.vocab_size })?;
    let count = files.len().max(1) as u64;
    let mut sampler = Sampler {
        config,
        encoder: tokenizer.encoder(config.special_in_text),
        fim: FimPlan::of(config, tokenizer)?,
        framed: u64::from(config.bos.is_on()) + u64::from(config.eos.is_on()),
        interrupted,
        encode_budget: SAMPLE_BYTES / count,
        read_budget: (READ_BYTES / count).max(READ_AT_LEAST),
    };
    let threads = threads.max(1) as f64;
    let mut total = Totals::default();
    let mut longest: f64 = 0.0;
    for sample in files {
        let file = &sample.file;
        let source = Source::open(file, &config.text_column)?;
        let mut of_file = match &source {
            Source::Parquet(parquet) => sampler.parquet(file, &source, parquet)?,
            Source::Lines(lines) if !lines.is_sequential() => {
                sampler.lines(file, &source, lines)?
            }
            Source::Arrow(_) | Source::Lines(_) | Source::Csv(_) | Source::Tar(_) => {
                sampler.beginning(file, &source)?
            }
            Source::Texts(_) => sampler.texts(file, &source)?,
        };
        of_file.scale(sample.bytes as f64 / file.bytes.max(1) as f64);
        if !matches!(source, Source::Parquet(_)) {
            // One thread reads such a file from end to end, however many encode.
            longest = longest.max(of_file.read_seconds / sample.files.max(1) as f64);
        }
        total.add(&of_file);
    }
    total.fill_blank();
    let limited = config.limit_docs.map_or(1.0, |limit| (limit as f64 / total.documents).min(1.0));
    let tokens = rounded(total.tokens * limited);
    let documents = rounded(total.documents * limited);
    let work = (total.read_seconds + total.encode_seconds) / threads;
    Ok(Estimate {
        files: files.iter().map(|sample| sample.files).sum(),
        sampled_files: files.len(),
        input_bytes: files.iter().map(|sample| sample.bytes).sum(),
        documents,
        tokens,
        output_bytes: tokens * dtype.width() as u64 + documents * 8,
        dtype: dtype.to_string(),
        seconds: work.max(longest) * limited,
        sampled: (total.encoded as f64 / total.tokens.max(1.0)).min(1.0),
    })
}

/// What a stretch of the input is predicted to give.
#[derive(Debug, Default)]
struct Totals {
    documents: f64,
    tokens: f64,
    /// Bytes of rows, and those of stretches of which no row was drawn.
    text: f64,
    blank: f64,
    read_seconds: f64,
    encode_seconds: f64,
    /// Tokens that were made, not predicted.
    encoded: u64,
}

impl Totals {
    fn add(&mut self, other: &Self) {
        self.documents += other.documents;
        self.tokens += other.tokens;
        self.text += other.text;
        self.blank += other.blank;
        self.read_seconds += other.read_seconds;
        self.encode_seconds += other.encode_seconds;
        self.encoded += other.encoded;
    }

    fn scale(&mut self, by: f64) {
        self.documents *= by;
        self.tokens *= by;
        self.text *= by;
        self.blank *= by;
        self.read_seconds *= by;
        self.encode_seconds *= by;
    }

    /// Takes what no row was drawn of to be like all else.
    fn fill_blank(&mut self) {
        let seen = self.text - self.blank;
        if seen > 0.0 {
            self.tokens *= self.text / seen;
            self.encode_seconds *= self.text / seen;
        }
    }
}

/// Gives rows, batch by batch, to what it is called with.
type RowReader<'a> =
    dyn FnMut(Stopped<'_>, &mut dyn FnMut(Rows) -> bool) -> Result<(), SourceError> + 'a;

/// Draws rows and encodes them.
struct Sampler<'a> {
    config: &'a Tokenize,
    encoder: Encoder,
    fim: Option<FimPlan>,
    framed: u64,
    interrupted: &'a AtomicBool,
    encode_budget: u64,
    read_budget: u64,
}

impl Sampler<'_> {
    /// Reads row groups that lie evenly in the file; each stands for those around it.
    fn parquet(
        &mut self,
        file: &SourceFile,
        source: &Source,
        parquet: &ParquetSource,
    ) -> Result<Totals, JobError> {
        let groups = parquet.num_row_groups();
        let text: u64 = (0..groups).map(|group| parquet.text_bytes(group)).sum();
        let each = (text / (groups.max(1) as u64)).max(1);
        let fitting = (self.encode_budget / each).max(STRATA.min(self.encode_budget >> 16));
        let strata = narrow::<_, usize>(fitting.max(1)).min(groups);
        let mut total = Totals::default();
        for number in 0..strata {
            let stratum = number * groups / strata..(number + 1) * groups / strata;
            let group = stratum.start + stratum.len() / 2;
            let rows = parquet.num_group_rows(group);
            let most = (self.read_budget / strata as u64) as f64;
            let expected = parquet.text_bytes(group) as f64;
            let mut drawn = Drawn {
                budget: self.encode_budget as f64 / strata as f64,
                expected,
                whole: rows as f64,
                planned: rows as f64 * (most / expected.max(1.0)).min(1.0),
                ..Drawn::default()
            };
            self.draw(
                file,
                source,
                &mut drawn,
                &mut |drawn, rows| {
                    drawn.passed += rows.cells.len() as f64;
                    drawn.bytes < most
                },
                &mut |_, each| parquet.read_row_group(group, each),
            )?;
            let mut of_group = drawn.totals(self.framed);
            let all: u64 = stratum.map(|group| parquet.num_group_rows(group)).sum();
            of_group.scale(all as f64 / (rows.max(1)) as f64);
            total.add(&of_group);
        }
        Ok(total)
    }

    /// Reads a file of lines whole, or stretches that lie evenly in it where it is too large.
    fn lines(
        &mut self,
        file: &SourceFile,
        source: &Source,
        lines: &LinesSource,
    ) -> Result<Totals, JobError> {
        let stretches = if file.bytes <= self.read_budget { 1 } else { STRATA };
        let mut drawn = self.drawn(file, 1.0);
        for stretch in 0..stretches {
            let start = stretch * (file.bytes / stretches);
            let most = drawn.passed + (self.read_budget / stretches) as f64;
            self.draw(
                file,
                source,
                &mut drawn,
                &mut |drawn, rows| {
                    drawn.passed += rows.cells.iter().map(Cell::bytes).sum::<usize>() as f64;
                    drawn.passed < most
                },
                &mut |stopped, each| lines.read_from(start, stopped, each),
            )
            .map_err(|wrong| match wrong {
                JobError::BadRow { path, place, bad } if start > 0 => {
                    JobError::BadRow { path, place: format!("{place} after byte {start}"), bad }
                }
                other => other,
            })?;
        }
        if stretches == 1 && (drawn.passed < self.read_budget as f64) {
            // The end was reached: blank lines are no error of the count.
            drawn.whole = drawn.passed;
        }
        Ok(drawn.totals(self.framed))
    }

    /// Reads the beginning of a file that is read from there alone, or all of it where it is small.
    fn beginning(&mut self, file: &SourceFile, source: &Source) -> Result<Totals, JobError> {
        // Text that compresses well grows fourfold; the guess gives way to what is seen.
        let growth = if source.compression() == Compression::None { 1.0 } else { 4.0 };
        let mut drawn = self.drawn(file, growth);
        let most = self.read_budget as f64;
        self.draw(
            file,
            source,
            &mut drawn,
            &mut |drawn, rows| {
                drawn.passed += rows.input_bytes as f64;
                drawn.passed < most
            },
            &mut |stopped, each| source.read_part(0, stopped, each),
        )?;
        if drawn.passed < most {
            // The end was reached: what is read ahead, or is no row, is no error of the count.
            drawn.whole = drawn.passed;
        }
        Ok(drawn.totals(self.framed))
    }

    /// Returns what is drawn of a file, of which nothing was read yet.
    fn drawn(&self, file: &SourceFile, growth: f64) -> Drawn {
        Drawn {
            budget: self.encode_budget as f64,
            expected: file.bytes as f64 * growth,
            whole: file.bytes as f64,
            planned: file.bytes.min(self.read_budget) as f64,
            ..Drawn::default()
        }
    }

    /// Reads all texts, for each is small.
    fn texts(&mut self, file: &SourceFile, source: &Source) -> Result<Totals, JobError> {
        let mut drawn = self.drawn(file, 1.0);
        let most = self.read_budget as f64;
        self.draw(
            file,
            source,
            &mut drawn,
            &mut |drawn, rows| {
                drawn.passed += rows.input_bytes as f64;
                drawn.passed < most
            },
            &mut |stopped, each| source.read_part(0, stopped, each),
        )?;
        Ok(drawn.totals(self.framed))
    }

    /// Reads with `read`, draws of each batch and encodes what was drawn, as long as `pass`, which
    /// counts how far the reading is, says so.
    fn draw(
        &mut self,
        file: &SourceFile,
        source: &Source,
        drawn: &mut Drawn,
        pass: &mut dyn FnMut(&mut Drawn, &Rows) -> bool,
        read: &mut RowReader<'_>,
    ) -> Result<(), JobError> {
        let mut failed = None;
        let begun = Instant::now();
        let encoded_before = drawn.encoding;
        let interrupted = self.interrupted;
        read(&|| interrupted.load(Ordering::Relaxed), &mut |rows| {
            if self.interrupted.load(Ordering::Relaxed) {
                failed = Some(JobError::Interrupted);
                return false;
            }
            let chance = drawn.chance();
            let encoding = Instant::now();
            for (row, cell) in (rows.first..).zip(&rows.cells) {
                let bytes = cell.bytes() as f64;
                drawn.bytes += bytes;
                drawn.rows += 1.0;
                if uniform(row) >= chance {
                    continue;
                }
                match self.encode(file, source, row, cell) {
                    Ok(tokens) => drawn.count(bytes, chance, tokens),
                    Err(wrong) => {
                        failed = Some(wrong);
                        return false;
                    }
                }
            }
            drawn.encoding += encoding.elapsed();
            pass(drawn, &rows)
        })?;
        drawn.reading +=
            begun.elapsed().saturating_sub(drawn.encoding.saturating_sub(encoded_before));
        failed.map_or(Ok(()), Err)
    }

    /// Returns how many tokens a row has, without those around it; none where it is left out.
    fn encode(
        &mut self,
        file: &SourceFile,
        source: &Source,
        row: u64,
        cell: &Cell,
    ) -> Result<Option<u64>, JobError> {
        let skips = self.config.on_bad_row == OnBadRow::Skip;
        let path = || file.path.clone();
        let text = match source.text(cell, self.config.on_bad_row.into()) {
            Ok(read) => read.text,
            Err(bad) if skips || bad.is_empty() => return Ok(None),
            Err(bad) => {
                return Err(JobError::BadRow { path: path(), place: source.place(cell, row), bad });
            }
        };
        let mut ids: Vec<u32> = Vec::new();
        let encoded = match &self.fim {
            Some(fim) => fim.encode((fim.key(&file.name), row), &text, &mut self.encoder, &mut ids),
            None => self.encoder.encode_into(&text, &mut ids),
        };
        match encoded {
            Ok(()) => Ok(Some(ids.len() as u64)),
            Err(wrong) if skips && wrong.is_of_row() => Ok(None),
            Err(wrong) => Err(JobError::Encode {
                path: path(),
                place: source.place(cell, row),
                source: wrong,
            }),
        }
    }
}

/// What was read of a stretch of the input and drawn from it.
#[derive(Debug, Default)]
struct Drawn {
    /// How much is to be encoded.
    budget: f64,
    /// How many bytes of rows the stretch has, as far as is known before.
    expected: f64,
    /// The size of the stretch, how much of it will be read, and how much has passed, in one unit.
    whole: f64,
    planned: f64,
    passed: f64,
    /// All that was read.
    bytes: f64,
    rows: f64,
    /// What was drawn, as it is and as much as it stands for.
    spent: f64,
    encoded: u64,
    kept: u64,
    meant_bytes: f64,
    meant_rows: f64,
    meant_documents: f64,
    meant_tokens: f64,
    encoding: Duration,
    reading: Duration,
}

impl Drawn {
    /// Returns the chance of the next rows, so that the budget lasts to the end.
    fn chance(&self) -> f64 {
        let passed = (self.passed / self.planned.max(1.0)).min(1.0);
        let total = if self.bytes > 0.0 && passed > 0.0 {
            self.bytes / passed
        } else {
            self.expected * self.planned / self.whole.max(1.0)
        };
        let total = total.max(1.0);
        let left = (total * (1.0 - passed)).max(1.0);
        // A budget that is spent early must not leave the rest unseen.
        ((self.budget - self.spent) / left).max(self.budget / total / 4.0).min(1.0)
    }

    fn count(&mut self, bytes: f64, chance: f64, tokens: Option<u64>) {
        self.spent += bytes;
        self.encoded += tokens.unwrap_or(0);
        self.kept += u64::from(tokens.is_some());
        self.meant_rows += 1.0 / chance;
        self.meant_bytes += bytes / chance;
        self.meant_documents += f64::from(u8::from(tokens.is_some())) / chance;
        self.meant_tokens += tokens.unwrap_or(0) as f64 / chance;
    }

    /// Scales what was drawn to the whole stretch.
    fn totals(&self, framed: u64) -> Totals {
        let unseen = if self.passed > 0.0 { (self.whole / self.passed).max(1.0) } else { 1.0 };
        let share = |part: f64, of: f64| if of > 0.0 { part / of } else { 0.0 };
        let kept = if self.meant_rows > 0.0 { self.meant_documents / self.meant_rows } else { 1.0 };
        let documents = self.rows * unseen * kept;
        let text = self.bytes * unseen;
        let encoding = self.encoding.as_secs_f64();
        Totals {
            documents,
            text,
            blank: if self.meant_bytes > 0.0 { 0.0 } else { text },
            tokens: text * share(self.meant_tokens, self.meant_bytes) + documents * framed as f64,
            read_seconds: self.reading.as_secs_f64() * unseen,
            encode_seconds: text * share(encoding, self.spent),
            encoded: self.encoded + self.kept * framed,
        }
    }
}

/// Returns a number from 0 to 1 that looks random and is the same for the same row on any day.
fn uniform(row: u64) -> f64 {
    // Mixed, so that no pattern of rows is met by one of draws.
    mix(row) as f64 / u64::MAX as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an estimate is not negative, and beyond 2^53 it is no longer exact anyway"
)]
fn rounded(value: f64) -> u64 {
    value.round() as u64
}
