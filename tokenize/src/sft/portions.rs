//! Encoded rows on disk: what a share of a job leaves for the run that puts rows in their order.
//!
//! ```text
//! OUT/.job/portions/KEY-I-of-N.rows  rows of share I of N of one file of a split, in their order
//! OUT/.job/done/KEY-I-of-N.json      the portion is whole, and how many rows the file has
//! ```
//!
//! `KEY` stands for all that decides the rows: task, tokenizer, lengths, split, and the file's
//! content. So every job of the same rows finds them, and no other job takes them for its own.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use ratdata_schemas::{ArtifactError, Checksum, JOB_FOLDER, Receipts, StagedFile, TokenId, narrow};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::clip::{Cut, Example};
use super::error::SftError;
use super::preference_cut::PreferenceFate;
use super::rows::RowExamples;
use crate::Share;
use crate::source::SourceFile;

/// How many rows in a row belong to one share of a file: enough that the questions about a story
/// are seldom parted.
pub(crate) const BLOCK: u64 = 256;

/// Raised when the same rows would be written otherwise.
const VERSION: u32 = 2;

/// What became of a row: its examples, or its place and why it was left out.
pub(crate) type RowResult = Result<RowExamples, String>;

/// The folder of a job's portions.
#[derive(Debug)]
pub(crate) struct Portions {
    folder: PathBuf,
    receipts: Receipts,
    /// What decides the rows, apart from the file.
    job: Value,
    /// Into how many portions a file was cut, by its key, once for every portion that was there.
    cuts: BTreeMap<String, Vec<usize>>,
}

/// The portions of one file of a split.
#[derive(Debug)]
pub(crate) struct FilePortions<'a> {
    folder: &'a Path,
    receipts: &'a Receipts,
    key: String,
    cuts: &'a [usize],
}

/// That a portion is whole.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Receipt {
    share: Share,
    /// Rows of the file, those of other shares with them.
    rows: u64,
}

/// Returns the share of a file that has a row.
fn holder(row: u64, count: usize) -> usize {
    narrow(row / BLOCK % count as u64)
}

/// Returns whether a share of a file has a row.
pub(crate) fn has_row(share: Share, row: u64) -> bool {
    holder(row, share.count) == share.number
}

impl Portions {
    /// The portions below `out` of rows that `job` describes.
    ///
    /// # Errors
    ///
    /// The folder cannot be read.
    pub(crate) fn of(out: &Path, job: Value) -> Result<Self, ArtifactError> {
        let receipts = Receipts::of(out);
        let mut cuts: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (key, count) in receipts.names()?.iter().filter_map(|name| cut_of(name)) {
            cuts.entry(key).or_default().push(count);
        }
        Ok(Self { folder: out.join(JOB_FOLDER).join("portions"), receipts, job, cuts })
    }

    /// Returns the portions of a file of a split.
    pub(crate) fn file(
        &self,
        split: &str,
        file: &SourceFile,
        fingerprint: &Checksum,
    ) -> FilePortions<'_> {
        let of = json!([VERSION, BLOCK, self.job, split, file.name, fingerprint]);
        let key = format!("{:.16}", Checksum::of_value(&of).as_str());
        let cuts = self.cuts.get(&key).map_or(&[][..], Vec::as_slice);
        FilePortions { folder: &self.folder, receipts: &self.receipts, key, cuts }
    }
}

/// Returns the key and the count in a receipt's name, `KEY-I-of-N`.
fn cut_of(name: &str) -> Option<(String, usize)> {
    let (before, count) = name.rsplit_once("-of-")?;
    let (key, _) = before.rsplit_once('-')?;
    Some((key.to_owned(), count.parse().ok().filter(|&count| count > 0)?))
}

