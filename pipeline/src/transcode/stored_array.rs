//! Arrays that a file holds as they are: in `.npz` and in `.safetensors`, each by its name.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use ratdata_schemas::layouts::npy::NpyHeader;
use ratdata_schemas::layouts::{LayoutError, safetensors};
use ratdata_schemas::{narrow, open_regular};
use zip::{CompressionMethod, ZipArchive};

use super::error::TranscodeError;

/// How many bytes the header of an array has at most.
const MOST_HEADER: u64 = 1 << 16;

/// An array of whole numbers in a file.
#[derive(Clone, Debug)]
pub(super) struct StoredArray {
    path: PathBuf,
    name: &'static str,
    /// The byte where its numbers begin.
    pub(super) from: u64,
    /// How many bytes a number has.
    pub(super) width: usize,
    signed: bool,
    pub(super) shape: Vec<u64>,
}

impl StoredArray {
    /// Finds an array in an `.npz`, which stores it without compression.
    pub(super) fn in_npz(path: &Path, name: &'static str) -> Result<Option<Self>, TranscodeError> {
        let wrong = |what, found: String, expected: &str| {
            let expected = expected.to_owned();
            TranscodeError::layout(path)(LayoutError::Field { what, found, expected })
        };
        let file = open_regular(path).map_err(TranscodeError::io(path))?;
        let bytes = file.metadata().map_err(TranscodeError::io(path))?.len();
        let archive = ZipArchive::new(BufReader::new(file));
        let mut archive =
            archive.map_err(|why| wrong("the archive", why.to_string(), "an `.npz` file"))?;
        let mut entry = match archive.by_name(&format!("{name}.npy")) {
            Ok(entry) => entry,
            Err(zip::result::ZipError::FileNotFound) => return Ok(None),
            Err(why) => return Err(wrong("an array", why.to_string(), "a `.npy` in the archive")),
        };
        if entry.compression() != CompressionMethod::Stored {
            let found = format!("compressed (`{name}`)");
            return Err(wrong("an array", found, "stored arrays, as `np.savez` writes them"));
        }
        let mut head = Vec::new();
        entry
            .by_ref()
            .take(MOST_HEADER)
            .read_to_end(&mut head)
            .map_err(TranscodeError::io(path))?;
        let header = NpyHeader::parse(&head).map_err(TranscodeError::layout(path))?;
        let (width, signed) = match header.descr.as_str() {
            "<u2" => (2, false),
            "<i2" => (2, true),
            "<u4" => (4, false),
            "<i4" => (4, true),
            "<i8" => (8, true),
            other => return Err(wrong(name, format!("of type `{other}`"), "whole numbers")),
        };
        let (data, size) = (header.data_offset as u64, entry.size());
        let numbers = header.len().and_then(|len| len.checked_mul(width as u64));
        let is_whole = !header.fortran_order
            && numbers.and_then(|bytes| bytes.checked_add(data)) == Some(size);
        let start = entry.data_start().filter(|start| start.saturating_add(size) <= bytes);
        let Some(start) = start.filter(|_| is_whole) else {
            let found = format!("{size} bytes of shape {:?}", header.shape);
            return Err(wrong(name, found, "as many bytes as its shape takes, row by row"));
        };
        let (path, shape) = (path.to_owned(), header.shape);
        Ok(Some(Self { path, name, from: start + data, width, signed, shape }))
    }

    /// Finds a tensor in a `.safetensors` file.
    pub(super) fn in_safetensors(
        path: &Path,
        name: &'static str,
    ) -> Result<Option<Self>, TranscodeError> {
        let mut file = open_regular(path).map_err(TranscodeError::io(path))?;
        let bytes = file.metadata().map_err(TranscodeError::io(path))?.len();
        let mut head = Vec::new();
        file.by_ref().take(8).read_to_end(&mut head).map_err(TranscodeError::io(path))?;
        let len = safetensors::header_len(&head, bytes).map_err(TranscodeError::layout(path))?;
        head.clear();
        file.take(len).read_to_end(&mut head).map_err(TranscodeError::io(path))?;
        let found = safetensors::find(&head, name, bytes).map_err(TranscodeError::layout(path))?;
        let Some(stored) = found else { return Ok(None) };
        let (width, signed) = match stored.dtype.as_str() {
            "BOOL" | "U8" => (1, false),
            "U16" => (2, false),
            "I16" => (2, true),
            "U32" => (4, false),
            "I32" => (4, true),
            "I64" | "U64" => (8, true),
            other => {
                return Err(TranscodeError::layout(path)(LayoutError::Field {
                    what: name,
                    found: format!("of type `{other}`"),
                    expected: "whole numbers".into(),
                }));
            }
        };
        let numbers =
            stored.shape.iter().try_fold(width as u64, |all, &axis| all.checked_mul(axis));
        if numbers != Some(stored.bytes) {
            let (found, expected) = (stored.bytes, numbers.unwrap_or(u64::MAX));
            let short = LayoutError::Short { what: name, found, expected };
            return Err(TranscodeError::layout(path)(short));
        }
        let (path, from) = (path.to_owned(), stored.from);
        Ok(Some(Self { path, name, from, width, signed, shape: stored.shape }))
    }

    /// Returns how many numbers there are.
    pub(super) fn len(&self) -> u64 {
        self.shape.iter().product()
    }

    /// Begins to read the numbers.
    pub(super) fn numbers(&self) -> Result<Numbers, TranscodeError> {
        let mut file = open_regular(&self.path).map_err(TranscodeError::io(&self.path))?;
        file.seek(SeekFrom::Start(self.from)).map_err(TranscodeError::io(&self.path))?;
        let file = BufReader::with_capacity(1 << 18, file);
        Ok(Numbers { array: self.clone(), file, left: self.len() })
    }
}

/// The numbers of an array, one after the other.
pub(super) struct Numbers {
    array: StoredArray,
    file: BufReader<File>,
    left: u64,
}

impl Numbers {
    /// Returns the next `count` numbers.
    ///
    /// # Errors
    ///
    /// There are fewer, or the file cannot be read.
    pub(super) fn take(&mut self, count: u64) -> Result<Vec<i64>, TranscodeError> {
        let path = &self.array.path;
        if count > self.left {
            return Err(TranscodeError::layout(path)(LayoutError::Field {
                what: self.array.name,
                found: format!("{} numbers", self.array.len()),
                expected: format!("{} more", count - self.left),
            }));
        }
        self.left -= count;
        let width = self.array.width;
        let count: usize = narrow(count);
        let mut bytes = vec![0; count * width];
        self.file.read_exact(&mut bytes).map_err(TranscodeError::io(path))?;
        let number = |bytes: &[u8]| {
            let is_negative = self.array.signed && bytes[width - 1] >= 0x80;
            let mut eight = [if is_negative { 0xff } else { 0 }; 8];
            eight[..width].copy_from_slice(bytes);
            i64::from_le_bytes(eight)
        };
        Ok(bytes.chunks_exact(width).map(number).collect())
    }
}
