//! Values: every id below the vocabulary's size, every label an id or the one that does not count.

use std::path::Path;

use ratdata_schemas::{
    BinSet, IGNORE_INDEX, Manifest, Row, RowSet, Shard, SplitRecord, TokenId, Tokens,
};
use rayon::prelude::*;

use super::Offence;

/// How many tokens or rows a thread takes at a time.
const TAKEN: usize = 1 << 20;

/// Checks all ids and labels; returns how many ids were read.
pub(crate) fn check_values(root: &Path, manifest: &Manifest) -> Result<u64, Offence> {
    let offence = |what: String| Offence { path: root.to_owned(), what };
    let vocab_size = manifest.tokenizer.vocab_size;
    let mut read = 0;
    for (name, split) in &manifest.splits {
        if matches!(split, SplitRecord::Shards { .. }) {
            let set = BinSet::from_manifest(root, manifest, name)
                .map_err(|wrong| offence(wrong.to_string()))?;
            for shard in set.shards() {
                if let Some((at, id)) = first_beyond(shard, vocab_size) {
                    return Err(Offence {
                        path: shard.bin().path().to_owned(),
                        what: format!("token {at}: id {id}, expected below {vocab_size}"),
                    });
                }
            }
            read += set.num_tokens();
        } else {
            let set = RowSet::open(root, name).map_err(|wrong| offence(wrong.to_string()))?;
            check_rows(root, name, &set, vocab_size)?;
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

fn check_rows(root: &Path, split: &str, set: &RowSet, vocab_size: u32) -> Result<(), Offence> {
    let wrong = (0..set.num_rows()).into_par_iter().find_map_first(|number| {
        let mut row = Row::default();
        set.read(number, &mut row);
        let bad_id = row.inputs.iter().position(|&id| id >= vocab_size);
        let bad_label = row.labels.iter().position(|&label| {
            label != IGNORE_INDEX && u32::try_from(label).map_or(true, |id| id >= vocab_size)
        });
        let told = |place: usize, what: String| (number, place, what);
        bad_id
            .map(|place| told(place, format!("id {}", row.inputs[place])))
            .or_else(|| bad_label.map(|place| told(place, format!("label {}", row.labels[place]))))
    });
    wrong.map_or(Ok(()), |(row, column, what)| {
        Err(Offence {
            path: root.to_owned(),
            what: format!(
                "split `{split}`, row {row}, column {column}: {what}, expected below {vocab_size}"
            ),
        })
    })
}