impl FilePortions<'_> {
    fn path(&self, share: Share) -> PathBuf {
        self.folder.join(format!("{}.rows", self.name(share)))
    }

    fn name(&self, share: Share) -> String {
        format!("{}-{}", self.key, share.name())
    }

    /// Returns whether a portion is there.
    pub(crate) fn has(&self, share: Share) -> bool {
        self.receipts.path(&self.name(share)).exists() && self.path(share).exists()
    }

    /// Returns into how many portions the file is cut, where there were any: of several
    /// cuts, the one of which the fewest are missing.
    pub(crate) fn cut(&self) -> Option<usize> {
        let missing =
            |count: usize| count.abs_diff(self.cuts.iter().filter(|&&cut| cut == count).count());
        self.cuts.iter().copied().min_by_key(|&count| (missing(count), count))
    }

    /// Begins a portion.
    pub(crate) fn create(&self, share: Share) -> Result<PortionWriter<'_>, ArtifactError> {
        let file = StagedFile::create(&self.path(share))?;
        let (receipts, name) = (self.receipts, self.name(share));
        Ok(PortionWriter { file, receipts, name, share, bytes: Vec::new() })
    }

    /// Gives the rows of all portions of a cut to `each`, in their order in the file; returns how
    /// many there are.
    pub(crate) fn read(
        &self,
        count: usize,
        each: &mut dyn FnMut(RowResult) -> Result<(), SftError>,
    ) -> Result<u64, SftError> {
        let mut readers = Vec::with_capacity(count);
        for share in Share::all(count) {
            let path = self.path(share);
            let file = File::open(&path).map_err(|source| damaged(&path, source))?;
            readers.push((BufReader::with_capacity(1 << 18, file), path));
        }
        let path = self.receipts.path(&self.name(Share { number: 0, count }));
        let text = fs::read(&path).map_err(|source| damaged(&path, source))?;
        let receipt: Receipt =
            serde_json::from_slice(&text).map_err(|wrong| damaged(&path, wrong.into()))?;
        for row in 0..receipt.rows {
            let (reader, path) = &mut readers[holder(row, count)];
            each(read_row(reader).map_err(|source| damaged(path, source))?)?;
        }
        Ok(receipt.rows)
    }
}

fn damaged(path: &Path, source: io::Error) -> SftError {
    SftError::Portion { path: path.to_owned(), source }
}

/// A portion that is being written.
#[derive(Debug)]
pub(crate) struct PortionWriter<'a> {
    file: StagedFile,
    receipts: &'a Receipts,
    name: String,
    share: Share,
    bytes: Vec<u8>,
}

impl PortionWriter<'_> {
    /// Appends a row.
    pub(crate) fn push(&mut self, row: &RowResult) -> Result<(), ArtifactError> {
        self.bytes.clear();
        write_row(&mut self.bytes, row);
        self.file.write(&self.bytes)
    }

    /// Makes the portion durable and leaves its receipt; the file has so many rows in all.
    pub(crate) fn finish(self, rows: u64) -> Result<(), ArtifactError> {
        self.file.commit()?;
        self.receipts.record(&self.name, &Receipt { share: self.share, rows })
    }
}

/// Marks of what follows: nothing, or something.
const NONE: u32 = 0;
const SOME: u32 = 1;

fn write_row(bytes: &mut Vec<u8>, row: &RowResult) {
    match row {
        Err(reason) => {
            put(bytes, NONE);
            put_text(bytes, reason);
        }
        Ok(made) => {
            put(bytes, SOME);
            put(bytes, size(made.examples.len()));
            for example in &made.examples {
                put(bytes, if example.is_some() { SOME } else { NONE });
                if let Some(example) = example {
                    write_example(bytes, example);
                }
            }
            put(bytes, if made.references.is_some() { SOME } else { NONE });
            if let Some(references) = &made.references {
                put_text(bytes, references);
            }
            put(bytes, if made.preference.is_some() { SOME } else { NONE });
            if let Some(fate) = made.preference {
                put(bytes, fate.number());
            }
        }
    }
}

fn write_example(bytes: &mut Vec<u8>, example: &Example) {
    put(bytes, size(example.prompt_len));
    put(bytes, example.last_label.cast_unsigned());
    put(bytes, if example.cut.is_some() { SOME } else { NONE });
    if let Some(cut) = example.cut {
        put(bytes, size(cut.position));
        put(bytes, cut.label.cast_unsigned());
    }
    put(bytes, size(example.ids.len()));
    // An id has at most 31 bits, and a token's flag takes the last one.
    for (&id, &trained) in example.ids.iter().zip(&example.trained) {
        put(bytes, (id << 1) | u32::from(trained));
    }
}

fn read_row(from: &mut impl Read) -> io::Result<RowResult> {
    if take(from)? == NONE {
        return Ok(Err(take_text(from)?));
    }
    let mut made = RowExamples::default();
    for _ in 0..take(from)? {
        let example = if take(from)? == SOME { Some(read_example(from)?) } else { None };
        made.examples.push(example);
    }
    made.references = if take(from)? == SOME { Some(take_text(from)?) } else { None };
    if take(from)? == SOME {
        let unknown = || io::Error::other("an unknown fate of a preference pair");
        made.preference = Some(PreferenceFate::of(take(from)?).ok_or_else(unknown)?);
    }
    Ok(Ok(made))
}

fn read_example(from: &mut impl Read) -> io::Result<Example> {
    let prompt_len = take(from)? as usize;
    let last_label = take(from)?.cast_signed();
    let cut = if take(from)? == SOME {
        Some(Cut { position: take(from)? as usize, label: take(from)?.cast_signed() })
    } else {
        None
    };
    let len = u64::from(take(from)?);
    let words = take_bytes(from, len * 4)?;
    let words = words.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word));
    let (ids, trained): (Vec<TokenId>, Vec<bool>) =
        words.map(|word| (word >> 1, word & 1 == 1)).unzip();
    Ok(Example { ids, trained, prompt_len, cut, last_label })
}

