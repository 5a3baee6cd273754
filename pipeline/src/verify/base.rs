//! Checks of the base of an artifact: it exists, is the recorded one, and agrees with the rows.

use std::path::{Path, PathBuf};

use ratdata_schemas::{Manifest, Row, RowSet, SplitRecord, manifest_checksum, narrow};
use ratdata_tokenize::Share;
use rayon::prelude::*;

use super::finding::Ended;
use crate::interrupt;

/// How many rows are one unit of a share.
const ROWS: u64 = 1 << 12;

/// The base of an artifact.
pub(crate) enum Base {
    /// The artifact has no base.
    None,
    /// It is missing or has changed, and no row reads it.
    Missing,
    /// Its folder and its manifest.
    There(PathBuf, Box<Manifest>),
}

/// Finds the base of an artifact, and compares a share of the written rows with it.
pub(super) fn base_of(root: &Path, manifest: &Manifest, share: Share) -> Result<Base, Ended> {
    let Some(record) = &manifest.base else { return Ok(Base::None) };
    let folder = root.join(&record.path);
    let read = manifest.splits.values().any(|split| matches!(split, SplitRecord::Pack(_)));
    match manifest_checksum(&folder) {
        Ok(found) if found == record.manifest => {}
        _ if !read => return Ok(Base::Missing),
        Ok(found) => {
            let expected = record.manifest.as_str();
            let what = format!("the base's manifest: BLAKE3 {found}, expected {expected}");
            return Err(Ended::at(&folder, what));
        }
        Err(wrong) => return Err(Ended::at(root, format!("its base: {wrong}"))),
    }
    let base = Manifest::read(&folder).map_err(|wrong| Ended::at(root, wrong))?;
    if (&base.tokenizer, base.dtype) != (&manifest.tokenizer, manifest.dtype) {
        let what = "the manifest has another tokenizer or width of ids than its base's";
        return Err(Ended::at(root, what));
    }
    for (name, split) in &manifest.splits {
        if matches!(split, SplitRecord::Rows(_)) {
            compare_rows(root, name.as_str(), share)?;
        }
    }
    Ok(Base::There(folder, Box::new(base)))
}

/// Compares written rows with the same rows read from the base.
fn compare_rows(root: &Path, split: &str, share: Share) -> Result<(), Ended> {
    let wrong = |wrong| Ended::at(root, wrong);
    let plain = RowSet::open(root, split).map_err(wrong)?;
    let spans = RowSet::open_over_base(root, split).map_err(wrong)?;
    let ours = |&row: &u64| share.has(narrow(row / ROWS));
    let differs = (0..plain.num_rows()).into_par_iter().filter(ours).find_first(|&number| {
        let (mut left, mut right) = (Row::default(), Row::default());
        if interrupt::asked() {
            return true;
        }
        plain.read(number, &mut left);
        spans.read(number, &mut right);
        left != right
    });
    interrupt::check()?;
    differs.map_or(Ok(()), |row| {
        let what = format!("split `{split}`, row {row}: not what its base has there");
        Err(Ended::at(root, what).within(narrow(row)))
    })
}
