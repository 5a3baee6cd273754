//! Files: there, of the recorded size, with the recorded checksum, and fitting each other.

use std::path::Path;

use ratdata_schemas::{BinSet, Checksum, FileRecord, Manifest, RowSet, SplitRecord};
use ratdata_tokenize::Share;
use rayon::prelude::*;

use super::{Check, Finding, Offence};

/// Checks size and checksum of a share's files; returns how many bytes were read.
pub(crate) fn check_files(root: &Path, manifest: &Manifest, share: Share) -> Result<u64, Finding> {
    let files: Vec<&FileRecord> = manifest.files();
    let checked: Vec<Result<u64, Finding>> = files
        .par_iter()
        .enumerate()
        .filter(|(number, _)| share.has(*number))
        .map(|(number, record)| {
            check_file(root, record).map_err(|offence| offence.at(Check::Files, &[number]))
        })
        .collect();
    // The first in the manifest's order, not the first found.
    checked.into_iter().sum()
}

fn check_file(root: &Path, record: &FileRecord) -> Result<u64, Offence> {
    let offence = |what: String| Offence { path: root.join(&record.path), what };
    let path = record.resolve(root).map_err(|wrong| offence(wrong.to_string()))?;
    let found = path.metadata().map_err(|wrong| offence(format!("cannot read: {wrong}")))?.len();
    if found != record.bytes {
        return Err(offence(format!("{found} bytes, expected {}", record.bytes)));
    }
    let checksum =
        Checksum::of_file(&path).map_err(|wrong| offence(format!("cannot read: {wrong}")))?;
    if checksum != record.blake3 {
        return Err(offence(format!(
            "BLAKE3 {}, expected {}",
            checksum.as_str(),
            record.blake3.as_str()
        )));
    }
    Ok(found)
}

/// Checks of a share's shards that indexes fit their bins and masks their tokens, and of its splits
/// of rows that spans fit their rows and base.
pub(crate) fn check_structure(
    root: &Path,
    manifest: &Manifest,
    share: Share,
) -> Result<(), Finding> {
    let mut units = 0;
    for (name, split) in &manifest.splits {
        let first = units;
        units += if let SplitRecord::Shards { shards } = split { shards.len() } else { 1 };
        if !(first..units).any(|unit| share.has(unit)) {
            continue;
        }
        let wrong = |unit: usize, what: String| {
            Offence { path: root.to_owned(), what }.at(Check::Structure, &[unit])
        };
        if matches!(split, SplitRecord::Shards { .. }) {
            let set = BinSet::from_manifest(root, manifest, name)
                .map_err(|error| wrong(first, error.to_string()))?;
            for (unit, shard) in (first..).zip(set.shards()).filter(|(unit, _)| share.has(*unit)) {
                if let Some(index) = shard.index() {
                    let len = shard.bin().len();
                    index.check(len).map_err(|error| wrong(unit, error.to_string()))?;
                }
            }
        } else {
            // Opening checks the spans of every row.
            RowSet::open(root, name).map_err(|error| wrong(first, error.to_string()))?;
        }
    }
    Ok(())
}
