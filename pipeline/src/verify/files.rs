//! Files: there, of the recorded size, with the recorded checksum, and fitting each other.

use std::path::Path;

use ratdata_schemas::{BinSet, Checksum, FileRecord, Manifest, RowSet, SplitRecord};
use rayon::prelude::*;

use super::Offence;

/// Checks every file's size and checksum; returns how many bytes were read.
pub(crate) fn check_files(root: &Path, manifest: &Manifest) -> Result<u64, Offence> {
    let files: Vec<&FileRecord> = manifest.files();
    let checked: Vec<Result<u64, Offence>> =
        files.par_iter().map(|record| check_file(root, record)).collect();
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

/// Checks that indexes fit their bins, masks their tokens, and spans their rows and base.
pub(crate) fn check_structure(root: &Path, manifest: &Manifest) -> Result<(), Offence> {
    let offence = |what: String| Offence { path: root.to_owned(), what };
    for (name, split) in &manifest.splits {
        if matches!(split, SplitRecord::Shards { .. }) {
            let set = BinSet::from_manifest(root, manifest, name)
                .map_err(|wrong| offence(wrong.to_string()))?;
            for shard in set.shards() {
                if let Some(index) = shard.index() {
                    let len = shard.bin().len();
                    index.check(len).map_err(|wrong| offence(wrong.to_string()))?;
                }
            }
        } else {
            // Opening checks the spans of every row.
            RowSet::open(root, name).map_err(|wrong| offence(wrong.to_string()))?;
        }
    }
    Ok(())
}
