//! Makes an artifact of foreign files: payloads carried over, ids checked against the vocabulary, a manifest.
//!
//! Longer than 500 lines because an import is one pass, whose checks, shards and indexes share one job.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use ratdata_schemas::recipe::{Import, ImportLayout, Recipe};
use ratdata_schemas::{
    ArtifactJob, Checksum, Dtype, FORMAT_VERSION, FileRecord, FileState, Finished, Identity,
    MANIFEST_FILE, Manifest, Opened, PayloadFile, PlainName, RelativePath, Semantics, ShardRecord,
    SourceRecord, SplitRecord, StagedFile, TokenBin, TokenId, TokenizerRecord, Tokens, Workspace,
    carry_unless, difference, open_regular, resting_place,
};
use rayon::prelude::*;
use serde_json::{Value, json};

use super::error::TranscodeError;
use super::foreign_file::{ForeignFile, find, open};
use super::note::{JobNote, is_begun, sweep};
use crate::interrupt;

pub(crate) use super::foreign_file::companions;

/// What manifests call a vocabulary of which nothing is known but the ids that were seen.
const UNKNOWN: &str = "unknown";

/// The folder of shards within an artifact.
const SHARDS: &str = "shards";

/// No vocabulary has as many ids: a signed id below 0, or -1 as a filler, is none.
const MOST_ID: TokenId = i32::MAX.unsigned_abs();

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

impl Documents {
    fn eos(self) -> Option<TokenId> {
        match self {
            Self::Eos(id) => Some(id),
            Self::OneAFile | Self::Unknown => None,
        }
    }
}

/// One import: what is read, and the artifact that it becomes.
pub(crate) struct ImportJob<'a> {
    /// Files, and folders of files.
    pub(crate) inputs: &'a [PathBuf],
    /// The layout of the files.
    pub(crate) from: ImportLayout,
    /// The folder that becomes the artifact.
    pub(crate) out: &'a Path,
    /// What the files' names begin with.
    pub(crate) name: &'a PlainName,
    /// The part that all of it becomes.
    pub(crate) split: &'a PlainName,
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

/// What an import has made; it is an import in work until it is [finished](Imported::finish).
pub(crate) struct Imported {
    /// The artifact.
    pub(crate) artifact: Finished,
    note: Option<JobNote>,
    _workspace: Workspace,
}

impl Imported {
    /// Ends the import.
    ///
    /// # Errors
    ///
    /// The note of the job cannot be removed.
    pub(crate) fn finish(self) -> Result<(), TranscodeError> {
        self.note.map_or(Ok(()), JobNote::clear)
    }
}

