//! One split's examples, read and encoded, until they are written in their order.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};

use ratdata_schemas::{Checksum, Known, SourceRecord, narrow};
use rayon::prelude::*;

use super::clip::{Cut, Example};
use super::error::SftError;
use super::portions::{FilePortions, Portions, RowResult, has_row};
use super::row_error::RowError;
use super::rows::{RowEncoder, RowExamples};
use crate::Share;
use crate::order::{permutation, sample};
use crate::source::{Seen, SourceError, SourceFile, TableRow};
use crate::staging::Staging;
use crate::tokenizer::{Encoder, IdWidth};
use ratdata_schemas::recipe::{PreferenceCounts, Side, Split};

/// What a job counts while it works; read it from any thread.
#[derive(Debug, Default)]
pub struct SftProgress {
    /// Rows read.
    pub rows: AtomicU64,
    /// Examples made.
    pub examples: AtomicU64,
    /// Rows left out.
    pub bad_rows: AtomicU64,
    /// What was wrong with the first of them.
    pub first_bad: Mutex<Vec<String>>,
    /// Examples without a token to learn: their prompt fills the row.
    pub untrained: AtomicU64,
    /// Examples left out for their length.
    pub dropped: AtomicU64,
    /// Conversations with a turn that is trained on without something behind it to stop at.
    pub unstopped: AtomicU64,
    /// Keys of messages that look like flags of training and are not read.
    pub unread_flags: Mutex<BTreeSet<String>>,
    /// Files that a split does not read since their names say another: the split and the name.
    pub left_out: Mutex<Vec<(String, String)>>,
}

/// The examples of a split.
pub(crate) struct Staged<W> {
    ids: Staging<W>,
    facts: Vec<Facts>,
    references: Vec<String>,
    /// The examples in their order in the artifact; of preference pairs, those of the chosen answers.
    pub(crate) order: Vec<u32>,
    /// What became of preference pairs, if the task has them.
    pub(crate) preference: Option<PreferenceCounts>,
    /// The files they came from.
    pub(crate) sources: Vec<SourceRecord>,
    folder: PathBuf,
}

/// What is kept of an example in addition to its ids.
#[derive(Clone, Copy, Debug)]
struct Facts {
    prompt_len: u32,
    last_label: i32,
    cut: Option<(u32, i32)>,
    learns: bool,
}

/// How a split's rows are read.
pub(crate) struct SplitReading<'a> {
    pub(crate) split_name: &'a str,
    pub(crate) split: &'a Split,
    pub(crate) rows: &'a RowEncoder<'a>,
    pub(crate) encoders: &'a [Mutex<Encoder>],
    pub(crate) pool: &'a rayon::ThreadPool,
    pub(crate) skip_bad: bool,
    pub(crate) folder: &'a Path,
    pub(crate) portions: &'a Portions,
    pub(crate) known: &'a Known,
    pub(crate) progress: &'a SftProgress,
    pub(crate) interrupted: &'a AtomicBool,
}

/// A file of a split, as it was before its rows were read.
pub(crate) struct Input<'a> {
    pub(crate) file: &'a SourceFile,
    seen: Seen,
    pub(crate) fingerprint: Checksum,
}

impl<'a> Input<'a> {
    /// Looks at a file, and reads it whole where its content is not known.
    ///
    /// # Errors
    ///
    /// It cannot be read, or was touched since it was found.
    pub(crate) fn of(
        file: &'a SourceFile,
        known: &Known,
        interrupted: &AtomicBool,
    ) -> Result<Self, SourceError> {
        let seen = Seen::of(file)?;
        if seen.bytes() != file.bytes {
            return Err(SourceError::Touched { path: file.path.clone() });
        }
        let fingerprint = seen.fingerprint(known, interrupted)?;
        Ok(Self { file, seen, fingerprint })
    }

    /// Checks that the file is as it was.
    ///
    /// # Errors
    ///
    /// It was touched.
    pub(crate) fn check(&self) -> Result<(), SourceError> {
        self.seen.check()
    }
}

