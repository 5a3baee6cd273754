//! Memory maps of files: the bytes of a file, viewed as integers without a copy. No other file maps.
#![expect(
    unsafe_code,
    reason = "a memory map and its view as integers need it; nothing else here does"
)]

use std::io;
use std::path::Path;

use memmap2::{Advice, Mmap};

use crate::regular::open_regular;

#[cfg(target_endian = "big")]
compile_error!(
    "token bins are little-endian and are read in place; a big-endian host would misread them"
);

/// A whole file, mapped read-only.
///
/// The files of an artifact never change after they get their name, so a map of one keeps its content.
/// If another program truncates a mapped file, this program ends with `SIGBUS`, like any reader of maps.
#[derive(Debug)]
pub struct MappedFile {
    map: Option<Mmap>, // `None` is the empty file, which the system does not map
}

impl MappedFile {
    /// Maps the file at `path`.
    ///
    /// # Errors
    ///
    /// The system refuses it, or it is not a regular file.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = open_regular(path)?;
        if file.metadata()?.len() == 0 {
            return Ok(Self { map: None });
        }
        // SAFETY: the map is read-only, and the file is one of an artifact: written under another
        // name, renamed when complete, never changed afterwards (see the type's doc).
        let map = unsafe { Mmap::map(&file) }?;
        Ok(Self { map: Some(map) })
    }

    /// Tells the system that the map is about to be read from front to back.
    pub(crate) fn advise_sequential(&self) {
        if let Some(map) = &self.map {
            // Advice only changes read-ahead; reading is correct without it.
            drop(map.advise(Advice::Sequential));
        }
    }

    /// Asks the system to read and map the file by large pages, where it can.
    pub(crate) fn advise_large_pages(&self) {
        // Linux alone has large pages of files.
        #[cfg(target_os = "linux")]
        if let Some(map) = &self.map {
            // Reading is correct without it.
            drop(map.advise(Advice::HugePage));
        }
    }

    /// Returns the bytes of the file.
    pub fn bytes(&self) -> &[u8] {
        self.map.as_deref().unwrap_or(&[])
    }

    /// Views the file as integers, without trailing bytes that do not fill an integer.
    pub(crate) fn as_u16(&self) -> &[u16] {
        // SAFETY: every bit pattern is a `u16`; `align_to` keeps to the map's own bounds.
        let (head, body, _) = unsafe { self.bytes().align_to::<u16>() };
        debug_assert!(head.is_empty(), "a map begins at a page");
        body
    }

    /// Views the file as integers, without trailing bytes that do not fill an integer.
    pub(crate) fn as_u32(&self) -> &[u32] {
        // SAFETY: every bit pattern is a `u32`; `align_to` keeps to the map's own bounds.
        let (head, body, _) = unsafe { self.bytes().align_to::<u32>() };
        debug_assert!(head.is_empty(), "a map begins at a page");
        body
    }

    /// Views the file as integers, without trailing bytes that do not fill an integer.
    pub(crate) fn as_u64(&self) -> &[u64] {
        // SAFETY: every bit pattern is a `u64`; `align_to` keeps to the map's own bounds.
        let (head, body, _) = unsafe { self.bytes().align_to::<u64>() };
        debug_assert!(head.is_empty(), "a map begins at a page");
        body
    }
}

/// Views ids as the bytes of the file.
pub(crate) fn bytes_of_u16(ids: &[u16]) -> &[u8] {
    // SAFETY: a `u16` has no padding, and `u8` no alignment.
    let (_, bytes, _) = unsafe { ids.align_to::<u8>() };
    bytes
}

/// Views ids as the bytes of the file.
pub(crate) fn bytes_of_u32(ids: &[u32]) -> &[u8] {
    // SAFETY: a `u32` has no padding, and `u8` no alignment.
    let (_, bytes, _) = unsafe { ids.align_to::<u8>() };
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use std::io::Write;

    use super::*;

    proptest! {
        /// The views and the plain way of reading little-endian integers agree.
        #[test]
        fn views_read_little_endian(content in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(&content).unwrap();

            let mapped = MappedFile::open(file.path()).unwrap();

            let narrow: Vec<u16> = content.chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]])).collect();
            let wide: Vec<u32> =
                content.chunks_exact(4).map(|b| u32::from_le_bytes(b.try_into().unwrap())).collect();
            let long: Vec<u64> =
                content.chunks_exact(8).map(|b| u64::from_le_bytes(b.try_into().unwrap())).collect();
            prop_assert_eq!(mapped.as_u16(), &narrow[..]);
            prop_assert_eq!(mapped.as_u32(), &wide[..]);
            prop_assert_eq!(mapped.as_u64(), &long[..]);
            prop_assert_eq!(bytes_of_u16(&narrow), &content[..narrow.len() * 2]);
            prop_assert_eq!(bytes_of_u32(&wide), &content[..wide.len() * 4]);
        }
    }
}