/// Makes an artifact of foreign files, unless the same import has.
///
/// # Errors
///
/// A file is not in the layout, ids do not fit the vocabulary, or the artifact cannot be written.
/// What was made of it is then taken back.
pub(crate) fn import(job: &ImportJob<'_>) -> Result<Imported, TranscodeError> {
    let paths = find(job.inputs, job.from)?;
    let seen = look(&paths);
    let mut found = Vec::new();
    // Lists of numbers say no width, and a vocabulary does.
    let of_vocabulary = |tokenizer: &TokenizerRecord| Dtype::for_vocab(tokenizer.vocab_size);
    let by_vocabulary = matches!(job.from, ImportLayout::Arrow | ImportLayout::MegatronSft);
    let wanted = job.dtype.or(job.tokenizer.as_ref().filter(|_| by_vocabulary).map(of_vocabulary));
    for path in &paths {
        found.push(open(path, job.from, wanted)?);
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
    check_vocabulary(job, dtype)?;
    check_inputs(job.out, &found)?;
    let described = described(job, &found, dtype)?;
    let workspace = Workspace::lock(job.out)?;
    let compared = Compared { job, found: &found, dtype, described: &described };
    let mut workspace = match workspace.look(&compared, job.force)? {
        Opened::Done(manifest, workspace) => {
            sweep(job.out)?;
            let note = is_begun(job.out, &described)?
                .then(|| JobNote::open(job.out, &described, false))
                .transpose()?;
            return Ok(Imported {
                artifact: Finished::found(*manifest),
                note,
                _workspace: workspace,
            });
        }
        Opened::Open(workspace) => workspace,
    };
    let note = JobNote::open(job.out, &described, job.force)?;
    if job.force || workspace.take_lost().is_some() {
        workspace.remove_artifact()?;
    }
    let made = shards(job, &found, dtype, &note).and_then(|manifest| {
        check(seen, job.link)?;
        workspace.finish(&manifest)?;
        Ok(manifest)
    });
    match made {
        Ok(manifest) => {
            let artifact = Finished::made(manifest);
            Ok(Imported { artifact, note: Some(note), _workspace: workspace })
        }
        Err(wrong) => {
            note.take_back()?;
            Err(wrong)
        }
    }
}

/// Checks that the EOS id is one of the vocabulary, and that ids of this width can be.
fn check_vocabulary(job: &ImportJob<'_>, dtype: Dtype) -> Result<(), TranscodeError> {
    if let Some(tokenizer) = &job.tokenizer {
        let vocab_size = tokenizer.vocab_size;
        if dtype == Dtype::U16 && Dtype::for_vocab(vocab_size) == Dtype::U32 {
            return Err(TranscodeError::Width { dtype, vocab_size });
        }
        if let Documents::Eos(id) = job.documents
            && id >= vocab_size
        {
            return Err(TranscodeError::Eos { id, vocab_size });
        }
    }
    match job.documents {
        // One more than the largest id is the size of a vocabulary, which is a `u32`.
        Documents::Eos(id) if !dtype.holds(id) || id > MOST_ID => {
            Err(TranscodeError::EosWidth { id, dtype })
        }
        _ => Ok(()),
    }
}

/// Checks that no input lies where the artifact's own files will.
fn check_inputs(out: &Path, found: &[ForeignFile]) -> Result<(), TranscodeError> {
    let mut taken = HashSet::new();
    if out.join(MANIFEST_FILE).exists() {
        let old = Manifest::read(out).ok();
        for record in old.iter().flat_map(Manifest::files) {
            taken.extend(record.place(out).canonicalize().ok());
        }
    }
    let shards = out.join(SHARDS);
    let shards = resting_place(&shards).map_err(TranscodeError::io(&shards))?;
    for file in found {
        let real = file.path.canonicalize().map_err(TranscodeError::io(&file.path))?;
        if real.starts_with(&shards) || taken.contains(&real) {
            return Err(TranscodeError::InInput { out: out.to_owned(), input: file.path.clone() });
        }
    }
    Ok(())
}

/// Returns all that decides the artifact but the content of the inputs.
fn described(
    job: &ImportJob<'_>,
    found: &[ForeignFile],
    dtype: Dtype,
) -> Result<Value, TranscodeError> {
    let mut inputs = Vec::new();
    for file in found {
        let bytes = fs::metadata(&file.path).map_err(TranscodeError::io(&file.path))?.len();
        inputs.push(json!({ "name": file.name, "bytes": bytes }));
    }
    Ok(json!({
        "import": note_of(job),
        "name": job.name,
        "dtype": dtype,
        "tokenizer": job.tokenizer,
        "link": job.link,
        "inputs": inputs,
    }))
}

/// Returns the settings that the manifest records.
fn recipe(job: &ImportJob<'_>) -> Recipe {
    let (from, split, eos) = (job.from, job.split.clone(), job.documents.eos());
    Recipe::Import(Import { from, split, eos })
}

fn note_of(job: &ImportJob<'_>) -> Value {
    json!({ "import": job.from.name(), "split": job.split, "eos": job.documents.eos() })
}

/// An import as it is compared with what is in its folder.
struct Compared<'a> {
    job: &'a ImportJob<'a>,
    found: &'a [ForeignFile],
    dtype: Dtype,
    described: &'a Value,
}

impl ArtifactJob for Compared<'_> {
    type Error = TranscodeError;

    fn difference(&self, there: &Manifest) -> Option<String> {
        let (job, dtype) = (self.job, self.dtype);
        // Without a tokenizer, any vocabulary is the same as long as it is not known.
        let (theirs, ours) = match &job.tokenizer {
            Some(tokenizer) => (json!(there.tokenizer), json!(tokenizer)),
            None => (json!(there.tokenizer.semantics), json!(Semantics::Unknown)),
        };
        let sources = there.sources.iter().map(|source| &source.name).collect::<Vec<_>>();
        let inputs = self.found.iter().map(|file| &file.name).collect::<Vec<_>>();
        let theirs = json!({
            "name": there.name, "dtype": there.dtype, "tokenizer": theirs, "recipe": there.recipe,
            "inputs": sources,
        });
        let ours = json!({
            "name": job.name, "dtype": dtype, "tokenizer": ours, "recipe": recipe(job),
            "inputs": inputs,
        });
        difference(&theirs, &ours)
    }

    fn check_inputs(&self, there: &Manifest, workspace: &Workspace) -> Result<(), TranscodeError> {
        // A run that was killed when all was done has left its note, and reads nothing again.
        if is_begun(self.job.out, self.described)? {
            return Ok(());
        }
        for (number, (file, source)) in self.found.iter().zip(&there.sources).enumerate() {
            let content = Checksum::of_file(&file.path, self.job.stop)
                .map_err(TranscodeError::io(&file.path))?;
            if content != source.fingerprint {
                let difference = format!("inputs[{number}] `{}`: content", file.name);
                return Err(workspace.other_job(difference).into());
            }
        }
        Ok(())
    }
}

