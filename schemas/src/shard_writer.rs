//! Writes one shard: a token bin, its document index and, if asked, its loss mask.

use std::path::Path;

use crate::artifact::StagedFile;
use crate::artifact_error::ArtifactError;
use crate::bin::Tokens;
use crate::mmap::{bytes_of_u16, bytes_of_u32};
use crate::records::ShardRecord;

/// The names of a shard's files.
#[derive(Clone, Copy, Debug)]
pub struct ShardFiles<'a> {
    /// The artifact folder.
    pub root: &'a Path,
    /// The name without an ending, such as `shards/llama-train-000_00000`.
    pub stem: &'a str,
}

/// Writes documents one after the other; the files get their names in [`ShardWriter::finish`].
#[derive(Debug)]
pub struct ShardWriter {
    root: std::path::PathBuf,
    bin: StagedFile,
    idx: StagedFile,
    mask: Option<MaskWriter>,
    tokens: u64,
    documents: u64,
}

impl ShardWriter {
    /// Creates the shard's files under temporary names.
    ///
    /// # Errors
    ///
    /// The system refuses one of them.
    pub fn create(files: ShardFiles<'_>) -> Result<Self, ArtifactError> {
        let named = |ending: &str| files.root.join(format!("{}.{ending}", files.stem));
        Ok(Self {
            root: files.root.to_owned(),
            bin: StagedFile::create(&named("bin"))?,
            idx: StagedFile::create(&named("idx"))?,
            mask: None,
            tokens: 0,
            documents: 0,
        })
    }

    /// Creates the files of a shard with a loss mask.
    ///
    /// # Errors
    ///
    /// As [`ShardWriter::create`].
    pub fn create_masked(files: ShardFiles<'_>) -> Result<Self, ArtifactError> {
        let mask = StagedFile::create(&files.root.join(format!("{}.mask", files.stem)))?;
        let writer = Self::create(files)?;
        Ok(Self { mask: Some(MaskWriter { file: mask, byte: 0, bits: 0 }), ..writer })
    }

    /// Appends documents of either width; `lens` are their lengths and add up to `ids`.
    ///
    /// # Errors
    ///
    /// The system refuses the write.
    pub fn append(&mut self, ids: Tokens<'_>, lens: &[u32]) -> Result<(), ArtifactError> {
        match ids {
            Tokens::U16(ids) => self.append_u16(ids, lens),
            Tokens::U32(ids) => self.append_u32(ids, lens),
        }
    }

    /// Appends documents stored as `u16`; `lens` are their lengths and add up to `ids`.
    ///
    /// # Errors
    ///
    /// The system refuses the write.
    pub fn append_u16(&mut self, ids: &[u16], lens: &[u32]) -> Result<(), ArtifactError> {
        self.bin.write(bytes_of_u16(ids))?;
        self.count(lens)
    }

    /// Appends documents stored as `u32`; `lens` are their lengths and add up to `ids`.
    ///
    /// # Errors
    ///
    /// The system refuses the write.
    pub fn append_u32(&mut self, ids: &[u32], lens: &[u32]) -> Result<(), ArtifactError> {
        self.bin.write(bytes_of_u32(ids))?;
        self.count(lens)
    }

    /// Appends the loss mask of the tokens appended last: `true` if a token is trained on.
    ///
    /// A shard that was created without a mask writes nothing.
    ///
    /// # Errors
    ///
    /// The system refuses the write.
    pub fn append_mask(&mut self, trained: &[bool]) -> Result<(), ArtifactError> {
        self.mask.as_mut().map_or(Ok(()), |mask| mask.append(trained))
    }

    fn count(&mut self, lens: &[u32]) -> Result<(), ArtifactError> {
        for &len in lens {
            self.tokens += u64::from(len);
            self.documents += 1;
            self.idx.write(&self.tokens.to_le_bytes())?;
        }
        Ok(())
    }

    /// Returns how many tokens were appended so far.
    pub fn tokens(&self) -> u64 {
        self.tokens
    }

    /// Gives the files their names and returns the shard's record.
    ///
    /// # Errors
    ///
    /// The system refuses to sync or rename.
    pub fn finish(self, source: Option<u32>) -> Result<ShardRecord, ArtifactError> {
        let idx = self.idx.commit_record(&self.root)?;
        let mask = match self.mask {
            Some(mask) => Some(mask.finish(&self.root)?),
            None => None,
        };
        let bin = self.bin.commit_record(&self.root)?;
        Ok(ShardRecord { source, documents: self.documents, tokens: self.tokens, bin, idx, mask })
    }
}

/// Gathers bits into bytes, lowest bit first.
#[derive(Debug)]
struct MaskWriter {
    file: StagedFile,
    byte: u8,
    bits: u32,
}

impl MaskWriter {
    fn append(&mut self, trained: &[bool]) -> Result<(), ArtifactError> {
        for &bit in trained {
            self.byte |= u8::from(bit) << self.bits;
            self.bits += 1;
            if self.bits == 8 {
                self.file.write(&[self.byte])?;
                (self.byte, self.bits) = (0, 0);
            }
        }
        Ok(())
    }

    fn finish(mut self, root: &Path) -> Result<crate::file_record::FileRecord, ArtifactError> {
        if self.bits > 0 {
            self.file.write(&[self.byte])?;
        }
        self.file.commit_record(root)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{DocIndex, Dtype, TokenBin};

    proptest! {
        /// What was written is read back: ids, document ends, mask.
        #[test]
        fn writing_and_reading_are_inverse(
            documents in proptest::collection::vec(
                proptest::collection::vec((0..=u16::MAX, any::<bool>()), 0..40), 0..12)
        ) {
            let folder = tempfile::tempdir().unwrap();
            let files = ShardFiles { root: folder.path(), stem: "shards/x-train" };

            let mut writer = ShardWriter::create_masked(files).unwrap();
            for document in &documents {
                let (ids, trained): (Vec<u16>, Vec<bool>) = document.iter().copied().unzip();
                writer.append_u16(&ids, &[u32::try_from(ids.len()).unwrap()]).unwrap();
                writer.append_mask(&trained).unwrap();
            }
            let record = writer.finish(None).unwrap();

            let bin = TokenBin::open(&record.bin.resolve(folder.path()).unwrap(), Dtype::U16).unwrap();
            let index = DocIndex::open(&record.idx.resolve(folder.path()).unwrap()).unwrap();
            let mask = std::fs::read(record.mask.unwrap().resolve(folder.path()).unwrap()).unwrap();
            index.check(bin.len()).unwrap();
            prop_assert_eq!(index.len(), documents.len());
            let mut at = 0;
            for (number, document) in documents.iter().enumerate() {
                let range = index.range(number).unwrap();
                prop_assert_eq!(range.end - range.start, document.len() as u64);
                for &(id, trained) in document {
                    prop_assert_eq!(bin.tokens().get(at), Some(u32::from(id)));
                    prop_assert_eq!(mask[at / 8] >> (at % 8) & 1 == 1, trained);
                    at += 1;
                }
            }
        }
    }
}
