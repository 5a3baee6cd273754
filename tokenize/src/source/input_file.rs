//! One input file, on disk or in an object store: its first bytes, a stream of it, and bytes at any place.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};
use ratdata_objects::{Address, Blocks, Object};

use super::error::SourceError;

/// An input file. What is in an object store is fetched block by block, as it is read.
#[derive(Clone, Debug)]
pub struct InputFile {
    path: PathBuf,
    place: Place,
}

#[derive(Clone, Debug)]
enum Place {
    /// On disk, where each reader opens it for itself.
    Disk,
    Store(Arc<Blocks>),
}

impl InputFile {
    /// Finds a file, without reading it.
    ///
    /// # Errors
    ///
    /// It is an object that is not there, or whose store cannot be asked.
    pub fn find(path: &Path) -> Result<Self, SourceError> {
        let place = match Address::of_path(path) {
            None => Place::Disk,
            Some(address) => Place::Store(Arc::new(Blocks::of(Object::open(&address)?))),
        };
        Ok(Self { path: path.to_owned(), place })
    }

    /// Returns its path, or its address.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Has the first bytes fetched, for a reader that comes later.
    ///
    /// # Errors
    ///
    /// No connection can be made.
    pub(crate) fn begin(&self) -> Result<(), SourceError> {
        match &self.place {
            Place::Disk => Ok(()),
            Place::Store(blocks) => Ok(blocks.begin_at(0)?),
        }
    }

    /// Has the first and the last bytes fetched, for one who opens a table: its footer is at the end.
    ///
    /// # Errors
    ///
    /// No connection can be made.
    pub(crate) fn begin_at_ends(&self) -> Result<(), SourceError> {
        match &self.place {
            Place::Disk => Ok(()),
            Place::Store(blocks) => {
                blocks.begin_at(0)?;
                Ok(blocks.begin_at(blocks.len().saturating_sub(1))?)
            }
        }
    }

    /// Has the bytes fetched that are read first, for a reader that comes soon.
    ///
    /// # Errors
    ///
    /// No connection can be made.
    pub(crate) fn begin_reading(&self) -> Result<(), SourceError> {
        match &self.place {
            Place::Disk => Ok(()),
            Place::Store(blocks) => Ok(blocks.begin_reading()?),
        }
    }

    /// Returns its first bytes, `most` of them where it has so many.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub(crate) fn beginning(&self, most: u64) -> Result<Vec<u8>, SourceError> {
        let mut beginning = Vec::new();
        self.stream(0)?
            .take(most)
            .read_to_end(&mut beginning)
            .map_err(SourceError::reading(&self.path))?;
        Ok(beginning)
    }

    /// Returns a reader from a place of its bytes to its end.
    ///
    /// # Errors
    ///
    /// It cannot be opened.
    pub(crate) fn stream(&self, start: u64) -> Result<Box<dyn Read>, SourceError> {
        match &self.place {
            Place::Disk => {
                let mut file = File::open(&self.path).map_err(SourceError::reading(&self.path))?;
                if start > 0 {
                    file.seek(SeekFrom::Start(start)).map_err(SourceError::reading(&self.path))?;
                }
                Ok(Box::new(file))
            }
            Place::Store(blocks) => Ok(Box::new(blocks.reader(start))),
        }
    }

    /// Opens it to be read at any place, by many threads.
    ///
    /// # Errors
    ///
    /// It cannot be opened.
    pub fn at_any_place(&self) -> Result<ReadAt, SourceError> {
        Ok(ReadAt(match &self.place {
            Place::Disk => {
                let file = File::open(&self.path).map_err(SourceError::reading(&self.path))?;
                let len = file.metadata().map_err(SourceError::reading(&self.path))?.len();
                Bytes::Disk { file: Arc::new(file), len }
            }
            Place::Store(blocks) => Bytes::Store(blocks.clone()),
        }))
    }
}

/// An input file that many threads read at places of their own.
#[derive(Clone, Debug)]
pub struct ReadAt(Bytes);

#[derive(Clone, Debug)]
enum Bytes {
    Disk { file: Arc<File>, len: u64 },
    Store(Arc<Blocks>),
}

impl ReadAt {
    /// Says which parts will be read, in order: of an object, others are not fetched ahead.
    pub fn expect(&self, parts: impl FnOnce() -> Vec<std::ops::Range<u64>>) {
        if let Bytes::Store(blocks) = &self.0 {
            blocks.expect(parts());
        }
    }

    /// Reads bytes at a place, all of which are in the file.
    ///
    /// # Errors
    ///
    /// It cannot be read, or ends before.
    pub(crate) fn bytes_at(&self, start: u64, length: usize) -> std::io::Result<bytes::Bytes> {
        match &self.0 {
            Bytes::Disk { file, .. } => {
                let mut bytes = vec![0; length];
                file.read_exact_at(&mut bytes, start)?;
                Ok(bytes.into())
            }
            Bytes::Store(blocks) => Ok(blocks.read_at(start, length)?),
        }
    }
}

impl Length for ReadAt {
    fn len(&self) -> u64 {
        match &self.0 {
            Bytes::Disk { len, .. } => *len,
            Bytes::Store(blocks) => blocks.len(),
        }
    }
}

impl ChunkReader for ReadAt {
    type T = ReadFrom;

