//! The attention mask: which keys a query sees, and the tiles that are left to compute.

use std::ops::Range;
use std::sync::Arc;

use burn::backend::tensor::{BoolTensor, FloatTensor, IntTensor};
use burn::backend::{Backend, TensorMetadata, get_or_init_device_settings};
use burn::tensor::{IndexingUpdateOp, Shape, Slice};

use super::key_ranges::KeyRanges;
use crate::convert::narrow;
use crate::kernels::slices::{assign, slice};

/// How many scores are in memory at a time, at most: 256 MiB in f32. Tests take so few that
/// several tiles are needed.
const SCORES_AT_A_TIME: usize = if cfg!(test) { 1 << 10 } else { 1 << 26 };

/// How many queries a tile has, at least: with fewer, the matrix products are too thin.
const FEWEST_QUERIES: usize = if cfg!(test) { 16 } else { 64 };

/// How many queries a tile of packed documents has, at most: in a longer one most scores would be
/// between documents.
const MOST_PACKED_QUERIES: usize = if cfg!(test) { 32 } else { 256 };

/// Says which keys a query sees.
///
/// Queries share keys: all of them, or the ends of the chunks. Where they share only the ends, a
/// query sees its own key as well.
#[derive(Clone, Debug)]
pub(super) enum AttentionMask<B: Backend> {
    /// The keys j with 0 <= i - j <= window.
    Window(usize),
    /// The last key of every earlier chunk of this length, and the query's own key.
    ChunkEnds(usize),
    /// Either of them, within the documents of a packed row.
    Packed(PackedRow<B>),
}

/// One row of a batch that holds several documents.
///
/// # Shapes
/// `bounds`: [batch, 2, seq], the first key that a query sees and the one after the last;
/// `ends`: [batch, chunks], the positions of the shared keys, if these are ends of chunks.
#[derive(Clone, Debug)]
pub(super) struct PackedRow<B: Backend> {
    pub(super) bounds: IntTensor<B>,
    pub(super) ends: IntTensor<B>,
    pub(super) ranges: Arc<KeyRanges>,
    /// The row of the batch.
    pub(super) row: usize,
}

/// Some queries, and the shared keys that at least one of them sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tile {
    pub(super) queries: Range<usize>,
    pub(super) keys: Range<usize>,
}

/// Some rows of a batch that have the same tiles.
pub(super) struct RowGroup<B: Backend> {
    pub(super) rows: Range<usize>,
    pub(super) mask: AttentionMask<B>,
}

impl<B: Backend> AttentionMask<B> {
    /// Divides the batch into rows that have the same tiles: packed rows are on their own.
    pub(super) fn row_groups(self, batch: usize) -> Vec<RowGroup<B>> {
        match self {
            Self::Packed(packed) => (0..batch)
                .map(|row| RowGroup {
                    rows: row..row + 1,
                    mask: Self::Packed(PackedRow { row, ..packed.clone() }),
                })
                .collect(),
            mask => vec![RowGroup { rows: 0..batch, mask }],
        }
    }

    /// Divides the queries into tiles whose scores fit in memory. A tile leaves out the keys that
    /// none of its queries sees.
    pub(super) fn tiles(&self, heads: usize, seq: usize) -> Vec<Tile> {
        let widest = match self {
            Self::Window(window) => seq.min(window.saturating_add(FEWEST_QUERIES)),
            Self::ChunkEnds(chunk_len) => seq / chunk_len,
            Self::Packed(packed) => packed.ranges.widest(packed.row),
        };
        let fitting = (SCORES_AT_A_TIME / (heads * widest.max(1)).max(1)).max(FEWEST_QUERIES);
        let count = match self {
            Self::Window(window) => fitting.min((*window).max(FEWEST_QUERIES)),
            Self::ChunkEnds(chunk_len) => (fitting / chunk_len).max(1) * chunk_len,
            Self::Packed(_) => fitting.min(MOST_PACKED_QUERIES),
        };
        (0..seq)
            .step_by(count)
            .map(|start| {
                let end = (start + count).min(seq);
                let keys = match self {
                    Self::Window(window) => start.saturating_sub(*window)..end,
                    Self::ChunkEnds(chunk_len) => 0..end / chunk_len - 1,
                    Self::Packed(packed) => packed.ranges.seen(packed.row, start..end),
                };
                Tile { queries: start..end, keys }
            })
            .collect()
    }

    /// Marks the keys that a tile's queries must not see: [1, 1, queries, keys].
    pub(super) fn hidden(&self, tile: &Tile, device: &B::Device) -> BoolTensor<B> {
        let settings = get_or_init_device_settings::<B>(device);
        let shape = [tile.queries.len(), tile.keys.len()];
        let numbers = |range: Range<usize>, step: usize, line: [usize; 2]| {
            let range = narrow(range.start)..narrow(range.end);
            let numbers = B::int_arange_step(range, step, device, settings.int_dtype);
            B::int_expand(B::int_reshape(numbers, Shape::from(line)), Shape::from(shape))
        };
        let queries = || numbers(tile.queries.clone(), 1, [shape[0], 1]);
        let keys = || numbers(tile.keys.clone(), 1, [1, shape[1]]);
        let bool_dtype = settings.bool_dtype;
        let hidden = match self {
            Self::Window(window) => {
                let back = B::int_sub(queries(), keys());
                let later = B::int_lower_elem(back.clone(), 0.into(), bool_dtype);
                if *window >= tile.queries.end {
                    later
                } else {
                    let far =
                        B::int_greater_elem(back, narrow::<_, i64>(*window).into(), bool_dtype);
                    B::bool_or(later, far)
                }
            }
            Self::ChunkEnds(chunk_len) => {
                // Chunk j ends before token (j + 1) · chunk_len.
                let after = (tile.keys.start + 1) * chunk_len..(tile.keys.end + 1) * chunk_len;
                let after = numbers(after, *chunk_len, [1, shape[1]]);
                B::int_lower(queries(), after, bool_dtype)
            }
            Self::Packed(packed) => {
                let [first, after] = [0, 1].map(|which| packed.bound(which, tile));
                let before = B::int_lower(keys(), first, bool_dtype);
                B::bool_or(before, B::int_greater_equal(keys(), after, bool_dtype))
            }
        };
        B::bool_reshape(hidden, Shape::from([1, 1, shape[0], shape[1]]))
    }

