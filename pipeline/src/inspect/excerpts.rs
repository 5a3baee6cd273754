//! Where there is something to show in a stream: its documents by the index or by EOS, and where
//! neither is known, windows of it.

use ratdata_schemas::{BinSet, TokenId, narrow};
use ratdata_tokenize::order::permutation;

use crate::interrupt;

/// How many tokens a window has, if no index says where documents are.
pub(super) const WINDOW: usize = 4096;

/// A longer document is shown with this length.
const LONGEST: usize = 1 << 20;

/// A part of a stream that is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Excerpt {
    /// What it is: `document 12`, or `tokens` if that is not known.
    pub(crate) name: String,
    /// Its first token.
    pub(crate) start: u64,
    /// Its length.
    pub(crate) len: usize,
}

/// Draws `count` excerpts of a stream with a seed, spread over all of it.
pub(crate) fn draw(set: &BinSet, eos: Option<TokenId>, count: usize, seed: u64) -> Vec<Excerpt> {
    if is_indexed(set) {
        let document = |number| {
            let (start, len) = range_of(set, number)?;
            Some(Excerpt { name: format!("document {number}"), start, len })
        };
        return numbers(set.num_documents(), count, seed).filter_map(document).collect();
    }
    let windows = set.num_tokens().div_ceil(WINDOW as u64);
    numbers(windows, count, seed).filter_map(|window| in_window(set, eos, window)).collect()
}

/// Draws some of `all` numbers, spread over all of them, until the user asks to stop.
pub(crate) fn numbers(all: u64, count: usize, seed: u64) -> impl Iterator<Item = u64> {
    let few: u32 = narrow(all.min(1 << 20));
    let spread = all / u64::from(few.max(1));
    let drawn = permutation(seed, few).into_iter().take(count);
    drawn.take_while(|_| !interrupt::asked()).map(move |number| u64::from(number) * spread)
}

/// Returns whether an index says where every document is.
pub(super) fn is_indexed(set: &BinSet) -> bool {
    set.shards().iter().all(|shard| shard.index().is_some())
}

/// Returns where document `document` of the stream begins, and its length.
pub(crate) fn range_of(set: &BinSet, mut document: u64) -> Option<(u64, usize)> {
    for shard in set.shards() {
        let index = shard.index()?;
        let here = index.len() as u64;
        if document < here {
            let range = index.range(usize::try_from(document).ok()?)?;
            let len = usize::try_from(range.end.checked_sub(range.start)?).ok()?;
            return Some((shard.first_token() + range.start, len));
        }
        document -= here;
    }
    None
}

/// Returns the first document that begins in a window; or the window, if none does.
fn in_window(set: &BinSet, eos: Option<TokenId>, window: u64) -> Option<Excerpt> {
    let first = window * WINDOW as u64;
    let ids = ids_from(set, first, WINDOW)?;
    let tokens = Excerpt { name: "tokens".into(), start: first, len: ids.len() };
    let Some(eos) = eos else { return Some(tokens) };
    let after =
        if first == 0 { Some(0) } else { ids.iter().position(|&id| id == eos).map(|at| at + 1) };
    let Some(start) = after.map(|at| first + at as u64).filter(|&at| at < set.num_tokens()) else {
        return Some(tokens);
    };
    let mut len = 0;
    while len < LONGEST {
        let Some(ids) = ids_from(set, start + len as u64, WINDOW) else { break };
        match ids.iter().position(|&id| id == eos) {
            Some(at) => {
                len += at + 1;
                break;
            }
            None => len += ids.len(),
        }
    }
    Some(Excerpt { name: "document".into(), start, len })
}

/// Returns at most `most` tokens from a position; `None` past the end.
pub(super) fn ids_from(set: &BinSet, start: u64, most: usize) -> Option<Vec<TokenId>> {
    let left = narrow(set.num_tokens().checked_sub(start)?);
    let mut ids = vec![0; most.min(left)];
    (!ids.is_empty() && set.copy_tokens(start, &mut ids)).then_some(ids)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use ratdata_schemas::Dtype;

    use super::*;

    fn bare(ids: &[u16]) -> (tempfile::TempDir, BinSet) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.bin");
        let bytes: Vec<u8> = ids.iter().flat_map(|id| id.to_le_bytes()).collect();
        std::fs::File::create(&path).unwrap().write_all(&bytes).unwrap();
        let set = BinSet::open_bin(&path, Dtype::U16).unwrap();
        (folder, set)
    }

    #[test]
    fn without_an_index_documents_are_found_by_eos() {
        let ids: Vec<u16> = (0..20_000_u16).map(|n| if n % 100 == 99 { 2 } else { 7 }).collect();
        let (_folder, set) = bare(&ids);

        let excerpts = draw(&set, Some(2), 9, 0);

        assert_eq!(excerpts.len(), 5, "one for each window");
        for excerpt in excerpts {
            assert_eq!((excerpt.start % 100, excerpt.len), (0, 100), "{excerpt:?}");
        }
    }

    #[test]
    fn without_eos_windows_are_shown() {
        let (_folder, set) = bare(&[7; 5000]);

        let mut excerpts = draw(&set, None, 9, 0);
        excerpts.sort_by_key(|excerpt| excerpt.start);

        let found: Vec<_> = excerpts.iter().map(|excerpt| (excerpt.start, excerpt.len)).collect();
        assert_eq!(found, [(0, 4096), (4096, 904)]);
    }

    #[test]
    fn draws_lie_below_their_number() {
        for all in [0, 1, 5, 3_000_000] {
            let found: Vec<u64> = numbers(all, 9, 4).collect();

            assert_eq!(found.len() as u64, all.min(9));
            assert!(found.iter().all(|&number| number < all));
        }
    }
}