/// Looks at the foreign files and their companions.
fn look(paths: &[PathBuf]) -> Vec<(PathBuf, Identity)> {
    let files = paths.iter().flat_map(|path| std::iter::once(path.clone()).chain(companions(path)));
    // A file that cannot be read is reported where it is read.
    let look = |path: PathBuf| {
        let state = FileState::of(&path).ok()?;
        Some((path, state.identity))
    };
    files.filter_map(look).collect()
}

/// Checks that files are as they were; `linked` ones may have got a second name.
fn check(seen: Vec<(PathBuf, Identity)>, linked: bool) -> Result<(), TranscodeError> {
    for (path, before) in seen {
        let now = Identity::of(&path).map_err(TranscodeError::io(&path))?;
        let same = if linked { now.is_unwritten_since(&before) } else { now == before };
        if !same {
            return Err(TranscodeError::Touched { path });
        }
    }
    Ok(())
}

fn shards(
    job: &ImportJob<'_>,
    found: &[ForeignFile],
    dtype: Dtype,
    note: &JobNote,
) -> Result<Manifest, TranscodeError> {
    let (mut records, mut sources) = (Vec::new(), Vec::new());
    let mut largest = None;
    let mut stems = HashSet::new();
    for (number, file) in (0..).zip(found) {
        if job.stop.load(Ordering::Relaxed) {
            return Err(TranscodeError::Interrupted);
        }
        let mut stem = format!("{SHARDS}/{}-{}-{}", job.name, job.split, file.stem);
        while !stems.insert(stem.clone()) {
            stem = format!("{stem}-{number}");
        }
        let next = found.get(number as usize + 1);
        let shard = Shard { job, note, file, next, stem };
        let Brought { bin, record, idx, documents, mask } =
            if file.has_rows { shard.of_rows()? } else { shard.bring()? };
        largest = largest.max(check_ids(job, file, &bin)?);
        let fingerprint = if file.from == 0 && !file.has_rows {
            record.blake3.clone()
        } else {
            Checksum::of_file(&file.path, job.stop).map_err(TranscodeError::io(&file.path))?
        };
        let name = file.name.clone();
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
    let eos = job.documents.eos();
    let tokenizer = job.tokenizer.clone().unwrap_or_else(|| TokenizerRecord {
        name: UNKNOWN.into(),
        semantics: Semantics::Unknown,
        fingerprint: Checksum::of(UNKNOWN.as_bytes()),
        vocab_size: largest.max(eos).map_or(0, |id| id.saturating_add(1)),
        bos: None,
        eos,
        unk: None,
        pad: None,
    });
    Ok(Manifest {
        format_version: FORMAT_VERSION,
        name: job.name.clone(),
        dtype,
        tokenizer,
        splits: BTreeMap::from([(job.split.clone(), SplitRecord::Shards { shards: records })]),
        sources,
        base: None,
        recipe: recipe(job),
    })
}

/// One foreign file on its way to a shard.
pub(super) struct Shard<'a> {
    pub(super) job: &'a ImportJob<'a>,
    note: &'a JobNote,
    pub(super) file: &'a ForeignFile,
    next: Option<&'a ForeignFile>,
    pub(super) stem: String,
}

/// A shard that is in the artifact.
pub(super) struct Brought {
    pub(super) bin: TokenBin,
    pub(super) record: FileRecord,
    pub(super) idx: FileRecord,
    pub(super) documents: u64,
    pub(super) mask: Option<FileRecord>,
}

