//! Checks of values: ids are below the vocabulary's size, labels are ids or ignored, and lengths are
//! within their rows.

use std::ops::Range;
use std::path::Path;

use ratdata_schemas::{
    BinSet, IGNORE_INDEX, Manifest, Row, RowSet, Shard, SplitRecord, TokenId, Tokens, narrow,
};
use ratdata_tokenize::Share;
use rayon::prelude::*;

use super::finding::Ended;
use crate::interrupt;

/// How many tokens a thread takes at a time.
const TAKEN: usize = 1 << 20;

/// How many tokens or rows are one unit of a share.
const STRETCH: usize = 64 * TAKEN;
const ROWS: usize = 1 << 12;

/// Checks a share of the ids and labels; returns how many ids were read.
pub(super) fn check_values(root: &Path, manifest: &Manifest, share: Share) -> Result<u64, Ended> {
    let vocab_size = manifest.tokenizer.vocab_size;
    let mut units = 0;
    let mut read = 0;
    for (name, split) in &manifest.splits {
        let first = units;
        // Opened first: the lengths then come from the files, not from the manifest.
        if matches!(split, SplitRecord::Shards { .. }) {
            let set = BinSet::from_manifest(root, manifest, name.as_str())
                .map_err(|wrong| Ended::at(root, wrong).within(first))?;
            for shard in set.shards() {
                for (unit, range) in ours(share, &mut units, shard.bin().tokens().len(), STRETCH) {
                    read += range.len() as u64;
                    let beyond = first_beyond(shard, range, vocab_size);
                    interrupt::check()?;
                    if let Some((at, id)) = beyond {
                        let what = format!("token {at}: id {id}, expected below {vocab_size}");
                        return Err(Ended::at(shard.bin().path(), what).within(unit));
                    }
                }
            }
        } else {
            let set = RowSet::open(root, name.as_str())
                .map_err(|wrong| Ended::at(root, wrong).within(first))?;
            // Only pairs store padding; for other rows the reader adds it.
            let fill = manifest.tokenizer.eos.filter(|_| matches!(split, SplitRecord::Pairs(_)));
            let rows = narrow(set.num_rows());
            for (unit, range) in ours(share, &mut units, rows, ROWS) {
                read += range.len() as u64 * set.seq_len() as u64;
                check_rows(root, name.as_str(), (&set, range), (vocab_size, fill))
                    .map_err(|ended| ended.within(unit))?;
            }
        }
    }
    Ok(read)
}

/// Returns the number of units, according to the manifest.
pub(super) fn units(manifest: &Manifest) -> usize {
    let count = |len: u64, size: usize| narrow::<_, usize>(len).div_ceil(size);
    let of = |split: &SplitRecord| match split {
        SplitRecord::Shards { shards } => {
            shards.iter().map(|shard| count(shard.tokens, STRETCH)).fold(0, usize::saturating_add)
        }
        SplitRecord::Pairs(pairs) => count(pairs.rows, ROWS),
        SplitRecord::Pack(pack) => count(pack.rows, ROWS),
        SplitRecord::Rows(rows) => count(rows.pack.rows, ROWS),
    };
    manifest.splits.values().map(of).fold(0, usize::saturating_add)
}

/// Divides `len` things into units of `size`, counts the units, and returns those of a share.
fn ours(share: Share, units: &mut usize, len: usize, size: usize) -> Vec<(usize, Range<usize>)> {
    let first = *units;
    let count = len.div_ceil(size);
    *units += count;
    (0..count)
        .filter(|unit| share.has(first + unit))
        .map(|unit| (first + unit, unit * size..len.min((unit + 1) * size)))
        .collect()
}

/// Returns the first id in a range of a shard at or beyond the vocabulary's size.
fn first_beyond(shard: &Shard, range: Range<usize>, vocab_size: u32) -> Option<(usize, TokenId)> {
    let tokens = shard.bin().tokens();
    let starts: Vec<usize> = range.clone().step_by(TAKEN).collect();
    starts.into_par_iter().find_map_first(|start| {
        if interrupt::asked() {
            return None;
        }
        let stretch = tokens.slice(start..range.end.min(start + TAKEN))?;
        let beyond = match stretch {
            // The largest id is computed first; a position is searched only if it is too large.
            Tokens::U16(ids) => ids.iter().max().is_some_and(|&most| u32::from(most) >= vocab_size),
            Tokens::U32(ids) => ids.iter().max().is_some_and(|&most| most >= vocab_size),
        };
        let place = beyond.then(|| stretch.iter().position(|id| id >= vocab_size))??;
        Some((start + place, stretch.get(place)?))
    })
}

/// Checks a range of rows.
fn check_rows(
    root: &Path,
    split: &str,
    (set, range): (&RowSet, Range<usize>),
    (vocab_size, fill): (u32, Option<TokenId>),
) -> Result<(), Ended> {
    let wrong = range.into_par_iter().find_map_first(|number| {
        if interrupt::asked() {
            return None;
        }
        if let Some((prompt, len)) = set.recorded_lengths(number as u64)
            && (prompt > len || len as usize > set.seq_len())
        {
            let room = set.seq_len();
            let what = format!(
                "a prompt of {prompt} tokens in a text of {len}, expected at most {room} each, and the prompt within its text"
            );
            return Some((number, None, what));
        }
        let mut row = Row::default();
        set.read(number as u64, &mut row);
        let bad_id = row.inputs.iter().position(|&id| id >= vocab_size);
        let bad_label = row.labels.iter().position(|&label| {
            label != IGNORE_INDEX && u32::try_from(label).map_or(true, |id| id >= vocab_size)
        });
        let end = row.document_ends.last().map_or(0, |&end| end as usize);
        let bad_fill = fill.and_then(|fill| {
            let place = (end..row.inputs.len()).find(|&place| row.inputs[place] != fill)?;
            Some((place, fill))
        });
        let below = format!("expected below {vocab_size}");
        let told = |place: usize, what: String| (number, Some(place), what);
        bad_id
            .map(|place| told(place, format!("id {}, {below}", row.inputs[place])))
            .or_else(|| {
                bad_label.map(|place| told(place, format!("label {}, {below}", row.labels[place])))
            })
            .or_else(|| {
                let (place, fill) = bad_fill?;
                let found = row.inputs[place];
                Some(told(place, format!("id {found} behind the row's end, expected {fill}")))
            })
    });
    interrupt::check()?;
    wrong.map_or(Ok(()), |(row, column, what)| {
        let column = column.map_or_else(String::new, |column| format!(", column {column}"));
        Err(Ended::at(root, format!("split `{split}`, row {row}{column}: {what}")))
    })
}