impl<W: IdWidth> Staged<W> {
    /// Reads and encodes the files of a split, and draws their order.
    pub(crate) fn read(reading: &SplitReading<'_>, inputs: &[Input<'_>]) -> Result<Self, SftError> {
        let mut staged = Self {
            ids: Staging::new(),
            facts: Vec::new(),
            references: Vec::new(),
            order: Vec::new(),
            preference: reading.rows.is_preference().then(PreferenceCounts::default),
            sources: Vec::new(),
            folder: reading.folder.to_owned(),
        };
        // The examples of each answer column, in the order of the rows.
        let mut columns: Vec<Vec<u32>> = vec![Vec::new(); reading.rows.examples_per_row()];
        for input in inputs {
            let record = staged.read_file(reading, input, &mut columns)?;
            staged.sources.push(record);
        }
        let examples = match staged.preference {
            // The two examples of a pair stay together: they follow each other.
            Some(_) => columns.swap_remove(0),
            None => columns.concat(),
        };
        staged.order = draw(reading, examples)?;
        let rows = staged.sources.iter().map(|source| source.rows).sum();
        let nothing =
            |reason| SftError::Nothing { split: reading.split_name.to_owned(), rows, reason };
        if staged.order.is_empty() {
            return Err(nothing("every row was left out"));
        }
        let learns = |&number: &u32| staged.facts[number as usize].learns;
        if reading.split.references.is_none() && !staged.order.iter().any(learns) {
            return Err(nothing("each prompt fills its row, so there is nothing to learn"));
        }
        Ok(staged)
    }

    fn read_file(
        &mut self,
        reading: &SplitReading<'_>,
        input: &Input<'_>,
        columns: &mut [Vec<u32>],
    ) -> Result<SourceRecord, SftError> {
        let file = input.file;
        let mut record = SourceRecord {
            name: file.name.clone(),
            bytes: file.bytes,
            rows: 0,
            bad_rows: 0,
            replaced_rows: 0,
            text_bytes: 0,
            fingerprint: input.fingerprint.clone(),
        };
        let mut bad_rows = 0;
        let mut take = |made: RowResult| match made {
            Ok(made) => self.push(reading, made, columns),
            Err(reason) => {
                bad_rows += 1;
                reading.progress.tell_bad(file, &reason);
                Ok(())
            }
        };
        let portions = reading.portions.file(reading.split_name, file, &record.fingerprint);
        record.rows = match portions.cut() {
            Some(count) => {
                for share in Share::all(count).filter(|share| !portions.has(*share)) {
                    encode_portion(reading, input, &portions, share)?;
                }
                portions.read(count, &mut take)?
            }
            None => encode_file(reading, file, Share::WHOLE, &mut take)?,
        };
        record.bad_rows = bad_rows;
        input.check()?;
        Ok(record)
    }

    fn push(
        &mut self,
        reading: &SplitReading<'_>,
        made: RowExamples,
        columns: &mut [Vec<u32>],
    ) -> Result<(), SftError> {
        let progress = reading.progress;
        if let (Some(counts), Some(fate)) = (&mut self.preference, made.preference) {
            fate.count(counts);
        }
        for (example, column) in made.examples.into_iter().zip(columns) {
            let Some(example) = example else {
                progress.dropped.fetch_add(1, Ordering::Relaxed);
                continue;
            };
            let learns = example.trained.iter().skip(1).any(|&trained| trained);
            if !learns && reading.split.references.is_none() {
                progress.untrained.fetch_add(1, Ordering::Relaxed);
            }
            column.push(small(self.facts.len()));
            self.facts.push(Facts {
                prompt_len: small(example.prompt_len),
                last_label: example.last_label,
                cut: example.cut.map(|cut| (small(cut.position), cut.label)),
                learns,
            });
            let flags = example.trained.iter().map(|&trained| W::of(trained.into()));
            let ids: Vec<W> = example.ids.iter().map(|&id| W::of(id)).chain(flags).collect();
            let len = small(ids.len());
            self.ids.push(ids, &[len], &self.folder).map_err(|source| self.failed(source))?;
            progress.examples.fetch_add(1, Ordering::Relaxed);
            self.references.extend(made.references.clone());
        }
        Ok(())
    }

    /// Returns an example as it was made.
    pub(crate) fn example(&self, number: u32) -> Result<Example, SftError> {
        let mut ids = Vec::new();
        self.ids.copy(number, &mut ids).map_err(|source| self.failed(source))?;
        let facts = self.facts[number as usize];
        let flags = ids.split_off(ids.len() / 2);
        Ok(Example {
            ids: ids.into_iter().map(W::id).collect(),
            trained: flags.into_iter().map(|flag| flag.id() != 0).collect(),
            prompt_len: facts.prompt_len as usize,
            cut: facts.cut.map(|(position, label)| Cut { position: position as usize, label }),
            last_label: facts.last_label,
        })
    }

    /// Returns the examples of one side of the preference pairs, in their order.
    pub(crate) fn side(&self, side: Side) -> Vec<u32> {
        let after = match side {
            Side::Chosen => 0,
            Side::Rejected => 1,
        };
        self.order.iter().map(|number| number + after).collect()
    }

    /// Returns the line of references of an example, where it is to be scored.
    pub(crate) fn references(&self, number: u32) -> Option<&str> {
        self.references.get(number as usize).map(String::as_str)
    }

    fn failed(&self, source: std::io::Error) -> SftError {
        SftError::Staging { folder: self.folder.clone(), source }
    }
}

/// Encodes a share of a split's rows and leaves them as portions: whole files where there are enough
/// of them, and every N-th block of rows of each file where there are not.
pub(crate) fn encode_share(
    reading: &SplitReading<'_>,
    files: &[SourceFile],
    share: Share,
) -> Result<(), SftError> {
    let by_file = files.len() >= share.count;
    for (number, file) in files.iter().enumerate() {
        if by_file && !share.has(number) {
            continue;
        }
        let input = Input::of(file, reading.known, reading.interrupted)?;
        let portions = reading.portions.file(reading.split_name, file, &input.fingerprint);
        let portion = if by_file { Share::WHOLE } else { share };
        if !portions.has(portion) {
            encode_portion(reading, &input, &portions, portion)?;
        }
    }
    Ok(())
}

