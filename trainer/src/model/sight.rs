//! Which keys a query sees, and the blocks of queries and keys that this leaves to compute.

use std::sync::Arc;

use burn::backend::tensor::{BoolTensor, FloatTensor, IntTensor};
use burn::backend::{Backend, TensorMetadata, get_or_init_device_settings};
use burn::tensor::{IndexingUpdateOp, Shape, Slice};

use super::blockwise::{assign, part};
use super::context::signed;
use super::spans::Spans;

/// Scores that are in memory at a time, at most: 256 MiB in f32; in tests so few that several
/// blocks are needed.
const SCORES_AT_A_TIME: usize = if cfg!(test) { 1 << 10 } else { 1 << 26 };

/// Queries in a block, at least: fewer leave the matrix products too thin.
const FEWEST_QUERIES: usize = if cfg!(test) { 16 } else { 64 };

/// Queries in a block of packed documents, at most: in a longer one most scores would be between
/// documents.
const MOST_PACKED_QUERIES: usize = if cfg!(test) { 32 } else { 256 };

/// Which keys a query sees.
#[derive(Clone, Debug)]
pub(crate) enum Sight<B: Backend> {
    /// The keys j with 0 <= i - j <= window.
    Window(usize),
    /// The last key of every earlier chunk of this length, and the query's own.
    ChunkEnds(usize),
    /// What each row's documents leave of either.
    Packed(Packed<B>),
}

/// The sight of one row that holds several documents.
///
/// # Shapes
/// `bounds`: [batch, 2, seq], the first key that a query sees and the one after the last;
/// `ends`: [batch, chunks], where the keys that queries share lie, if those are ends of chunks.
#[derive(Clone, Debug)]
pub(crate) struct Packed<B: Backend> {
    pub(crate) bounds: IntTensor<B>,
    pub(crate) ends: IntTensor<B>,
    pub(crate) spans: Arc<Spans>,
    /// The row of the batch.
    pub(crate) row: usize,
}

/// One block: the queries `rows` and, among the keys that are shared, `columns`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) rows: (usize, usize),
    pub(crate) columns: (usize, usize),
}

impl<B: Backend> Sight<B> {
    /// Parts the batch into rows that are cut into blocks alike: all of them, or each on its own.
    pub(crate) fn items(self, batch: usize) -> Vec<((usize, usize), Self)> {
        match self {
            Self::Packed(packed) => (0..batch)
                .map(|row| ((row, row + 1), Self::Packed(Packed { row, ..packed.clone() })))
                .collect(),
            same => vec![((0, batch), same)],
        }
    }

    /// Cuts the queries into blocks whose scores fit in memory; keys that none of a block's
    /// queries sees are in none of its columns.
    pub(crate) fn blocks(&self, heads: usize, seq: usize) -> Vec<Block> {
        let span = match self {
            Self::Window(window) => seq.min(window.saturating_add(FEWEST_QUERIES)),
            Self::ChunkEnds(chunk_len) => seq / chunk_len,
            Self::Packed(packed) => packed.spans.widest(packed.row),
        };
        let fitting = (SCORES_AT_A_TIME / (heads * span.max(1)).max(1)).max(FEWEST_QUERIES);
        let count = match self {
            Self::Window(window) => fitting.min((*window).max(FEWEST_QUERIES)),
            Self::ChunkEnds(chunk_len) => (fitting / chunk_len).max(1) * chunk_len,
            Self::Packed(_) => fitting.min(MOST_PACKED_QUERIES),
        };
        (0..seq)
            .step_by(count)
            .map(|start| {
                let end = (start + count).min(seq);
                let columns = match self {
                    Self::Window(window) => (start.saturating_sub(*window), end),
                    Self::ChunkEnds(chunk_len) => (0, end / chunk_len - 1),
                    Self::Packed(packed) => packed.spans.seen(packed.row, start..end),
                };
                Block { rows: (start, end), columns }
            })
            .collect()
    }

    /// Marks what a block's queries must not see: [1, 1, rows, columns].
    pub(crate) fn hidden(&self, block: Block, device: &B::Device) -> BoolTensor<B> {
        let settings = get_or_init_device_settings::<B>(device);
        let shape = [block.rows.1 - block.rows.0, block.columns.1 - block.columns.0];
        let numbers = |from: usize, to: usize, step: usize, column: bool| {
            let range = signed(from)..signed(to);
            let line = B::int_arange_step(range, step, device, settings.int_dtype);
            let length = (to - from) / step;
            let line =
                B::int_reshape(line, Shape::from(if column { [length, 1] } else { [1, length] }));
            B::int_expand(line, Shape::from(shape))
        };
        let rows = || numbers(block.rows.0, block.rows.1, 1, true);
        let columns = || numbers(block.columns.0, block.columns.1, 1, false);
        let bool_dtype = settings.bool_dtype;
        let hidden = match self {
            Self::Window(window) => {
                let back = B::int_sub(rows(), columns());
                let later = B::int_lower_elem(back.clone(), 0.into(), bool_dtype);
                if *window >= block.rows.1 {
                    later
                } else {
                    let far = B::int_greater_elem(back, signed(*window).into(), bool_dtype);
                    B::bool_or(later, far)
                }
            }
            Self::ChunkEnds(chunk_len) => {
                // Chunk j ends before token (j + 1) · chunk_len.
                let after = numbers(
                    (block.columns.0 + 1) * chunk_len,
                    (block.columns.1 + 1) * chunk_len,
                    *chunk_len,
                    false,
                );
                B::int_lower(rows(), after, bool_dtype)
            }
            Self::Packed(packed) => {
                let [first, after] = [0, 1].map(|which| packed.bound(which, block.rows, shape));
                let before = B::int_lower(columns(), first, bool_dtype);
                B::bool_or(before, B::int_greater_equal(columns(), after, bool_dtype))
            }
        };
        B::bool_reshape(hidden, Shape::from([1, 1, shape[0], shape[1]]))
    }