    fn get_read(&self, start: u64) -> parquet::errors::Result<ReadFrom> {
        Ok(ReadFrom { file: self.clone(), at: start })
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<bytes::Bytes> {
        let end = start.checked_add(length as u64).filter(|&end| end <= self.len());
        if end.is_none() {
            return Err(ParquetError::EOF(format!("bytes {start}+{length} of {}", self.len())));
        }
        Ok(self.bytes_at(start, length)?)
    }
}

/// A reader that begins at a place of a file and moves no other reader of it.
#[derive(Debug)]
pub struct ReadFrom {
    file: ReadAt,
    at: u64,
}

impl Read for ReadFrom {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = match &self.file.0 {
            Bytes::Disk { file, .. } => file.read_at(buffer, self.at)?,
            Bytes::Store(blocks) => {
                let bytes = blocks.read_at(self.at, buffer.len())?;
                buffer[..bytes.len()].copy_from_slice(&bytes);
                bytes.len()
            }
        };
        self.at += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write;
    use std::sync::Arc;

    use arrow_array::{ArrayRef, RecordBatch, StringArray};
    use arrow_ipc::writer::StreamWriter;
    use parquet::arrow::ArrowWriter;
    use parquet::basic::Compression;
    use parquet::file::properties::WriterProperties;
    use ratdata_objects::{Address, put};

    use super::super::{Source, SourceFile, Table, Undecodable, find_inputs};

    /// Texts that together have several blocks.
    fn texts() -> Vec<String> {
        let word = |at: u64| format!("{:x} ", at.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        (0..600_u64).map(|row| (row * 1000..row * 1000 + 1000 + row).map(word).collect()).collect()
    }

    fn table(texts: &[String]) -> Vec<u8> {
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values(texts));
        let batch = RecordBatch::try_from_iter([("blob", texts.clone()), ("text", texts)]).unwrap();
        let properties = WriterProperties::builder()
            .set_compression(Compression::UNCOMPRESSED)
            .set_dictionary_enabled(false)
            .set_max_row_group_row_count(Some(100))
            .build();
        let mut writer =
            ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.into_inner().unwrap()
    }

    fn objects(texts: &[String]) -> Vec<serde_json::Value> {
        texts.iter().map(|text| serde_json::json!({"text": text})).collect()
    }

    fn stream(texts: &[String]) -> Vec<u8> {
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values(texts));
        let batch = RecordBatch::try_from_iter([("text", texts)]).unwrap();
        let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
        writer.write(&batch).unwrap();
        writer.into_inner().unwrap()
    }

    fn archive(lines: &[u8]) -> Vec<u8> {
        let mut header = tar::Header::new_gnu();
        header.set_size(lines.len() as u64);
        let mut archive = tar::Builder::new(Vec::new());
        archive.append_data(&mut header, "x.jsonl", lines).unwrap();
        archive.into_inner().unwrap()
    }

    fn read(file: &SourceFile) -> Vec<String> {
        let source = Source::open(file, "text").unwrap();
        let mut read = Vec::new();
        for part in 0..source.num_parts() {
            source
                .read_part(part, &|| false, &mut |rows| {
                    let text =
                        |cell| source.text(cell, Undecodable::Refuse).unwrap().text.into_owned();
                    read.extend(rows.cells.iter().map(text));
                    true
                })
                .unwrap();
        }
        read
    }

    #[test]
    fn an_object_gives_the_rows_of_the_same_file_on_disk() {
        let texts = texts();
        let lines: String = texts
            .iter()
            .flat_map(|text| [serde_json::json!({"text": text}).to_string(), "\n".to_owned()])
            .collect();
        let files = [
            ("a.parquet", table(&texts)),
            ("b.jsonl", lines.clone().into_bytes()),
            ("c.jsonl.zst", zstd::encode_all(lines.as_bytes(), 1).unwrap()),
            ("d.json", serde_json::to_vec(&objects(&texts)).unwrap()),
            ("e.csv", format!("text\n\"{}\"\n", texts.join("\"\n\"")).into_bytes()),
            ("f.arrow", stream(&texts)),
            ("g.tar", archive(lines.as_bytes())),
            ("h.txt", texts.concat().into_bytes()),
        ];
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in &files {
            let mut file = File::create_new(folder.path().join(name)).unwrap();
            file.write_all(content).unwrap();
            let place = Address::read("memory://input-file").unwrap().unwrap();
            put(&place.join(name), content.clone()).unwrap();
        }

        // An array is read where its ending is named.
        let named = |root: &str| find_inputs(&[root.to_owned(), format!("{root}/d.json")]).unwrap();
        let on_disk = named(&folder.path().display().to_string());
        let stored = named("memory://input-file");

        assert_eq!(on_disk.len(), 8);
        for (one, other) in on_disk.iter().zip(&stored) {
            assert_eq!((&one.name, one.bytes), (&other.name, other.bytes));
            assert!(read(one) == read(other), "{}", one.name);
        }
        assert!(stored[..7].iter().all(|file| read(file) == texts));
        let mut rows = 0;
        Table::open(&stored[0], &["blob"])
            .unwrap()
            .read(&mut |batch| {
                rows += batch.len();
                true
            })
            .unwrap();
        assert_eq!(rows, texts.len());
    }
}
