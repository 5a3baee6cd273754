//! Makes an artifact of foreign files: payloads carried, ids held to the vocabulary, a manifest.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use ratdata_schemas::manifest::{FORMAT_VERSION, MANIFEST_FILE};
use ratdata_schemas::open_regular;
use ratdata_schemas::{
    Checksum, DirLock, Dtype, FileRecord, Manifest, PayloadFile, ShardRecord, SourceRecord,
    SplitRecord, StagedFile, TokenBin, TokenId, TokenizerRecord, Tokens,
};
use rayon::prelude::*;
use serde_json::json;

use super::TranscodeError;
use super::found::{Found, find, open};

pub(crate) use super::found::ImportLayout;

/// What says where documents end, in layouts that do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Documents {
    /// This id ends each.
    Eos(TokenId),
    /// A file is one document.
    OneAFile,
    /// Nothing was said.
    Unknown,
}

/// One import: what is read, and the artifact that it becomes.
pub(crate) struct ImportJob<'a> {
    /// Files, and folders of files.
    pub(crate) inputs: &'a [PathBuf],
    /// The layout they are in.
    pub(crate) from: ImportLayout,
    /// The folder that becomes the artifact.
    pub(crate) out: &'a Path,
    /// What the files' names begin with.
    pub(crate) name: &'a str,
    /// The part that all of it becomes.
    pub(crate) split: &'a str,
    /// The width of the ids, where it was said.
    pub(crate) dtype: Option<Dtype>,
    /// What says where documents end.
    pub(crate) documents: Documents,
    /// The tokenizer that made the ids, where it is known.
    pub(crate) tokenizer: Option<TokenizerRecord>,
    /// Whether files may become second names of the foreign ones.
    pub(crate) link: bool,
    /// Whether an artifact in the folder is replaced.
    pub(crate) force: bool,
    /// Set when the user wants to stop.
    pub(crate) stop: &'a AtomicBool,
}

/// Makes an artifact of foreign files.
///
/// # Errors
///
/// A file is not in the layout, ids do not fit the vocabulary, or the artifact cannot be written.
pub(crate) fn import(job: &ImportJob<'_>) -> Result<Manifest, TranscodeError> {
    let paths = find(job.inputs, job.from)?;
    let mut found = Vec::new();
    for path in &paths {
        found.push(open(path, job.from, job.dtype)?);
    }
    let dtype = found.first().map_or(Dtype::U16, |first| first.dtype);
    for other in &found {
        if other.dtype != dtype {
            let (path, found) = (other.path.clone(), other.dtype);
            return Err(TranscodeError::Dtype { path, found, expected: dtype });
        }
        if other.ends.is_none() && job.documents == Documents::Unknown {
            return Err(TranscodeError::NoDocuments { path: other.path.clone() });
        }
    }
    let _lock = DirLock::take(job.out)?;
    clear(job.out, job.force)?;
    let mut made = Made { files: Vec::new() };
    let manifest = shards(job, &found, dtype, &mut made)?;
    manifest.write(job.out)?;
    made.files.clear();
    Ok(manifest)
}

/// Makes room for the artifact, where the user wants that.
pub(super) fn clear(out: &Path, force: bool) -> Result<(), TranscodeError> {
    let path = out.join(MANIFEST_FILE);
    if !path.exists() {
        return Ok(());
    }
    if !force {
        return Err(TranscodeError::ArtifactExists { path: out.to_owned() });
    }
    let old = Manifest::read(out)?;
    // Without its manifest the folder is no artifact, whatever happens next.
    fs::remove_file(&path).map_err(TranscodeError::io(&path))?;
    for record in old.files() {
        let path = record.resolve(out)?;
        if path.exists() {
            fs::remove_file(&path).map_err(TranscodeError::io(&path))?;
        }
    }
    Ok(())
}

/// Files that are taken back unless the artifact becomes whole.
struct Made {
    files: Vec<PathBuf>,
}

impl Drop for Made {
    fn drop(&mut self) {
        for file in &self.files {
            // Nothing can be told from a drop; a folder without a manifest is no artifact anyway.
            drop(fs::remove_file(file));
        }
    }
}

