//! One token bin: a headerless file of little-endian ids, mapped and read in place.

use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::bin_error::BinError;
use crate::file_record::FileRecord;
use crate::mmap::MappedFile;
use crate::token::{Dtype, TokenId};

/// A run of token ids, as wide as it lies on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tokens<'a> {
    /// Two bytes an id.
    U16(&'a [u16]),
    /// Four bytes an id.
    U32(&'a [u32]),
}

impl<'a> Tokens<'a> {
    /// Returns how many ids there are.
    pub fn len(&self) -> usize {
        match self {
            Self::U16(ids) => ids.len(),
            Self::U32(ids) => ids.len(),
        }
    }

    /// Returns whether there is no id.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the id at `position`, or `None` past the end.
    pub fn get(&self, position: usize) -> Option<TokenId> {
        match self {
            Self::U16(ids) => ids.get(position).map(|&id| TokenId::from(id)),
            Self::U32(ids) => ids.get(position).copied(),
        }
    }

    /// Returns the ids of `range`, or `None` where it passes the end.
    pub fn slice(&self, range: Range<usize>) -> Option<Tokens<'a>> {
        match self {
            Self::U16(ids) => ids.get(range).map(Tokens::U16),
            Self::U32(ids) => ids.get(range).map(Tokens::U32),
        }
    }

    /// Returns the ids one by one.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = TokenId> + 'a {
        let (narrow, wide): (&[u16], &[u32]) = match *self {
            Self::U16(ids) => (ids, &[]),
            Self::U32(ids) => (&[], ids),
        };
        let len = narrow.len() + wide.len();
        (0..len).map(move |at| if wide.is_empty() { TokenId::from(narrow[at]) } else { wide[at] })
    }

    /// Returns the ids as a vector.
    pub fn to_vec(&self) -> Vec<TokenId> {
        match self {
            Self::U16(ids) => ids.iter().map(|&id| TokenId::from(id)).collect(),
            Self::U32(ids) => ids.to_vec(),
        }
    }
}

/// One token bin, mapped.
#[derive(Debug)]
pub struct TokenBin {
    path: PathBuf,
    dtype: Dtype,
    file: MappedFile,
}

impl TokenBin {
    /// Maps the bin at `path`, of any program: ours, nanoGPT, the reference.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or its size is not a whole number of ids.
    pub fn open(path: &Path, dtype: Dtype) -> Result<Self, BinError> {
        let file = MappedFile::open(path)
            .map_err(|source| BinError::Io { path: path.to_owned(), source })?;
        let bytes = file.bytes().len();
        if !bytes.is_multiple_of(dtype.width()) {
            return Err(BinError::Ragged {
                path: path.to_owned(),
                bytes: bytes as u64,
                width: dtype.width(),
            });
        }
        Ok(Self { path: path.to_owned(), dtype, file })
    }

    /// Maps the bin of an artifact in the folder `root`, which holds `tokens` ids.
    ///
    /// # Errors
    ///
    /// The file cannot be read, a link leads out of the folder, or it has another size.
    pub fn of_record(
        record: &FileRecord,
        root: &Path,
        dtype: Dtype,
        tokens: u64,
    ) -> Result<Self, BinError> {
        let file = record.map(root, tokens.saturating_mul(dtype.width() as u64))?;
        Ok(Self { path: record.place(root), dtype, file })
    }

    /// Returns where the bin lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the width of its ids.
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// Returns how many tokens it holds.
    pub fn len(&self) -> u64 {
        (self.file.bytes().len() / self.dtype.width()) as u64
    }

    /// Returns whether it holds no token.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns all its tokens, without a copy.
    pub fn tokens(&self) -> Tokens<'_> {
        match self.dtype {
            Dtype::U16 => Tokens::U16(self.file.as_u16()),
            Dtype::U32 => Tokens::U32(self.file.as_u32()),
        }
    }

    /// Returns the bytes of the file.
    pub fn bytes(&self) -> &[u8] {
        self.file.bytes()
    }

    /// Tells the system that the bin is about to be read from front to back.
    pub fn advise_sequential(&self) {
        self.file.advise_sequential();
    }

    /// Asks the system to read and map the bin by large pages, where it can.
    pub(crate) fn advise_large_pages(&self) {
        self.file.advise_large_pages();
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_bin_of_an_odd_size_is_refused() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&[1, 2, 3]).unwrap();

        let refused = TokenBin::open(file.path(), Dtype::U16).unwrap_err();

        assert!(matches!(refused, BinError::Ragged { bytes: 3, width: 2, .. }), "{refused}");
    }

    #[test]
    fn an_empty_bin_holds_no_token() {
        let file = tempfile::NamedTempFile::new().unwrap();

        let bin = TokenBin::open(file.path(), Dtype::U16).unwrap();

        assert_eq!(bin.len(), 0);
        assert_eq!(bin.tokens().get(0), None);
    }
}
