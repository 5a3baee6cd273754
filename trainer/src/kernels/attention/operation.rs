//! The attention operations: one interface over the backends, and their backward pass.

use std::sync::Arc;

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{Device, Int, Tensor};

use super::blockwise::{Saved, backward, forward};
use super::key_ranges::KeyRanges;
use super::mask::{AttentionMask, PackedRow};
use super::softmax::SoftmaxKernels;

/// The backends that attend by tiles: the operations as the dispatcher sees them.
#[backend_extension(Autodiff, Flex, Cube: cfg(feature = "cube"))]
pub(crate) trait AttentionBackend: Backend {
    /// Attends over a window of earlier tokens.
    fn window_attention(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        window: usize,
    ) -> FloatTensor<Self>;

    /// Attends over the ends of earlier chunks and the token itself.
    fn chunk_attention(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        chunk_len: usize,
    ) -> FloatTensor<Self>;

    /// Attends within the documents of packed rows.
    fn packed_attention(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        bounds: IntTensor<Self>,
        ends: IntTensor<Self>,
        ranges: Arc<KeyRanges>,
    ) -> FloatTensor<Self>;
}

/// Attends to the keys j with 0 <= i - j <= `window`.
///
/// # Shapes
/// `q`, `k`, `v` and the output: [batch, heads, seq, `head_dim`].
pub(crate) fn window_attention(
    q: Tensor<4>,
    k: Tensor<4>,
    v: Tensor<4>,
    window: usize,
) -> Tensor<4> {
    let [q, k, v] = [q, k, v].map(Tensor::into_dispatch);
    Tensor::from_dispatch(<Dispatch as AttentionBackend>::window_attention(q, k, v, window))
}

/// Attends to the last key of every earlier chunk and to the query's own key.
///
/// # Shapes
/// `q`, `k`, `v` and the output: [batch, heads, seq, `head_dim`].
pub(crate) fn chunk_attention(
    q: Tensor<4>,
    k: Tensor<4>,
    v: Tensor<4>,
    chunk_len: usize,
) -> Tensor<4> {
    let [q, k, v] = [q, k, v].map(Tensor::into_dispatch);
    Tensor::from_dispatch(<Dispatch as AttentionBackend>::chunk_attention(q, k, v, chunk_len))
}

/// The attention mask of packed rows, on the device and on the host.
#[derive(Clone, Debug)]
pub(crate) struct PackedMask {
    /// The first key and the one after the last of each query: [batch, 2, seq].
    bounds: Tensor<3, Int>,
    /// The ends of chunks, if those are the keys: [batch, chunks].
    ends: Tensor<2, Int>,
    ranges: Arc<KeyRanges>,
}

impl PackedMask {
    pub(crate) fn new(ranges: KeyRanges, device: &Device) -> Self {
        let (bounds, ends) = ranges.to_device(device);
        Self { bounds, ends, ranges: Arc::new(ranges) }
    }
}

/// Attends to the keys that `mask` lets a query see, and to the query's own key where those are
/// ends of chunks.
///
/// Keys of other documents are not computed where a whole tile of them can be left out.
///
/// # Shapes
/// `q`, `k`, `v` and the output: [batch, heads, seq, `head_dim`].
pub(crate) fn packed_attention(
    q: Tensor<4>,
    k: Tensor<4>,
    v: Tensor<4>,
    mask: &PackedMask,
) -> Tensor<4> {
    let [q, k, v] = [q, k, v].map(Tensor::into_dispatch);
    Tensor::from_dispatch(<Dispatch as AttentionBackend>::packed_attention(
        q,
        k,
        v,
        mask.bounds.clone().into_dispatch(),
        mask.ends.clone().into_dispatch(),
        Arc::clone(&mask.ranges),
    ))
}

