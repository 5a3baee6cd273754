//! Sorts more entries than memory holds: sorted runs on disk, merged.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use ratdata_schemas::{ArtifactError, StagedFile, remove_file_if_exists};

use crate::error::PrepareError;

/// A key, and where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    pub(crate) key: u128,
    pub(crate) at: u64,
}

/// How many runs are merged at a time: more would take more open files than systems allow.
const MOST_RUNS: usize = 64;

/// How much of a run is read at a time.
const READ: usize = 256 << 10;

/// How many entries pass between two looks at the flag of the user.
const BETWEEN_LOOKS: u64 = 1 << 16;

impl Entry {
    /// The size of an entry on disk.
    pub(crate) const BYTES: usize = 24;

    fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..16].copy_from_slice(&self.key.to_le_bytes());
        bytes[16..].copy_from_slice(&self.at.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        let (mut key, mut at) = ([0; 16], [0; 8]);
        key.copy_from_slice(&bytes[..16]);
        at.copy_from_slice(&bytes[16..]);
        Self { key: u128::from_le_bytes(key), at: u64::from_le_bytes(at) }
    }
}

/// Takes entries in any order, and leaves sorted runs.
#[derive(Debug)]
pub(crate) struct RunWriter {
    folder: PathBuf,
    name: String,
    entries: Vec<Entry>,
    most: usize,
    runs: Vec<String>,
}

impl RunWriter {
    /// Writes runs whose names begin with `name`; each is as large as `memory` allows.
    pub(crate) fn new(folder: &Path, name: &str, memory: u64) -> Self {
        let most = (memory / Entry::BYTES as u64).max(1 << 12);
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let (folder, name) = (folder.to_owned(), name.to_owned());
        Self { folder, name, entries: Vec::new(), most, runs: Vec::new() }
    }

    pub(crate) fn push(&mut self, entry: Entry) -> Result<(), PrepareError> {
        self.entries.push(entry);
        if self.entries.len() >= self.most { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<(), PrepareError> {
        if self.entries.is_empty() {
            return Ok(());
        }
        self.entries.sort_unstable();
        let name = format!("{}-{}.run", self.name, self.runs.len());
        let mut file = StagedFile::create(&self.folder.join(&name))?;
        for entry in &self.entries {
            file.write(&entry.to_bytes())?;
        }
        file.commit()?;
        self.entries.clear();
        self.runs.push(name);
        Ok(())
    }

    /// Returns the names of the runs.
    pub(crate) fn finish(mut self) -> Result<Vec<String>, PrepareError> {
        self.write()?;
        Ok(self.runs)
    }
}

/// A sorted run, and what is added to the places in it.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) path: PathBuf,
    pub(crate) base: u64,
}

/// Calls `each` with the entries of all runs in their order. Runs are merged in several rounds where
/// there are many of them; what that takes is written to `folder`.
pub(crate) fn merge(
    mut runs: Vec<Run>,
    folder: &Path,
    stop: &AtomicBool,
    mut each: impl FnMut(Entry) -> Result<(), PrepareError>,
) -> Result<(), PrepareError> {
    let mut made: Vec<PathBuf> = Vec::new();
    let mut round = 0;
    while runs.len() > MOST_RUNS {
        let mut merged = Vec::new();
        for (number, some) in runs.chunks(MOST_RUNS).enumerate() {
            let path = folder.join(format!("merged-{round}-{number}.run"));
            let mut file = StagedFile::create(&path)?;
            merge_once(some, stop, &mut |entry| Ok(file.write(&entry.to_bytes())?))?;
            file.commit()?;
            merged.push(Run { path, base: 0 });
        }
        // What an earlier round made is not needed any more.
        for path in made.drain(..) {
            remove_file_if_exists(&path)?;
        }
        made.extend(merged.iter().map(|run| run.path.clone()));
        runs = merged;
        round += 1;
    }
    merge_once(&runs, stop, &mut each)?;
    made.iter().try_for_each(|path| Ok(remove_file_if_exists(path)?))
}

fn merge_once(
    runs: &[Run],
    stop: &AtomicBool,
    each: &mut dyn FnMut(Entry) -> Result<(), PrepareError>,
) -> Result<(), PrepareError> {
    let mut readers = runs.iter().map(RunReader::open).collect::<Result<Vec<_>, _>>()?;
    let mut heap = BinaryHeap::new();
    for (number, reader) in readers.iter_mut().enumerate() {
        heap.extend(reader.next()?.map(|entry| Reverse((entry, number))));
    }
    let mut passed = 0_u64;
    while let Some(Reverse((entry, number))) = heap.pop() {
        passed += 1;
        if passed.is_multiple_of(BETWEEN_LOOKS) && stop.load(Ordering::Relaxed) {
            return Err(PrepareError::Interrupted);
        }
        heap.extend(readers[number].next()?.map(|entry| Reverse((entry, number))));
        each(entry)?;
    }
    Ok(())
}

struct RunReader {
    path: PathBuf,
    file: BufReader<File>,
    base: u64,
}

impl RunReader {
    fn open(run: &Run) -> Result<Self, PrepareError> {
        let file = File::open(&run.path).map_err(ArtifactError::io(&run.path))?;
        let file = BufReader::with_capacity(READ, file);
        Ok(Self { path: run.path.clone(), file, base: run.base })
    }

    fn next(&mut self) -> Result<Option<Entry>, PrepareError> {
        let mut bytes = [0; Entry::BYTES];
        match self.file.read_exact(&mut bytes) {
            Ok(()) => {
                let entry = Entry::from_bytes(bytes);
                Ok(Some(Entry { at: entry.at + self.base, ..entry }))
            }
            Err(wrong) if wrong.kind() == ErrorKind::UnexpectedEof => Ok(None),
            Err(wrong) => Err(ArtifactError::io(&self.path)(wrong).into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]

        #[test]
        fn merged_runs_are_all_entries_in_order(
            files in prop::collection::vec(prop::collection::vec((0_u64..50, 0_u64..50), 0..20), 1..150),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let (mut runs, mut all) = (Vec::new(), Vec::new());
            for (number, entries) in files.iter().enumerate() {
                let base = number as u64 * 100;
                let mut writer = RunWriter::new(folder.path(), &number.to_string(), 0);
                writer.most = 16;
                for &(key, at) in entries {
                    writer.push(Entry { key: key.into(), at }).unwrap();
                    all.push(Entry { key: key.into(), at: at + base });
                }
                for name in writer.finish().unwrap() {
                    runs.push(Run { path: folder.path().join(name), base });
                }
            }
            all.sort_unstable();
            let mut merged = Vec::new();
            let stop = AtomicBool::new(false);
            merge(runs, folder.path(), &stop, |entry| {
                merged.push(entry);
                Ok(())
            }).unwrap();
            prop_assert_eq!(merged, all);
        }
    }
}