fn put(bytes: &mut Vec<u8>, word: u32) {
    bytes.extend(word.to_le_bytes());
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    put(bytes, size(text.len()));
    bytes.extend(text.as_bytes());
}

fn take(from: &mut impl Read) -> io::Result<u32> {
    let mut word = [0; 4];
    from.read_exact(&mut word)?;
    Ok(u32::from_le_bytes(word))
}

fn take_text(from: &mut impl Read) -> io::Result<String> {
    let len = take(from)?;
    String::from_utf8(take_bytes(from, len.into())?).map_err(io::Error::other)
}

/// Reads so many bytes, and no more memory is taken than there are.
fn take_bytes(from: &mut impl Read, len: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = from.take(len).read_to_end(&mut bytes)?;
    if read as u64 == len { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

fn size(count: usize) -> u32 {
    narrow(count)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ratdata_schemas::IGNORE_INDEX;

    use super::*;
    use crate::source::InputKind;

    fn example() -> impl Strategy<Value = Example> {
        let tokens = proptest::collection::vec((0..1_u32 << 31, any::<bool>()), 1..9);
        let cut = proptest::option::of((1..9_usize, -100..50_000_i32));
        (tokens, 0..9_usize, cut, -100..50_000_i32).prop_map(|(tokens, prompt_len, cut, label)| {
            let (ids, trained) = tokens.into_iter().unzip();
            let cut = cut.map(|(position, label)| Cut { position, label });
            Example { ids, trained, prompt_len, cut, last_label: label }
        })
    }

    fn row() -> impl Strategy<Value = RowResult> {
        let examples = proptest::collection::vec(proptest::option::of(example()), 0..3);
        let references = proptest::option::of(".{0,9}");
        let fate = proptest::option::of((0..6_u32).prop_map(|n| PreferenceFate::of(n).unwrap()));
        let made = (examples, references, fate).prop_map(|(examples, references, preference)| {
            RowExamples { examples, references, preference }
        });
        prop_oneof![made.prop_map(Ok), ".{0,9}".prop_map(Err)]
    }

    proptest! {
        #[test]
        fn a_row_comes_back_as_it_was(row in row()) {
            let mut bytes = Vec::new();
            write_row(&mut bytes, &row);

            let mut rest = bytes.as_slice();
            let back = read_row(&mut rest).unwrap();

            prop_assert!(rest.is_empty());
            match (row, back) {
                (Err(row), Err(back)) => prop_assert_eq!(row, back),
                (Ok(row), Ok(back)) => {
                    prop_assert_eq!(row.examples, back.examples);
                    prop_assert_eq!(row.references, back.references);
                    prop_assert_eq!(row.preference, back.preference);
                }
                _ => prop_assert!(false, "another kind of row"),
            }
            prop_assert!(read_row(&mut &bytes[..bytes.len() - 1]).is_err());
        }
    }

    #[test]
    fn rows_of_all_portions_come_in_their_order() {
        let folder = tempfile::tempdir().unwrap();
        let file = SourceFile {
            path: "x.jsonl".into(),
            name: "x.jsonl".into(),
            stem: "x".into(),
            kind: InputKind::Parquet,
            bytes: 1,
        };
        let portions = Portions::of(folder.path(), json!({})).unwrap();
        let portions = portions.file("train", &file, &Checksum::of(b"x"));
        let rows = BLOCK * 7 / 2;
        let one = |id: TokenId| Example {
            ids: vec![id],
            trained: vec![false],
            prompt_len: 1,
            cut: None,
            last_label: IGNORE_INDEX,
        };
        for share in Share::all(3) {
            let mut writer = portions.create(share).unwrap();
            for row in (0..rows).filter(|&row| has_row(share, row)) {
                let example = one(u32::try_from(row).unwrap());
                let examples = vec![Some(example)];
                let made = RowExamples { examples, ..RowExamples::default() };
                writer.push(&Ok(made)).unwrap();
            }
            assert!(!portions.has(share));
            writer.finish(rows).unwrap();
        }

        let mut found = Vec::new();
        let mut each = |made: RowResult| {
            let example = made.unwrap().examples.remove(0).unwrap();
            found.push(u64::from(example.ids[0]));
            Ok(())
        };
        let found_again = Portions::of(folder.path(), json!({})).unwrap();
        assert_eq!(found_again.file("train", &file, &Checksum::of(b"x")).cut(), Some(3));
        assert_eq!(found_again.file("val", &file, &Checksum::of(b"x")).cut(), None);
        assert_eq!(portions.read(3, &mut each).unwrap(), rows);

        assert_eq!(found, (0..rows).collect::<Vec<_>>());
    }
}