macro_rules! attend_on {
    ($backend:ty) => {
        impl AttentionBackend for $backend {
            fn window_attention(
                q: FloatTensor<Self>,
                k: FloatTensor<Self>,
                v: FloatTensor<Self>,
                window: usize,
            ) -> FloatTensor<Self> {
                forward::<Self>([&q, &k, &v], AttentionMask::Window(window)).out
            }

            fn chunk_attention(
                q: FloatTensor<Self>,
                k: FloatTensor<Self>,
                v: FloatTensor<Self>,
                chunk_len: usize,
            ) -> FloatTensor<Self> {
                forward::<Self>([&q, &k, &v], AttentionMask::ChunkEnds(chunk_len)).out
            }

            fn packed_attention(
                q: FloatTensor<Self>,
                k: FloatTensor<Self>,
                v: FloatTensor<Self>,
                bounds: IntTensor<Self>,
                ends: IntTensor<Self>,
                ranges: Arc<KeyRanges>,
            ) -> FloatTensor<Self> {
                let packed = PackedRow { bounds, ends, ranges, row: 0 };
                forward::<Self>([&q, &k, &v], AttentionMask::Packed(packed)).out
            }
        }
    };
}

attend_on!(Flex);
#[cfg(feature = "cube")]
attend_on!(burn::backend::Cube);

impl<B: SoftmaxKernels, C: CheckpointStrategy> AttentionBackend for Autodiff<B, C> {
    fn window_attention(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        window: usize,
    ) -> FloatTensor<Self> {
        attend::<B, C>([q, k, v], AttentionMask::Window(window))
    }

    fn chunk_attention(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        chunk_len: usize,
    ) -> FloatTensor<Self> {
        attend::<B, C>([q, k, v], AttentionMask::ChunkEnds(chunk_len))
    }

    fn packed_attention(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        bounds: IntTensor<Self>,
        ends: IntTensor<Self>,
        ranges: Arc<KeyRanges>,
    ) -> FloatTensor<Self> {
        let packed = PackedRow { bounds, ends, ranges, row: 0 };
        attend::<B, C>([q, k, v], AttentionMask::Packed(packed))
    }
}

#[derive(Debug)]
struct Attend<B: Backend>(AttentionMask<B>);

impl<B: SoftmaxKernels> Backward<B, 3> for Attend<B> {
    type State = Saved<B>;

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let grad = grads.consume::<B>(&ops.node);
        let slopes = backward::<B>(&ops.state, &grad, self.0);
        for (node, slope) in ops.parents.into_iter().zip(slopes) {
            if let Some(node) = node {
                grads.register::<B>(node.id, slope);
            }
        }
    }
}