fn encode_portion(
    reading: &SplitReading<'_>,
    input: &Input<'_>,
    portions: &FilePortions<'_>,
    share: Share,
) -> Result<(), SftError> {
    let mut writer = portions.create(share)?;
    let rows = encode_file(reading, input.file, share, &mut |made| Ok(writer.push(&made)?))?;
    input.check()?;
    Ok(writer.finish(rows)?)
}

/// Reads a file and gives the rows of a share of it, encoded, to `each` in their order; returns how
/// many rows the file has.
fn encode_file(
    reading: &SplitReading<'_>,
    file: &SourceFile,
    share: Share,
    each: &mut dyn FnMut(RowResult) -> Result<(), SftError>,
) -> Result<u64, SftError> {
    let table = reading.rows.open(file)?;
    std::thread::scope(|scope| {
        let (sender, batches) = mpsc::sync_channel::<(u64, Vec<TableRow>)>(2);
        let read = move || {
            let wanted = |row| has_row(share, row);
            table.read_wanted(&wanted, &mut |first, rows| sender.send((first, rows)).is_ok())
        };
        let reader = std::thread::Builder::new().spawn_scoped(scope, read);
        let reader = reader.map_err(|source| SftError::Thread { source })?;
        let mut count = 0;
        for (first, rows) in batches {
            if reading.interrupted.load(Ordering::Relaxed) {
                return Err(SftError::Interrupted);
            }
            count += rows.len() as u64;
            let ours: Vec<TableRow> = (first..)
                .zip(rows)
                .filter(|(row, _)| has_row(share, *row))
                .map(|(_, row)| row)
                .collect();
            let made = encode_batch(reading, &ours);
            for (place, made) in ours.iter().map(|row| row.place.clone()).zip(made) {
                match made {
                    Ok(made) => each(Ok(made))?,
                    Err(RowError::Bad(reason) | RowError::Refused(reason)) if reading.skip_bad => {
                        each(Err(format!("{place}: {reason}")))?;
                    }
                    Err(wrong) => return Err(wrong.of(file, place)),
                }
            }
            reading.progress.rows.fetch_add(ours.len() as u64, Ordering::Relaxed);
        }
        let unstopped = reading.rows.take_unstopped();
        reading.progress.unstopped.fetch_add(unstopped, Ordering::Relaxed);
        let unread = reading.rows.unread_flags();
        reading.progress.unread_flags.lock().unwrap_or_else(PoisonError::into_inner).extend(unread);
        // A reader that panicked has told so; its file is then as good as damaged.
        reader.join().unwrap_or(Ok(()))?;
        Ok(count)
    })
}

fn encode_batch(
    reading: &SplitReading<'_>,
    rows: &[TableRow],
) -> Vec<Result<RowExamples, RowError>> {
    let encode = |row: &TableRow| {
        let row = row.columns.as_ref().map_err(|reason| RowError::Bad(reason.clone()))?;
        let thread = rayon::current_thread_index().unwrap_or(0);
        let mut encoder = reading.encoders[thread].lock().unwrap_or_else(PoisonError::into_inner);
        reading.rows.encode(row, &mut encoder)
    };
    reading.pool.install(|| rows.par_iter().map(encode).collect())
}

/// Shuffles and samples the examples as the task says.
fn draw(reading: &SplitReading<'_>, mut examples: Vec<u32>) -> Result<Vec<u32>, SftError> {
    let pick = |examples: &[u32], order: Vec<u32>| {
        order.into_iter().map(|place| examples[place as usize]).collect::<Vec<_>>()
    };
    if let Some(seed) = reading.split.shuffle {
        examples = pick(&examples, permutation(seed, small(examples.len())));
    }
    if let Some(wanted) = reading.split.sample {
        let drawn = sample(wanted.seed, small(examples.len()), wanted.rows).ok_or_else(|| {
            SftError::Sample {
                split: reading.split_name.to_owned(),
                found: examples.len(),
                wanted: wanted.rows,
            }
        })?;
        examples = pick(&examples, drawn);
    }
    Ok(examples)
}

impl SftProgress {
    /// Notes files that a split does not read.
    pub(super) fn tell_left_out(&self, split: &str, names: &[String]) {
        let mut left_out = self.left_out.lock().unwrap_or_else(PoisonError::into_inner);
        left_out.extend(names.iter().map(|name| (split.to_owned(), name.clone())));
    }

    /// `reason` begins with the row's place.
    fn tell_bad(&self, file: &SourceFile, reason: &str) {
        self.bad_rows.fetch_add(1, Ordering::Relaxed);
        let mut first = self.first_bad.lock().unwrap_or_else(PoisonError::into_inner);
        if first.len() < 3 {
            first.push(format!("{}: {reason}", file.path.display()));
        }
    }
}

/// The count of something that fits memory many times over.
fn small(count: usize) -> u32 {
    narrow(count)
}
