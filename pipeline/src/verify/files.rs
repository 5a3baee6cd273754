//! Checks of files: they exist, have the recorded size and checksum, and fit each other.

use std::io;
use std::path::Path;

use ratdata_schemas::{BinError, BinSet, Checksum, FileRecord, Manifest, RowSet, SplitRecord};
use ratdata_tokenize::Share;
use rayon::prelude::*;

use super::finding::Ended;
use crate::interrupt;

/// Checks size and checksum of a share's files; returns how many there are, and their bytes.
pub(super) fn check_files(
    root: &Path,
    manifest: &Manifest,
    share: Share,
) -> Result<(u64, u64), Ended> {
    let files: Vec<&FileRecord> = manifest.files();
    let checked: Vec<Result<u64, Ended>> = files
        .par_iter()
        .enumerate()
        .filter(|(number, _)| share.has(*number))
        .map(|(number, record)| check_file(root, record).map_err(|ended| ended.within(number)))
        .collect();
    interrupt::check()?;
    // The first in the manifest's order, not the first found.
    let count = checked.len() as u64;
    checked.into_iter().sum::<Result<u64, Ended>>().map(|bytes| (count, bytes))
}

fn check_file(root: &Path, record: &FileRecord) -> Result<u64, Ended> {
    let offence = |what: String| Ended::at(&record.place(root), what);
    let unread = |wrong: io::Error| offence(format!("cannot read: {wrong}"));
    let path = record.resolve(root).map_err(|wrong| match wrong {
        BinError::Outside { real, .. } => {
            offence(format!("leads to {}, which is not inside the artifact", real.display()))
        }
        wrong => offence(wrong.to_string()),
    })?;
    let found = path.metadata().map_err(unread)?.len();
    if found != record.bytes {
        return Err(offence(format!("{found} bytes, expected {}", record.bytes)));
    }
    let checksum = Checksum::of_file(&path, interrupt::flag()).map_err(unread)?;
    if checksum != record.blake3 {
        return Err(offence(format!(
            "BLAKE3 {}, expected {}",
            checksum.as_str(),
            record.blake3.as_str()
        )));
    }
    Ok(found)
}

/// Checks that the indexes and masks of a share's shards fit their bins, and that the spans of its
/// rows fit the rows and the base.
pub(super) fn check_structure(root: &Path, manifest: &Manifest, share: Share) -> Result<(), Ended> {
    let mut units = 0;
    for (name, split) in &manifest.splits {
        let first = units;
        units += if let SplitRecord::Shards { shards } = split { shards.len() } else { 1 };
        if !(first..units).any(|unit| share.has(unit)) {
            continue;
        }
        if matches!(split, SplitRecord::Shards { .. }) {
            let set = BinSet::from_manifest(root, manifest, name.as_str())
                .map_err(|wrong| Ended::at(root, wrong).within(first))?;
            for (unit, shard) in (first..).zip(set.shards()).filter(|(unit, _)| share.has(*unit)) {
                interrupt::check()?;
                if let Some(index) = shard.index() {
                    let len = shard.bin().len();
                    index.check(len).map_err(|wrong| Ended::at(root, wrong).within(unit))?;
                }
            }
        } else {
            // Opening checks the spans of every row.
            RowSet::open(root, name.as_str())
                .map_err(|wrong| Ended::at(root, wrong).within(first))?;
        }
    }
    Ok(())
}