fn attend<B: SoftmaxKernels, C: CheckpointStrategy>(
    inputs: [FloatTensor<Autodiff<B, C>>; 3],
    mask: AttentionMask<B>,
) -> FloatTensor<Autodiff<B, C>> {
    let nodes = [inputs[0].node(), inputs[1].node(), inputs[2].node()];
    let [q, k, v] = inputs.map(FloatTensor::<Autodiff<B, C>>::into_primitive);
    let attended = forward::<B>([&q, &k, &v], mask.clone());
    let out = attended.out.clone();
    match Attend(mask).prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish(Saved { q, k, v, attended }, out),
        OpsKind::UnTracked(prep) => prep.finish(out),
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::activation::softmax;
    use burn::tensor::{Bool, Distribution, TensorData};
    use proptest::prelude::*;

    use super::*;
    use crate::device::test_device;

    /// Attends with all scores at once, over the keys that `sees` allows in each row.
    fn at_once([q, k, v]: [Tensor<4>; 3], sees: impl Fn(usize, usize, usize) -> bool) -> Tensor<4> {
        let [batch, heads, seq, width] = q.dims();
        let hidden: Vec<bool> = (0..batch * seq * seq)
            .map(|at| !sees(at / (seq * seq), at / seq % seq, at % seq))
            .collect();
        let hidden = TensorData::new(hidden, [batch, 1, seq, seq]);
        let hidden = Tensor::<4, Bool>::from_data(hidden, &q.device());
        let scores = q.matmul(k.swap_dims(2, 3)) * (width as f64).powf(-0.5);
        let hidden = hidden.expand([batch, heads, seq, seq]);
        softmax(scores.mask_fill(hidden, f32::NEG_INFINITY), 3).matmul(v)
    }

    const SEQ: usize = 192;

    fn assert_agrees(
        fast: impl Fn([Tensor<4>; 3]) -> Tensor<4>,
        sees: impl Fn(usize, usize, usize) -> bool,
        what: &str,
    ) {
        let device = test_device().unwrap().autodiff();
        let draw = || {
            let spread = Distribution::Uniform(-1.0, 1.0);
            Tensor::<4>::random([2, 3, SEQ, 4], spread, &device).require_grad()
        };
        let inputs = [draw(), draw(), draw()];
        let cotangent = draw().detach();
        let worst = |a: Tensor<4>, b: Tensor<4>| (a - b).abs().max().into_scalar::<f32>();

        let (found, expected) = (fast(inputs.clone()), at_once(inputs.clone(), sees));
        assert!(worst(found.clone(), expected.clone()) < 1e-5, "{what}");
        let found = (found * cotangent.clone()).sum().backward();
        let expected = (expected * cotangent).sum().backward();

        for input in inputs {
            let (found, expected) = (input.grad(&found).unwrap(), input.grad(&expected).unwrap());
            assert!(worst(found, expected) < 1e-5, "{what}");
        }
    }

    #[test]
    fn a_window_by_tiles_is_the_window_at_once() {
        for window in [0, 1, 40, 64, 100, 191, usize::MAX] {
            let tiles = AttentionMask::<Flex>::Window(window).tiles(6, SEQ);
            assert!(tiles.len() > 1, "window {window}");
            let fast = |[q, k, v]: [Tensor<4>; 3]| window_attention(q, k, v, window);
            assert_agrees(fast, |_, i, j| j <= i && i - j <= window, &format!("window {window}"));
        }
    }

    #[test]
    fn chunks_by_tiles_are_the_chunks_at_once() {
        for chunk_len in [1, 8, 64, 192] {
            let tiles = AttentionMask::<Flex>::ChunkEnds(chunk_len).tiles(6, SEQ);
            assert!(tiles.len() > 1 || chunk_len == 192, "chunks of {chunk_len}");
            let fast = |[q, k, v]: [Tensor<4>; 3]| chunk_attention(q, k, v, chunk_len);
            let sees = |_, i: usize, j: usize| {
                i == j || (j / chunk_len < i / chunk_len && j % chunk_len == chunk_len - 1)
            };
            assert_agrees(fast, sees, &format!("chunks of {chunk_len}"));
        }
    }

    /// Draws where documents begin in each of two rows; the first document begins at 0.
    fn starts() -> impl Strategy<Value = Vec<Vec<usize>>> {
        let row = prop::collection::btree_set(1..SEQ, 0..12)
            .prop_map(|starts| std::iter::once(0).chain(starts).collect());
        prop::collection::vec(row, 2)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn packed_windows_by_tiles_are_those_at_once(
            starts in starts(),
            window in prop_oneof![0..SEQ, Just(usize::MAX)],
        ) {
            let ranges = KeyRanges::windows(&starts, SEQ, window);
            let mask = PackedMask::new(ranges, &test_device().unwrap().autodiff());
            let document = |row: usize, t: usize| starts[row].partition_point(|&start| start <= t);
            let sees = |row: usize, i: usize, j: usize| {
                j <= i && i - j <= window && document(row, i) == document(row, j)
            };

            assert_agrees(|[q, k, v]| packed_attention(q, k, v, &mask), sees, "packed windows");
        }

        #[test]
        fn packed_chunks_by_tiles_are_those_at_once(
            starts in starts(),
            chunk_len in prop::sample::select(vec![1, 3, 8, 64, 192]),
        ) {
            let ranges = KeyRanges::chunks(&starts, SEQ, chunk_len);
            let mask = PackedMask::new(ranges, &test_device().unwrap().autodiff());
            // Where the document of a token begins, and where the next one begins.
            let document = |row: usize, t: usize| {
                let number = starts[row].partition_point(|&start| start <= t);
                let end = starts[row].get(number).copied().unwrap_or(SEQ);
                (starts[row][number - 1], end)
            };
            let sees = |row: usize, i: usize, j: usize| {
                let (start, end) = document(row, i);
                let chunk = |t: usize| (t - start) / chunk_len;
                let other = (start..end).contains(&j) && chunk(j) < chunk(i);
                i == j || (other && (j + 1 == end || chunk(j + 1) != chunk(j)))
            };

            assert_agrees(|[q, k, v]| packed_attention(q, k, v, &mask), sees, "packed chunks");
        }
    }
}