    /// Returns the keys that queries share: all of them, or the ends of the chunks.
    pub(crate) fn shared(&self, x: &FloatTensor<B>) -> FloatTensor<B> {
        let [batch, heads, seq, width] = x.shape().dims();
        match self {
            Self::Window(_) => x.clone(),
            Self::ChunkEnds(chunk_len) => {
                let chunks = Shape::from([batch, heads, seq / chunk_len, chunk_len * width]);
                let ends = part::<B>(
                    &B::float_reshape(x.clone(), chunks),
                    3,
                    ((chunk_len - 1) * width, chunk_len * width),
                );
                B::float_reshape(ends, Shape::from([batch, heads, seq / chunk_len, width]))
            }
            Self::Packed(packed) => match packed.index(heads, width) {
                None => x.clone(),
                Some(index) => B::float_gather(2, x.clone(), index),
            },
        }
    }

    /// Adds the derivatives by shared keys to those by all keys.
    pub(crate) fn unshare(&self, own: FloatTensor<B>, shared: FloatTensor<B>) -> FloatTensor<B> {
        let shape = own.shape();
        let [batch, heads, seq, width] = shape.dims();
        match self {
            Self::Window(_) => shared,
            Self::ChunkEnds(chunk_len) => {
                let chunks = Shape::from([batch, heads, seq / chunk_len, chunk_len * width]);
                let own = B::float_reshape(own, chunks);
                let ends = ((chunk_len - 1) * width, chunk_len * width);
                let shared = B::float_add(part::<B>(&own, 3, ends), shared);
                let whole = assign::<B>(own, 3, ends, shared);
                B::float_reshape(whole, shape)
            }
            Self::Packed(packed) => match packed.index(heads, width) {
                None => shared,
                Some(index) => B::float_scatter(2, own, index, shared, IndexingUpdateOp::Add),
            },
        }
    }

    /// Whether a query sees its own key beside the shared ones.
    pub(crate) fn has_own(&self) -> bool {
        match self {
            Self::Window(_) => false,
            Self::ChunkEnds(_) => true,
            Self::Packed(packed) => packed.spans.ends(packed.row).is_some(),
        }
    }
}

impl<B: Backend> Packed<B> {
    /// One of the bounds for a block's queries, spread over its columns: [rows, columns].
    fn bound(&self, which: usize, rows: (usize, usize), shape: [usize; 2]) -> IntTensor<B> {
        let slices = [
            Slice::from(self.row..self.row + 1),
            Slice::from(which..which + 1),
            Slice::from(rows.0..rows.1),
        ];
        let bound = B::int_slice(self.bounds.clone(), &slices);
        B::int_expand(B::int_reshape(bound, Shape::from([shape[0], 1])), Shape::from(shape))
    }

    /// Where the shared keys lie, for each head and channel: [1, heads, chunks, width].
    fn index(&self, heads: usize, width: usize) -> Option<IntTensor<B>> {
        let chunks = self.spans.ends(self.row)?.len();
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
    fn long_sequences_are_cut_into_several_blocks() {
        let blocks = Sight::<Flex>::Window(usize::MAX).blocks(64, 4096);
        assert!(blocks.len() > 8);
        assert_eq!(blocks.last().unwrap().rows.1, 4096);

        let blocks = Sight::<Flex>::ChunkEnds(16).blocks(64, 131_072);
        assert!(blocks.len() > 8);
        assert!(blocks.iter().all(|block| block.rows.0 % 16 == 0));
    }

    #[test]
    fn keys_of_other_documents_are_in_no_block() {
        let spans = Arc::new(Spans::windows(&[vec![0, 96, 128]], 160, usize::MAX));
        let zeros = |shape: [usize; 3]| {
            let zeros = vec![0_i64; shape.iter().product()];
            Flex::int_from_data(TensorData::new(zeros, shape), &FlexDevice)
        };
        let (bounds, ends) = (zeros([1, 2, 160]), zeros([1, 1, 1]));
        let sight = Sight::<Flex>::Packed(Packed { bounds, ends, spans, row: 0 });

        let columns: Vec<_> = sight.blocks(1, 160).iter().map(|block| block.columns).collect();

        let first = (1..=6).map(|block| (0, 16 * block));
        let others = [(96, 112), (96, 128), (128, 144), (128, 160)];
        assert_eq!(columns, first.chain(others).collect::<Vec<_>>());
    }
}