fn shards(
    job: &ImportJob<'_>,
    found: &[Found],
    dtype: Dtype,
    made: &mut Made,
) -> Result<Manifest, TranscodeError> {
    let (mut records, mut sources) = (Vec::new(), Vec::new());
    let mut largest = None;
    let mut stems = HashSet::new();
    for (number, file) in (0..).zip(found) {
        if job.stop.load(Ordering::Relaxed) {
            return Err(TranscodeError::Interrupted);
        }
        let mut stem = format!("shards/{}-{}-{}", job.name, job.split, file.stem);
        if !stems.insert(stem.clone()) {
            stem = format!("{stem}-{number}");
        }
        let next = found.get(number as usize + 1);
        let shard = Shard { job, file, next, stem };
        let (bin, record) = shard.carry(made)?;
        largest = largest.max(check_ids(job, file, &bin)?);
        let (idx, documents) = shard.index(&bin, made)?;
        let mask = shard.mask(&bin, made)?;
        let fingerprint = match file.from {
            0 => record.blake3.clone(),
            _ => Checksum::of_file(&file.path).map_err(TranscodeError::io(&file.path))?,
        };
        let name = file.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let bytes = fs::metadata(&file.path).map_err(TranscodeError::io(&file.path))?.len();
        let (rows, bad_rows, text_bytes) = (documents, 0, 0);
        let replaced_rows = 0;
        sources.push(SourceRecord {
            name,
            bytes,
            rows,
            bad_rows,
            replaced_rows,
            text_bytes,
            fingerprint,
        });
        let (source, tokens) = (Some(number), bin.len());
        records.push(ShardRecord { source, documents, tokens, bin: record, idx, mask });
    }
    let eos = match job.documents {
        Documents::Eos(id) => Some(id),
        _ => None,
    };
    let tokenizer = job.tokenizer.clone().unwrap_or_else(|| TokenizerRecord {
        name: "unknown".into(),
        semantics: "unknown".into(),
        fingerprint: Checksum::of(b"unknown"),
        vocab_size: largest.max(eos).map_or(0, |id| id.saturating_add(1)),
        bos: None,
        eos,
        unk: None,
        pad: None,
    });
    Ok(Manifest {
        format_version: FORMAT_VERSION,
        name: job.name.to_owned(),
        dtype,
        tokenizer,
        splits: BTreeMap::from([(job.split.to_owned(), SplitRecord::Shards { shards: records })]),
        sources,
        base: None,
        config: json!({ "import": job.from.name(), "split": job.split, "eos": eos }),
    })
}

/// One foreign file on its way to a shard.
struct Shard<'a> {
    job: &'a ImportJob<'a>,
    file: &'a Found,
    next: Option<&'a Found>,
    stem: String,
}

impl Shard<'_> {
    fn place(&self, ending: &str, made: &mut Made) -> PathBuf {
        let path = self.job.out.join(format!("{}.{ending}", self.stem));
        made.files.push(path.clone());
        path
    }

    fn record(
        &self,
        ending: &str,
        path: &Path,
        blake3: Checksum,
    ) -> Result<FileRecord, TranscodeError> {
        let bytes = fs::metadata(path).map_err(TranscodeError::io(path))?.len();
        Ok(FileRecord { path: format!("{}.{ending}", self.stem), bytes, blake3 })
    }

    /// Brings the ids into the artifact.
    fn carry(&self, made: &mut Made) -> Result<(TokenBin, FileRecord), TranscodeError> {
        let path = self.place("bin", made);
        let (from, width) = (self.file.from, self.file.dtype.width() as u64);
        if from == 0 {
            ratdata_schemas::payload::carry(&self.file.path, &path, self.job.link)?;
        } else {
            let mut file = PayloadFile::create(&path)?;
            let (mut first, mut tokens, mut closing) = (from, self.file.tokens, None);
            if let (ImportLayout::Llmc, Documents::Eos(eos)) = (self.job.from, self.job.documents) {
                // EOS begins a document there and ends it here: it moves to the end of the file,
                // unless the next file goes on with the same document.
                if begins_with(self.file, eos)? {
                    (first, tokens) = (from + width, tokens - 1);
                }
                let ended = match self.next {
                    Some(next) => begins_with(next, eos)?,
                    None => true,
                };
                closing = ended.then_some(eos).filter(|_| self.file.tokens > 0);
            }
            file.copy_from(&self.file.path, first, tokens * width)?;
            if let Some(eos) = closing {
                file.write(&eos.to_le_bytes()[..self.file.dtype.width()])?;
            }
            file.commit()?;
        }
        let bin = TokenBin::open(&path, self.file.dtype)?;
        let record = self.record("bin", &path, Checksum::of_many(bin.bytes()))?;
        Ok((bin, record))
    }

    /// Writes the document index, and returns how many documents there are.
    fn index(&self, bin: &TokenBin, made: &mut Made) -> Result<(FileRecord, u64), TranscodeError> {
        let path = self.place("idx", made);
        if let (Some(index), Some(ends)) = (&self.file.index, &self.file.ends) {
            ratdata_schemas::payload::carry(index, &path, self.job.link)?;
            let blake3 = Checksum::of_file(&path).map_err(TranscodeError::io(&path))?;
            return Ok((self.record("idx", &path, blake3)?, ends.len() as u64));
        }
        let found;
        let ends = match (&self.file.ends, self.job.documents) {
            (Some(ends), _) => ends,
            (None, Documents::Eos(eos)) => {
                found = ends_by_eos(bin.tokens(), eos);
                &found
            }
            (None, _) => {
                found = if bin.is_empty() { Vec::new() } else { vec![bin.len()] };
                &found
            }
        };
        let mut file = StagedFile::create(&path)?;
        for end in ends {
            file.write(&end.to_le_bytes())?;
        }
        Ok((file.commit_record(self.job.out)?, ends.len() as u64))
    }

    /// Writes the loss mask, one bit a token, where there is one.
    fn mask(&self, bin: &TokenBin, made: &mut Made) -> Result<Option<FileRecord>, TranscodeError> {
        let Some((source, from)) = &self.file.mask else { return Ok(None) };
        let mut bytes = open_regular(source).map_err(TranscodeError::io(source))?;
        std::io::copy(&mut bytes.by_ref().take(*from), &mut std::io::sink())
            .map_err(TranscodeError::io(source))?;
        let mut file = StagedFile::create(&self.place("mask", made))?;
        let mut left = bin.len();
        let mut block = Vec::new();
        while left > 0 {
            block.clear();
            let read = bytes.by_ref().take(1 << 16).read_to_end(&mut block);
            let read = read.map_err(TranscodeError::io(source))? as u64;
            if read == 0 {
                break; // the size was checked; a file cut since then gives a short mask, refused on opening
            }
            left = left.saturating_sub(read);
            let bits: Vec<u8> = block
                .chunks(8)
                .map(|eight| {
                    eight.iter().rev().fold(0, |byte, &learnt| byte << 1 | u8::from(learnt != 0))
                })
                .collect();
            file.write(&bits)?;
        }
        Ok(Some(file.commit_record(self.job.out)?))
    }
}