    /// Returns the keys that queries share: all of them, or the ends of the chunks.
    pub(super) fn shared(&self, x: &FloatTensor<B>) -> FloatTensor<B> {
        let [batch, heads, seq, width] = x.shape().dims();
        match self {
            Self::Window(_) => x.clone(),
            Self::ChunkEnds(chunk_len) => {
                let chunks = Shape::from([batch, heads, seq / chunk_len, chunk_len * width]);
                let chunks = B::float_reshape(x.clone(), chunks);
                let ends = slice::<B>(&chunks, 3, &((chunk_len - 1) * width..chunk_len * width));
                B::float_reshape(ends, Shape::from([batch, heads, seq / chunk_len, width]))
            }
            Self::Packed(packed) => match packed.index(heads, width) {
                None => x.clone(),
                Some(index) => B::float_gather(2, x.clone(), index),
            },
        }
    }

    /// Adds the derivatives by the shared keys to the derivatives by each query's own key.
    pub(super) fn add_shared(&self, own: FloatTensor<B>, shared: FloatTensor<B>) -> FloatTensor<B> {
        let shape = own.shape();
        let [batch, heads, seq, width] = shape.dims();
        match self {
            Self::Window(_) => shared,
            Self::ChunkEnds(chunk_len) => {
                let chunks = Shape::from([batch, heads, seq / chunk_len, chunk_len * width]);
                let own = B::float_reshape(own, chunks);
                let ends = (chunk_len - 1) * width..chunk_len * width;
                let shared = B::float_add(slice::<B>(&own, 3, &ends), shared);
                let whole = assign::<B>(own, 3, &ends, shared);
                B::float_reshape(whole, shape)
            }
            Self::Packed(packed) => match packed.index(heads, width) {
                None => shared,
                Some(index) => B::float_scatter(2, own, index, shared, IndexingUpdateOp::Add),
            },
        }
    }

    /// Returns whether a query sees its own key in addition to the shared ones.
    pub(super) fn has_own_key(&self) -> bool {
        match self {
            Self::Window(_) => false,
            Self::ChunkEnds(_) => true,
            Self::Packed(packed) => packed.ranges.ends(packed.row).is_some(),
        }
    }
}

impl<B: Backend> PackedRow<B> {
    /// Returns one of the bounds of a tile's queries, repeated for each key: [queries, keys].
    fn bound(&self, which: usize, tile: &Tile) -> IntTensor<B> {
        let slices = [
            Slice::from(self.row..self.row + 1),
            Slice::from(which..which + 1),
            Slice::from(tile.queries.clone()),
        ];
        let bound = B::int_slice(self.bounds.clone(), &slices);
        let (queries, keys) = (tile.queries.len(), tile.keys.len());
        B::int_expand(
            B::int_reshape(bound, Shape::from([queries, 1])),
            Shape::from([queries, keys]),
        )
    }

    /// Returns the positions of the shared keys, repeated for each head and channel:
    /// [1, heads, chunks, width].
    fn index(&self, heads: usize, width: usize) -> Option<IntTensor<B>> {
        let chunks = self.ranges.ends(self.row)?.len();
        let slices = [Slice::from(self.row..self.row + 1), Slice::from(0..chunks)];
        let ends = B::int_slice(self.ends.clone(), &slices);
        let ends = B::int_reshape(ends, Shape::from([1, 1, chunks, 1]));
        Some(B::int_expand(ends, Shape::from([1, heads, chunks, width])))
    }
}

#[cfg(test)]
mod tests {
    use burn::backend::ops::IntTensorOps;
    use burn::backend::{Flex, FlexDevice};
    use burn::tensor::TensorData;

    use super::*;

    #[test]
    fn long_sequences_are_cut_into_several_tiles() {
        let tiles = AttentionMask::<Flex>::Window(usize::MAX).tiles(64, 4096);
        assert!(tiles.len() > 8);
        assert_eq!(tiles.last().unwrap().queries.end, 4096);

        let tiles = AttentionMask::<Flex>::ChunkEnds(16).tiles(64, 131_072);
        assert!(tiles.len() > 8);
        assert!(tiles.iter().all(|tile| tile.queries.start % 16 == 0));
    }

    #[test]
    fn keys_of_other_documents_are_in_no_tile() {
        let ranges = Arc::new(KeyRanges::windows(&[vec![0, 96, 128]], 160, usize::MAX));
        let zeros = |shape: [usize; 3]| {
            let zeros = vec![0_i64; shape.iter().product()];
            Flex::int_from_data(TensorData::new(zeros, shape), &FlexDevice)
        };
        let (bounds, ends) = (zeros([1, 2, 160]), zeros([1, 1, 1]));
        let mask = AttentionMask::<Flex>::Packed(PackedRow { bounds, ends, ranges, row: 0 });

        let keys: Vec<_> = mask.tiles(1, 160).into_iter().map(|tile| tile.keys).collect();

        let first = (1..=6).map(|tile| 0..16 * tile);
        let others = [96..112, 96..128, 128..144, 128..160];
        assert_eq!(keys, first.chain(others).collect::<Vec<_>>());
    }
}
