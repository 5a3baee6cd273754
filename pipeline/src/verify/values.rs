//! Values: every id below the vocabulary's size, every label an id or the one that does not count.

use std::path::Path;

use ratdata_schemas::{
    BinSet, IGNORE_INDEX, Manifest, Row, RowSet, Shard, SplitRecord, TokenId, Tokens,
};
use rayon::prelude::*;

use super::Ended;
use crate::interrupt;

/// How many tokens or rows a thread takes at a time.
const TAKEN: usize = 1 << 20;

/// Checks all ids and labels; returns how many ids were read.
pub(super) fn check_values(root: &Path, manifest: &Manifest) -> Result<u64, Ended> {
    let offence = |what: String| Ended::at(root, what);
    let vocab_size = manifest.tokenizer.vocab_size;
    let mut read = 0;
    for (name, split) in &manifest.splits {
        if matches!(split, SplitRecord::Shards { .. }) {
            let set = BinSet::from_manifest(root, manifest, name)
                .map_err(|wrong| offence(wrong.to_string()))?;
            for shard in set.shards() {
                let beyond = first_beyond(shard, vocab_size);
                interrupt::check()?;
                if let Some((at, id)) = beyond {
                    let what = format!("token {at}: id {id}, expected below {vocab_size}");
                    return Err(Ended::at(shard.bin().path(), what));
                }
            }
            read += set.num_tokens();
        } else {
            let set = RowSet::open(root, name).map_err(|wrong| offence(wrong.to_string()))?;
            // What fills a row up is written out in pairs alone; elsewhere it is the reader's.
            let fill = manifest.tokenizer.eos.filter(|_| matches!(split, SplitRecord::Pairs(_)));
            check_rows(root, name, &set, (vocab_size, fill))?;
            read += set.num_rows() * set.seq_len() as u64;
        }
    }
    Ok(read)
}

/// Returns the first id of a shard at or beyond the vocabulary's size.
fn first_beyond(shard: &Shard, vocab_size: u32) -> Option<(usize, TokenId)> {
    let tokens = shard.bin().tokens();
    let starts: Vec<usize> = (0..tokens.len()).step_by(TAKEN).collect();
    starts.into_par_iter().find_map_first(|start| {
        if interrupt::asked() {
            return None;
        }
        let stretch = tokens.slice(start..tokens.len().min(start + TAKEN))?;
        let within = match stretch {
            // The largest first: looking for a place is only for what is wrong.
            Tokens::U16(ids) => ids.iter().max().is_some_and(|&most| u32::from(most) >= vocab_size),
            Tokens::U32(ids) => ids.iter().max().is_some_and(|&most| most >= vocab_size),
        };
        let place = within.then(|| stretch.iter().position(|id| id >= vocab_size))??;
        Some((start + place, stretch.get(place)?))
    })
}

fn check_rows(
    root: &Path,
    split: &str,
    set: &RowSet,
    (vocab_size, fill): (u32, Option<TokenId>),
) -> Result<(), Ended> {
    let wrong = (0..set.num_rows()).into_par_iter().find_map_first(|number| {
        if interrupt::asked() {
            return None;
        }
        let mut row = Row::default();
        set.read(number, &mut row);
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
        let told = |place: usize, what: String| (number, place, what);
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
        Err(Ended::at(root, format!("split `{split}`, row {row}, column {column}: {what}")))
    })
}