fn begins_with(file: &Found, eos: TokenId) -> Result<bool, TranscodeError> {
    if file.tokens == 0 {
        return Ok(false);
    }
    let mut first = vec![0; file.dtype.width()];
    let mut open = open_regular(&file.path).map_err(TranscodeError::io(&file.path))?;
    std::io::Seek::seek(&mut open, std::io::SeekFrom::Start(file.from))
        .and_then(|_| open.read_exact(&mut first))
        .map_err(TranscodeError::io(&file.path))?;
    Ok(first == eos.to_le_bytes()[..file.dtype.width()])
}

/// Returns the largest id, held to the vocabulary where that is known.
fn check_ids(
    job: &ImportJob<'_>,
    file: &Found,
    bin: &TokenBin,
) -> Result<Option<TokenId>, TranscodeError> {
    let largest = match bin.tokens() {
        Tokens::U16(ids) => ids.par_iter().max().map(|&id| TokenId::from(id)),
        Tokens::U32(ids) => ids.par_iter().max().copied(),
    };
    // A signed id below 0, or -1 as a filler, is no id of any vocabulary.
    let most = i32::MAX.unsigned_abs();
    let vocab_size = job.tokenizer.as_ref().map_or(most, |tokenizer| tokenizer.vocab_size);
    match largest {
        Some(id) if id >= vocab_size => {
            Err(TranscodeError::TooLarge { path: file.path.clone(), id, vocab_size })
        }
        _ => Ok(largest),
    }
}

/// Returns the place after each EOS, and the end of the bin where it does not end with one.
fn ends_by_eos(tokens: Tokens<'_>, eos: TokenId) -> Vec<u64> {
    fn scan<T: Copy + Sync + PartialEq>(ids: &[T], is_eos: impl Fn(T) -> bool + Sync) -> Vec<u64> {
        ids.par_iter()
            .enumerate()
            .filter(|&(_, &id)| is_eos(id))
            .map(|(at, _)| at as u64 + 1)
            .collect()
    }
    let mut ends = match tokens {
        Tokens::U16(ids) => scan(ids, |id| TokenId::from(id) == eos),
        Tokens::U32(ids) => scan(ids, |id| id == eos),
    };
    if ends.last().copied().unwrap_or(0) != tokens.len() as u64 {
        ends.push(tokens.len() as u64);
    }
    ends
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_end_after_each_eos_and_at_the_end() {
        assert_eq!(ends_by_eos(Tokens::U16(&[5, 2, 2, 7]), 2), [2, 3, 4]);
        assert_eq!(ends_by_eos(Tokens::U32(&[5, 2]), 2), [2]);
        assert_eq!(ends_by_eos(Tokens::U16(&[]), 2), [0_u64; 0]);
    }
}
