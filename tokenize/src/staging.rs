//! One file's tokenized documents in file order, until their split is known.
//!
//! They stay in memory up to a bound and go to a file beyond it. They are read back in the
//! split's order, which is random: by place, not through a map, so that they do not count as the
//! process's memory.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use ratdata_schemas::Dtype;
use ratdata_schemas::narrow;

use crate::tokenizer::IdWidth;

/// Ids beyond this many bytes go to disk.
const IN_MEMORY: usize = 192 << 20;

/// The documents of one file.
#[derive(Debug)]
pub(crate) struct Staging<W> {
    chunks: Vec<Vec<W>>,
    chunk_starts: Vec<u64>,
    held: usize,
    spilled: Option<File>,
    spilled_ids: u64,
    starts: Vec<u64>,
    lens: Vec<u32>,
    ids: u64,
}

impl<W: IdWidth> Staging<W> {
    pub(crate) fn new() -> Self {
        Self {
            chunks: Vec::new(),
            chunk_starts: Vec::new(),
            held: 0,
            spilled: None,
            spilled_ids: 0,
            starts: Vec::new(),
            lens: Vec::new(),
            ids: 0,
        }
    }

    /// Appends documents; `folder` is where a file is made when memory is full.
    pub(crate) fn push(&mut self, ids: Vec<W>, lens: &[u32], folder: &Path) -> io::Result<()> {
        for &len in lens {
            self.starts.push(self.ids);
            self.lens.push(len);
            self.ids += u64::from(len);
        }
        self.chunk_starts.push(self.ids - ids.len() as u64);
        self.held += ids.len() * W::DTYPE.width();
        self.chunks.push(ids);
        if self.held > IN_MEMORY { self.spill(folder) } else { Ok(()) }
    }

    /// Returns how many documents there are.
    pub(crate) fn documents(&self) -> usize {
        self.lens.len()
    }

    /// Returns how many ids all documents have.
    pub(crate) fn ids(&self) -> usize {
        narrow(self.ids)
    }

    /// Returns the length of a document.
    pub(crate) fn len_of(&self, document: u32) -> u32 {
        self.lens[document as usize]
    }

    /// Appends a document to `out`.
    pub(crate) fn copy(&self, document: u32, out: &mut Vec<W>) -> io::Result<()> {
        let start = self.starts[document as usize];
        let len = self.lens[document as usize] as usize;
        if len == 0 {
            return Ok(());
        }
        if start < self.spilled_ids
            && let Some(file) = &self.spilled
        {
            return read_ids(file, start, len, out);
        }
        let chunk = self.chunk_starts.partition_point(|&first| first <= start) - 1;
        let Ok(from) = usize::try_from(start - self.chunk_starts[chunk]) else { return Ok(()) };
        out.extend_from_slice(&self.chunks[chunk][from..from + len]);
        Ok(())
    }

    /// Moves the documents in memory to the file, which has no name and ends with the process.
    fn spill(&mut self, folder: &Path) -> io::Result<()> {
        let mut file = match self.spilled.take() {
            Some(file) => file,
            None => tempfile::tempfile_in(folder)?,
        };
        let mut bytes = Vec::new();
        for chunk in self.chunks.drain(..) {
            bytes.clear();
            for id in &chunk {
                match W::DTYPE {
                    Dtype::U16 => bytes.extend_from_slice(&u16::of(id.id()).to_le_bytes()),
                    Dtype::U32 => bytes.extend_from_slice(&id.id().to_le_bytes()),
                }
            }
            file.write_all(&bytes)?;
        }
        self.chunk_starts.clear();
        self.held = 0;
        self.spilled_ids = self.ids;
        self.spilled = Some(file);
        Ok(())
    }
}

fn read_ids<W: IdWidth>(file: &File, start: u64, len: usize, out: &mut Vec<W>) -> io::Result<()> {
    let width = W::DTYPE.width();
    let mut bytes = vec![0; len * width];
    file.read_exact_at(&mut bytes, start * width as u64)?;
    match W::DTYPE {
        Dtype::U16 => {
            out.extend(
                bytes.as_chunks().0.iter().map(|two| W::of(u16::from_le_bytes(*two).into())),
            );
        }
        Dtype::U32 => {
            out.extend(bytes.as_chunks().0.iter().map(|four| W::of(u32::from_le_bytes(*four))));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Documents come back as they went in, from memory and from disk.
        #[test]
        fn documents_come_back(
            blocks in proptest::collection::vec(
                proptest::collection::vec(proptest::collection::vec(any::<u16>(), 0..9), 0..5), 0..6),
            spill_after in 0..7_usize,
        ) {
            let folder = tempfile::tempdir().unwrap();
            let mut staging = Staging::new();
            for (number, block) in blocks.iter().enumerate() {
                let lens: Vec<u32> = block.iter().map(|d| u32::try_from(d.len()).unwrap()).collect();
                staging.push(block.concat(), &lens, folder.path()).unwrap();
                if number == spill_after {
                    staging.spill(folder.path()).unwrap();
                }
            }

            let documents: Vec<_> = blocks.concat();
            prop_assert_eq!(staging.documents(), documents.len());
            for (number, document) in (0..).zip(&documents) {
                let mut out = Vec::new();
                staging.copy(number, &mut out).unwrap();
                prop_assert_eq!(&out, document);
            }
        }
    }
}
