//! From the sorted keys of all files to what each file loses.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::sync::atomic::{AtomicBool, Ordering};

use ratdata_schemas::{ArtifactError, Receipts, StagedFile};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::settings::{Dedup, PART_BITS};
use super::spill::{Entry, Run, RunWriter, merge};
use crate::error::PrepareError;
use crate::job::Job;
use crate::progress::Progress;

/// The duplicates of all files.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Resolved {
    /// How many rows are before those of each file, and how many there are.
    bases: Vec<u64>,
    /// How many parts of texts are left out.
    pub(super) duplicates: u64,
}

/// What a file loses: the places of parts in it, and for each the place among all files of the one that
/// is kept. They are in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Drops(Vec<(u64, u64)>);

/// The size of a drop on disk.
const DROP_BYTES: usize = 16;

/// The name of the receipt.
const RECEIPT: &str = "resolved";

impl Drops {
    /// Returns what a row loses.
    pub(super) fn of_row(&self, row: u64) -> &[(u64, u64)] {
        let begin = self.0.partition_point(|(at, _)| at >> PART_BITS < row);
        let end = self.0.partition_point(|(at, _)| at >> PART_BITS <= row);
        &self.0[begin..end]
    }
}

impl Resolved {
    /// Finds the duplicates, unless an earlier run did.
    pub(super) fn of(
        dedup: &Dedup,
        job: &Job,
        memory: u64,
        progress: &Progress,
        stop: &AtomicBool,
    ) -> Result<Self, PrepareError> {
        let receipts = Receipts::called(&job.out, "resolved");
        let (mut bases, mut runs) = (vec![0], Vec::new());
        for (number, file) in job.files().iter().enumerate() {
            let scanned = job.scanned::<Vec<String>>(number, stop)?;
            let scanned =
                scanned.ok_or_else(|| PrepareError::Changed { path: file.path.clone() })?;
            let before = bases.last().copied().unwrap_or(0);
            for name in scanned.record {
                let path = job.kept_folder().join(name);
                runs.push(Run { path, base: before << PART_BITS });
            }
            bases.push(before + scanned.rows);
        }
        if let Some(there) = receipts.read::<Self>(RECEIPT)?.filter(|there| there.bases == bases) {
            return Ok(there);
        }
        progress.begin("duplicates");
        let mut writer = DropWriter::new(job, &bases);
        let duplicates = match dedup {
            Dedup::Exact { .. } => exact(job, runs, memory, stop, &mut writer)?,
            Dedup::Near(_) => near(job, runs, &bases, stop, &mut writer)?,
        };
        writer.finish()?;
        let resolved = Self { bases, duplicates };
        receipts.record(RECEIPT, &resolved)?;
        Ok(resolved)
    }

    /// Reads what a file loses.
    pub(super) fn drops(job: &Job, number: usize) -> Result<Drops, PrepareError> {
        let path = job.kept_folder().join(format!("{number}.drops"));
        let mut file = BufReader::new(File::open(&path).map_err(ArtifactError::io(&path))?);
        let mut drops = Vec::new();
        loop {
            let mut bytes = [0; DROP_BYTES];
            match file.read_exact(&mut bytes) {
                Ok(()) => drops.push(drop_of(bytes)),
                Err(wrong) if wrong.kind() == ErrorKind::UnexpectedEof => return Ok(Drops(drops)),
                Err(wrong) => return Err(ArtifactError::io(&path)(wrong).into()),
            }
        }
    }

    /// Returns the file and the place in it of a row of all files.
    pub(super) fn spot(&self, job: &Job, row: u64) -> Value {
        let file = self.bases.partition_point(|&base| base <= row).saturating_sub(1);
        let name = job.files().get(file).map(|file| file.name.clone());
        json!({"file": name, "row": row - self.bases[file]})
    }
}

fn drop_of(bytes: [u8; DROP_BYTES]) -> (u64, u64) {
    let (mut at, mut kept) = ([0; 8], [0; 8]);
    at.copy_from_slice(&bytes[..8]);
    kept.copy_from_slice(&bytes[8..]);
    (u64::from_le_bytes(at), u64::from_le_bytes(kept))
}

