//! How many bytes the texts of a file's rows have, in the order of the rows.
//!
//! A pass that looks at all texts keeps their sizes. A decision that needs no more of a text then does not read it
//! again.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::Path;

use ratdata_schemas::{ArtifactError, StagedFile};

use crate::error::PrepareError;

/// The size of a text that was not read, or that four bytes do not hold.
const UNKNOWN: u32 = u32::MAX;

/// Returns a size as it is kept.
pub(crate) fn kept_size(text: Option<&str>) -> u32 {
    text.and_then(|text| u32::try_from(text.len()).ok()).unwrap_or(UNKNOWN)
}

/// Writes sizes to a file, if there are any.
pub(crate) fn write_sizes(
    file: Option<StagedFile>,
    path: &Path,
    sizes: &[u32],
) -> Result<Option<StagedFile>, PrepareError> {
    if sizes.is_empty() {
        return Ok(file);
    }
    let mut file = file.map_or_else(|| StagedFile::create(path), Ok)?;
    file.write(&sizes.iter().flat_map(|size| size.to_le_bytes()).collect::<Vec<u8>>())?;
    Ok(Some(file))
}

/// The sizes of the texts of one file.
#[derive(Debug)]
pub(crate) struct TextSizes(File);

impl TextSizes {
    /// Opens the sizes that a pass has kept, where it has.
    pub(crate) fn open(path: &Path) -> Result<Option<Self>, PrepareError> {
        match File::open(path) {
            Ok(file) => Ok(Some(Self(file))),
            Err(wrong) if wrong.kind() == ErrorKind::NotFound => Ok(None),
            Err(wrong) => Err(ArtifactError::io(path)(wrong).into()),
        }
    }

    /// Returns the sizes of so many rows from one on, none for those that are not known; nothing where the file has
    /// not so many rows any more.
    pub(crate) fn of_rows(&self, first: u64, count: usize) -> Option<Vec<Option<u32>>> {
        let mut bytes = vec![0; count * 4];
        self.0.read_exact_at(&mut bytes, first * 4).ok()?;
        let size = |bytes: &[u8]| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        let known = |size: u32| (size != UNKNOWN).then_some(size);
        Some(bytes.chunks_exact(4).map(size).map(known).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_from_any_row_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sizes");
        assert!(TextSizes::open(&path).unwrap().is_none());
        assert!(write_sizes(None, &path, &[]).unwrap().is_none());
        let sizes = [Some("four"), None, Some("")].map(kept_size);
        let file = write_sizes(None, &path, &sizes[..2]).unwrap();
        let file = write_sizes(file, &path, &sizes[2..]).unwrap();
        file.unwrap().commit().unwrap();

        let sizes = TextSizes::open(&path).unwrap().unwrap();

        assert_eq!(sizes.of_rows(0, 3), Some(vec![Some(4), None, Some(0)]));
        assert_eq!(sizes.of_rows(2, 1), Some(vec![Some(0)]));
        assert_eq!(sizes.of_rows(2, 2), None);
    }
}
