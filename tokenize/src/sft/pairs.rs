//! Writes a split as the reference does: fixed rows of `i16` inputs and labels.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use ratdata_schemas::{IGNORE_INDEX, PairsRecord, StagedFile, TokenId, free_space, narrow};

use super::error::SftError;
use super::staged::Staged;

/// The largest vocabulary whose ids an `i16` holds.
pub(crate) const MOST_IDS: u32 = 32_767;

/// Where and how pairs are written.
pub(crate) struct PairFiles<'a> {
    /// The artifact folder.
    pub(crate) out: &'a Path,
    /// The tokenizer's name, with which the files begin.
    pub(crate) name: &'a str,
    /// The part's name in the files.
    pub(crate) split: &'a str,
    /// The number of tokens of a row.
    pub(crate) row_len: u32,
    /// What rows are filled up with.
    pub(crate) fill: TokenId,
    /// Whether the user asks to stop; it is looked at before each row, which has at most 64 MiB.
    pub(crate) interrupted: &'a AtomicBool,
}

impl PairFiles<'_> {
    /// Checks that the disk has room for so many rows, before the first is written.
    fn check_room(&self, rows: u64) -> Result<(), SftError> {
        // Inputs and labels of two bytes each, and two lengths.
        let needed = rows.saturating_mul(u64::from(self.row_len) * 4 + 8);
        // A file system that does not say how much is free is simply tried.
        match free_space(self.out) {
            Some(free) if needed > free => Err(SftError::Room {
                split: self.split.to_owned(),
                rows,
                max_length: self.row_len,
                needed,
                free,
                folder: self.out.to_owned(),
            }),
            _ => Ok(()),
        }
    }
}

/// Writes the examples in their order; the files have their names when all of them are whole.
pub(crate) fn write_pairs(
    files: &PairFiles<'_>,
    staged: &Staged<u16>,
) -> Result<PairsRecord, SftError> {
    files.check_room(staged.order.len() as u64)?;
    let stem = format!("{}-{}-{}", files.name, files.split, files.row_len);
    let create = |ending: &str| StagedFile::create(&files.out.join(format!("{stem}-{ending}.bin")));
    let mut inputs = create("inputs")?;
    let mut labels = create("labels")?;
    let mut lengths = create("lengths")?;
    let scored = staged.order.first().is_some_and(|&first| staged.references(first).is_some());
    let mut answers = if scored {
        Some(StagedFile::create(&files.out.join(format!("{}.jsonl", files.split)))?)
    } else {
        None
    };
    let row_len = files.row_len as usize;
    let mut row = Vec::with_capacity(row_len * 2);
    for &number in &staged.order {
        if files.interrupted.load(Ordering::Relaxed) {
            return Err(SftError::Interrupted);
        }
        let example = staged.example(number)?;
        let fill = std::iter::repeat(files.fill.cast_signed());
        let ids = example.ids.iter().map(|id| id.cast_signed());
        encode(&mut row, ids.chain(fill).take(row_len));
        inputs.write(&row)?;
        let fill = std::iter::repeat(IGNORE_INDEX);
        encode(&mut row, example.labels().into_iter().chain(fill).take(row_len));
        labels.write(&row)?;
        for length in [example.prompt_len, example.ids.len()].map(|length| length.min(row_len)) {
            lengths.write(&narrow::<_, u32>(length).to_le_bytes())?;
        }
        if let (Some(answers), Some(line)) = (&mut answers, staged.references(number)) {
            answers.write(line.as_bytes())?;
            answers.write(b"\n")?;
        }
    }
    Ok(PairsRecord {
        rows: staged.order.len() as u64,
        row_len: files.row_len,
        inputs: inputs.commit_record(files.out)?,
        labels: labels.commit_record(files.out)?,
        lengths: lengths.commit_record(files.out)?,
        answers: match answers {
            Some(answers) => Some(answers.commit_record(files.out)?),
            None => None,
        },
    })
}

/// Writes numbers that fit an `i16`: ids below 32,767, and -100.
fn encode(bytes: &mut Vec<u8>, numbers: impl Iterator<Item = i32>) {
    bytes.clear();
    for number in numbers {
        let [low, high, ..] = number.to_le_bytes();
        bytes.extend([low, high]);
    }
}