/// Finds parts of one key: all but the first are dropped. They come in the order of their keys, and are
/// sorted once more by their places.
fn exact(
    job: &Job,
    runs: Vec<Run>,
    memory: u64,
    stop: &AtomicBool,
    writer: &mut DropWriter<'_>,
) -> Result<u64, PrepareError> {
    let folder = job.kept_folder();
    let mut by_place = RunWriter::new(&folder, "by-place", memory / 2);
    let mut first: Option<Entry> = None;
    let mut duplicates = 0;
    merge(runs, &folder, stop, |entry| {
        match first {
            Some(first) if first.key == entry.key => {
                duplicates += 1;
                by_place.push(Entry { key: entry.at.into(), at: first.at })?;
            }
            _ => first = Some(entry),
        }
        Ok(())
    })?;
    let runs = by_place.finish()?.into_iter().map(|name| Run { path: folder.join(name), base: 0 });
    merge(runs.collect(), &folder, stop, |entry| {
        let at = u64::try_from(entry.key).unwrap_or(u64::MAX);
        writer.push(at, entry.at)
    })?;
    Ok(duplicates)
}

/// Joins rows that meet in a band, directly or through others, and drops all but the first of each
/// group.
fn near(
    job: &Job,
    runs: Vec<Run>,
    bases: &[u64],
    stop: &AtomicBool,
    writer: &mut DropWriter<'_>,
) -> Result<u64, PrepareError> {
    let rows = bases.last().copied().unwrap_or(0);
    let Ok(rows) = u32::try_from(rows) else {
        return Err(PrepareError::TooManyRows { rows });
    };
    let mut groups = Groups::new(rows);
    let mut first: Option<Entry> = None;
    merge(runs, &job.kept_folder(), stop, |entry| {
        match first {
            Some(first) if first.key == entry.key => {
                groups.join(row_of(first.at), row_of(entry.at));
            }
            _ => first = Some(entry),
        }
        Ok(())
    })?;
    let mut duplicates = 0;
    for row in 0..rows {
        let first = groups.first(row);
        if first != row {
            duplicates += 1;
            writer.push(u64::from(row) << PART_BITS, u64::from(first) << PART_BITS)?;
        }
        if row % (1 << 20) == 0 && stop.load(Ordering::Relaxed) {
            return Err(PrepareError::Interrupted);
        }
    }
    Ok(duplicates)
}

/// The row of a place, which is below the number of rows.
fn row_of(at: u64) -> u32 {
    u32::try_from(at >> PART_BITS).unwrap_or(u32::MAX)
}

/// Groups of rows; the least row of a group stands for it.
struct Groups(Vec<u32>);

impl Groups {
    fn new(rows: u32) -> Self {
        Self((0..rows).collect())
    }

    /// Returns the first row of a row's group.
    fn first(&mut self, mut row: u32) -> u32 {
        loop {
            let above = self.0[row as usize];
            if above == row {
                return row;
            }
            // Each look shortens the way for later ones.
            let next = self.0[above as usize];
            self.0[row as usize] = next;
            row = next;
        }
    }

    fn join(&mut self, one: u32, two: u32) {
        let (one, two) = (self.first(one), self.first(two));
        let (first, later) = (one.min(two), one.max(two));
        self.0[later as usize] = first;
    }
}

/// Writes what each file loses; the drops come in the order of their places.
struct DropWriter<'a> {
    job: &'a Job,
    bases: &'a [u64],
    number: usize,
    file: Option<StagedFile>,
}

impl<'a> DropWriter<'a> {
    fn new(job: &'a Job, bases: &'a [u64]) -> Self {
        Self { job, bases, number: 0, file: None }
    }

    fn push(&mut self, at: u64, kept: u64) -> Result<(), PrepareError> {
        let row = at >> PART_BITS;
        while self.number + 1 < self.bases.len() && row >= self.bases[self.number + 1] {
            self.end_file()?;
        }
        let local = at - (self.bases[self.number] << PART_BITS);
        let file = self.file()?;
        file.write(&local.to_le_bytes())?;
        file.write(&kept.to_le_bytes())?;
        Ok(())
    }

    fn file(&mut self) -> Result<&mut StagedFile, PrepareError> {
        let file = match self.file.take() {
            Some(file) => file,
            None => {
                StagedFile::create(&self.job.kept_folder().join(format!("{}.drops", self.number)))?
            }
        };
        Ok(self.file.insert(file))
    }

    fn end_file(&mut self) -> Result<(), PrepareError> {
        self.file()?;
        if let Some(file) = self.file.take() {
            file.commit()?;
        }
        self.number += 1;
        Ok(())
    }

    fn finish(mut self) -> Result<(), PrepareError> {
        while self.number + 1 < self.bases.len() {
            self.end_file()?;
        }
        Ok(())
    }
}
