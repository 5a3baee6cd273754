//! Files: there, of the recorded size, with the recorded checksum, and fitting each other.

use std::io;
use std::path::Path;

use ratdata_schemas::{BinSet, Checksum, FileRecord, Manifest, RowSet, SplitRecord};
use rayon::prelude::*;

use super::Ended;
use crate::interrupt;

/// Checks every file's size and checksum; returns how many bytes were read.
pub(super) fn check_files(root: &Path, manifest: &Manifest) -> Result<u64, Ended> {
    let files: Vec<&FileRecord> = manifest.files();
    let checked: Vec<Result<u64, Ended>> =
        files.par_iter().map(|record| check_file(root, record)).collect();
    interrupt::check()?;
    // The first in the manifest's order, not the first found.
    checked.into_iter().sum()
}

fn check_file(root: &Path, record: &FileRecord) -> Result<u64, Ended> {
    let offence = |what: String| Ended::at(&root.join(&record.path), what);
    let unread = |wrong: io::Error| offence(format!("cannot read: {wrong}"));
    let path = record.resolve(root).map_err(|wrong| offence(wrong.to_string()))?;
    let (real, folder) =
        (path.canonicalize().map_err(unread)?, root.canonicalize().map_err(unread)?);
    if !real.starts_with(&folder) {
        let what = format!("leads to {}, which is not inside the artifact", real.display());
        return Err(offence(what));
    }
    let found = path.metadata().map_err(unread)?.len();
    if found != record.bytes {
        return Err(offence(format!("{found} bytes, expected {}", record.bytes)));
    }
    let checksum = Checksum::of_file_unless(&path, interrupt::flag()).map_err(unread)?;
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
pub(super) fn check_structure(root: &Path, manifest: &Manifest) -> Result<(), Ended> {
    let offence = |what: String| Ended::at(root, what);
    for (name, split) in &manifest.splits {
        if matches!(split, SplitRecord::Shards { .. }) {
            let set = BinSet::from_manifest(root, manifest, name)
                .map_err(|wrong| offence(wrong.to_string()))?;
            for shard in set.shards() {
                interrupt::check()?;
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