impl Shard<'_> {
    /// Brings the ids, their documents and their mask into the artifact.
    fn bring(&self) -> Result<Brought, TranscodeError> {
        let (bin, record) = self.carry()?;
        let (idx, documents) = self.index(&bin)?;
        let mask = self.mask(&bin)?;
        Ok(Brought { bin, record, idx, documents, mask })
    }

    pub(super) fn place(&self, ending: &str) -> Result<PathBuf, TranscodeError> {
        let name = RelativePath::new(&format!("{}.{ending}", self.stem))
            .map_err(|_| TranscodeError::NotUtf8 { path: self.file.path.clone() })?;
        self.note.begin(name, self.job.force)
    }

    /// Brings the ids into the artifact.
    fn carry(&self) -> Result<(TokenBin, FileRecord), TranscodeError> {
        let path = self.place("bin")?;
        let (from, width) = (self.file.from, self.file.dtype.width() as u64);
        if from == 0 {
            carry_unless(&self.file.path, &path, self.job.link, interrupt::asked)?;
        } else {
            let mut file = PayloadFile::create(&path)?.unless(interrupt::asked);
            let (mut first, mut tokens, mut closing) = (from, self.file.tokens, None);
            if let (ImportLayout::Llmc, Documents::Eos(eos)) = (self.job.from, self.job.documents) {
                // EOS begins a document there and ends it here: it moves to the end of the file,
                // unless the next file continues the same document.
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
        let record = FileRecord {
            path: RelativePath::new(&format!("{}.bin", self.stem))
                .map_err(|_| TranscodeError::NotUtf8 { path: self.file.path.clone() })?,
            bytes: bin.bytes().len() as u64,
            blake3: Checksum::of_many(bin.bytes(), self.job.stop)
                .map_err(TranscodeError::io(&path))?,
        };
        Ok((bin, record))
    }

    /// Writes the document index, and returns how many documents there are.
    fn index(&self, bin: &TokenBin) -> Result<(FileRecord, u64), TranscodeError> {
        let path = self.place("idx")?;
        if let (Some(index), Some(ends)) = (&self.file.index, &self.file.ends) {
            carry_unless(index, &path, self.job.link, interrupt::asked)?;
            let record = FileRecord::of_file(self.job.out, &path, self.job.stop)?;
            return Ok((record, ends.len() as u64));
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
    fn mask(&self, bin: &TokenBin) -> Result<Option<FileRecord>, TranscodeError> {
        let Some((source, from)) = &self.file.mask else { return Ok(None) };
        let mut bytes = open_regular(source).map_err(TranscodeError::io(source))?;
        std::io::copy(&mut bytes.by_ref().take(*from), &mut std::io::sink())
            .map_err(TranscodeError::io(source))?;
        let mut file = StagedFile::create(&self.place("mask")?)?;
        let mut left = bin.len();
        let mut block = Vec::new();
        while left > 0 {
            block.clear();
            // A multiple of 8, as long as there are more; other arrays may follow.
            let read = bytes.by_ref().take(left.min(1 << 16)).read_to_end(&mut block);
            let read = read.map_err(TranscodeError::io(source))? as u64;
            if read == 0 {
                break; // the size was checked; a file cut since then gives a short mask, refused on opening
            }
            left = left.saturating_sub(read);
            let bits: Vec<u8> = block
                .chunks(8)
                .map(|eight| {
                    eight.iter().rev().fold(0, |byte, &trained| byte << 1 | u8::from(trained != 0))
                })
                .collect();
            file.write(&bits)?;
        }
        Ok(Some(file.commit_record(self.job.out)?))
    }
}

fn begins_with(file: &ForeignFile, eos: TokenId) -> Result<bool, TranscodeError> {
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

/// How many ids are looked at between two looks at whether the user has stopped it.
const PIECE: usize = 1 << 20;

/// Returns the largest id, checked against the vocabulary where that is known.
fn check_ids(
    job: &ImportJob<'_>,
    file: &ForeignFile,
    bin: &TokenBin,
) -> Result<Option<TokenId>, TranscodeError> {
    let going = || !job.stop.load(Ordering::Relaxed);
    let largest = match bin.tokens() {
        Tokens::U16(ids) => {
            let pieces = ids.par_chunks(PIECE).filter(|_| going());
            pieces.filter_map(|piece| piece.iter().max().map(|&id| TokenId::from(id))).max()
        }
        Tokens::U32(ids) => {
            let pieces = ids.par_chunks(PIECE).filter(|_| going());
            pieces.filter_map(|piece| piece.iter().max().copied()).max()
        }
    };
    if !going() {
        return Err(TranscodeError::Interrupted);
    }
    let vocab_size = job.tokenizer.as_ref().map_or(MOST_ID, |tokenizer| tokenizer.vocab_size);
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
