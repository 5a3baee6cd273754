//! Softmax attention by blocks of queries, recomputed in the backward pass: no T×T is ever kept.
//!
//! Longer than 500 lines because one walk over the blocks serves both passes, and the tests that hold the
//! passes to their plain twins need its private parts.

use std::sync::Arc;

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::{DType, Device, FloatDType, Int, Shape, Slice, Tensor};

use super::sight::{Block, Packed, Sight};
use super::spans::Spans;

/// The backends that attend by blocks: the operation as the dispatcher sees it.
#[backend_extension(Autodiff, Flex, Cube: cfg(feature = "cuda"))]
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
        spans: Arc<Spans>,
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

/// Attends to the last key of every earlier chunk and to the query's own.
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

/// What the queries of packed rows see, on the device and on the host.
#[derive(Clone, Debug)]
pub(crate) struct PackedSight {
    /// The first key and the one after the last of each query: [batch, 2, seq].
    bounds: Tensor<3, Int>,
    /// The ends of chunks, if those are the keys: [batch, chunks].
    ends: Tensor<2, Int>,
    spans: Arc<Spans>,
}

impl PackedSight {
    pub(crate) fn new(spans: Spans, device: &Device) -> Self {
        let (bounds, ends) = spans.to_device(device);
        Self { bounds, ends, spans: Arc::new(spans) }
    }
}

/// Attends to the keys that `sight` shows, and to the query's own where those are ends of chunks.
///
/// Blocks of keys that lie wholly in other documents are not computed.
///
/// # Shapes
/// `q`, `k`, `v` and the output: [batch, heads, seq, `head_dim`].
pub(crate) fn packed_attention(
    q: Tensor<4>,
    k: Tensor<4>,
    v: Tensor<4>,
    sight: &PackedSight,
) -> Tensor<4> {
    let [q, k, v] = [q, k, v].map(Tensor::into_dispatch);
    Tensor::from_dispatch(<Dispatch as AttentionBackend>::packed_attention(
        q,
        k,
        v,
        sight.bounds.clone().into_dispatch(),
        sight.ends.clone().into_dispatch(),
        Arc::clone(&sight.spans),
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
                forward::<Self>(&q, &k, &v, Sight::Window(window)).0
            }

            fn chunk_attention(
                q: FloatTensor<Self>,
                k: FloatTensor<Self>,
                v: FloatTensor<Self>,
                chunk_len: usize,
            ) -> FloatTensor<Self> {
                forward::<Self>(&q, &k, &v, Sight::ChunkEnds(chunk_len)).0
            }

            fn packed_attention(
                q: FloatTensor<Self>,
                k: FloatTensor<Self>,
                v: FloatTensor<Self>,
                bounds: IntTensor<Self>,
                ends: IntTensor<Self>,
                spans: Arc<Spans>,
            ) -> FloatTensor<Self> {
                let packed = Packed { bounds, ends, spans, row: 0 };
                forward::<Self>(&q, &k, &v, Sight::Packed(packed)).0
            }
        }
    };
}

attend_on!(Flex);
#[cfg(feature = "cuda")]
attend_on!(burn::backend::Cube);

impl<B: Backend, C: CheckpointStrategy> AttentionBackend for Autodiff<B, C> {
    fn window_attention(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        window: usize,
    ) -> FloatTensor<Self> {
        attend::<B, C>([q, k, v], Sight::Window(window))
    }

    fn chunk_attention(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        chunk_len: usize,
    ) -> FloatTensor<Self> {
        attend::<B, C>([q, k, v], Sight::ChunkEnds(chunk_len))
    }

    fn packed_attention(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        bounds: IntTensor<Self>,
        ends: IntTensor<Self>,
        spans: Arc<Spans>,
    ) -> FloatTensor<Self> {
        attend::<B, C>([q, k, v], Sight::Packed(Packed { bounds, ends, spans, row: 0 }))
    }
}

#[derive(Debug)]
struct Attend<B: Backend>(Sight<B>);

impl<B: Backend> Backward<B, 3> for Attend<B> {
    /// Queries, keys, values, output and the logarithms of the softmax's sums.
    type State = [FloatTensor<B>; 5];

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let grad = grads.consume::<B>(&ops.node);
        let found = backward::<B>(&ops.state, &grad, self.0);
        for (node, value) in ops.parents.into_iter().zip(found) {
            if let Some(node) = node {
                grads.register::<B>(node.id, value);
            }
        }
    }
}

fn attend<B: Backend, C: CheckpointStrategy>(
    inputs: [FloatTensor<Autodiff<B, C>>; 3],
    sight: Sight<B>,
) -> FloatTensor<Autodiff<B, C>> {
    let nodes = [inputs[0].node(), inputs[1].node(), inputs[2].node()];
    let [q, k, v] = inputs.map(FloatTensor::<Autodiff<B, C>>::into_primitive);
    let (out, logs) = forward::<B>(&q, &k, &v, sight.clone());
    match Attend(sight).prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish([q, k, v, out.clone(), logs], out),
        OpsKind::UnTracked(prep) => prep.finish(out),
    }
}

/// Computes the output and, for each query, the logarithm of its softmax's sum in f32.
fn forward<B: Backend>(
    q: &FloatTensor<B>,
    k: &FloatTensor<B>,
    v: &FloatTensor<B>,
    sight: Sight<B>,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let items = sight.items(q.shape()[0]).into_iter().map(|(rows, sight)| {
        let [q, k, v] = [q, k, v].map(|tensor| part::<B>(tensor, 0, rows));
        forward_item::<B>(&q, &k, &v, &sight)
    });
    let (outs, logs) = items.unzip();
    (join::<B>(outs, 0), join::<B>(logs, 0))
}

fn forward_item<B: Backend>(
    q: &FloatTensor<B>,
    k: &FloatTensor<B>,
    v: &FloatTensor<B>,
    sight: &Sight<B>,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let [batch, heads, seq, _] = q.shape().dims();
    let (keys, values) = (sight.shared(k), sight.shared(v));
    let (mut outs, mut logs) = (Vec::new(), Vec::new());
    for block in sight.blocks(batch * heads, seq) {
        let scores = scores::<B>(&part::<B>(q, 2, block.rows), k, &keys, block, sight);
        let highest = B::float_max_dim(scores.clone(), 3);
        let powers = B::float_exp(B::float_sub(scores, highest.clone()));
        let total = B::float_sum_dim(powers.clone(), 3);
        let weights = cast::<B>(B::float_div(powers, total.clone()), q.dtype());
        logs.push(B::float_add(highest, B::float_log(total)));

        let count = block.columns.1 - block.columns.0;
        let own = sight.has_own().then(|| {
            let weight = part::<B>(&weights, 3, (count, count + 1));
            B::float_mul(weight, part::<B>(v, 2, block.rows))
        });
        let others = (count > 0).then(|| {
            let weights = part::<B>(&weights, 3, (0, count));
            B::float_matmul(weights, part::<B>(&values, 2, block.columns))
        });
        outs.extend(sum::<B>(others, own));
    }
    (join::<B>(outs, 2), join::<B>(logs, 2))
}

/// Computes the derivatives by queries, keys and values.
fn backward<B: Backend>(
    state: &[FloatTensor<B>; 5],
    grad: &FloatTensor<B>,
    sight: Sight<B>,
) -> [FloatTensor<B>; 3] {
    let mut found = [Vec::new(), Vec::new(), Vec::new()];
    for (rows, sight) in sight.items(grad.shape()[0]) {
        let state = state.each_ref().map(|tensor| part::<B>(tensor, 0, rows));
        let item = backward_item::<B>(&state, &part::<B>(grad, 0, rows), &sight);
        for (all, item) in found.iter_mut().zip(item) {
            all.push(item);
        }
    }
    found.map(|parts| join::<B>(parts, 0))
}

fn backward_item<B: Backend>(
    [q, k, v, out, logs]: &[FloatTensor<B>; 5],
    grad: &FloatTensor<B>,
    sight: &Sight<B>,
) -> [FloatTensor<B>; 3] {
    let [batch, heads, seq, width] = q.shape().dims();
    let (device, dtype) = (q.device(), q.dtype());
    let (keys, values) = (sight.shared(k), sight.shared(v));
    // Several blocks add to one key, so these sums are kept in f32.
    let empty = || B::float_zeros(keys.shape(), &device, FloatDType::F32);
    let (mut by_keys, mut by_values) = (empty(), empty());
    let (mut by_q, mut by_own_k, mut by_own_v) = (Vec::new(), Vec::new(), Vec::new());
    let scale = (width as f64).powf(-0.5);
    for block in sight.blocks(batch * heads, seq) {
        let count = block.columns.1 - block.columns.0;
        let [q, out, logs, grad] =
            [q, out, logs, grad].map(|tensor| part::<B>(tensor, 2, block.rows));
        let scores = scores::<B>(&q, k, &keys, block, sight);
        let weights = B::float_exp(B::float_sub(scores, logs));

        let dot = |a: &FloatTensor<B>, b: &FloatTensor<B>| {
            let product = B::float_mul(a.clone(), b.clone());
            B::float_sum_dim(cast::<B>(product, DType::F32), 3)
        };
        let (block_keys, block_values) =
            (part::<B>(&keys, 2, block.columns), part::<B>(&values, 2, block.columns));
        let own = sight.has_own().then(|| dot(&grad, &part::<B>(v, 2, block.rows)));
        let others = (count > 0).then(|| {
            let values = B::float_swap_dims(block_values, 2, 3);
            cast::<B>(B::float_matmul(grad.clone(), values), DType::F32)
        });
        let by_weights = join::<B>(others.into_iter().chain(own).collect(), 3);
        let slopes = B::float_sub(by_weights, dot(&grad, &out));
        let by_scores = B::float_mul(B::float_mul_scalar(weights.clone(), scale.into()), slopes);
        let (weights, by_scores) = (cast::<B>(weights, dtype), cast::<B>(by_scores, dtype));

        let own = sight.has_own().then(|| {
            let weight = part::<B>(&weights, 3, (count, count + 1));
            let slope = part::<B>(&by_scores, 3, (count, count + 1));
            by_own_v.push(B::float_mul(weight, grad.clone()));
            by_own_k.push(B::float_mul(slope.clone(), q.clone()));
            B::float_mul(slope, part::<B>(k, 2, block.rows))
        });
        let mut others = None;
        if count > 0 {
            let weights = part::<B>(&weights, 3, (0, count));
            let slopes = part::<B>(&by_scores, 3, (0, count));
            by_values = add::<B>(by_values, block.columns, &weights, grad);
            by_keys = add::<B>(by_keys, block.columns, &slopes, q);
            others = Some(B::float_matmul(slopes, block_keys));
        }
        by_q.extend(sum::<B>(others, own));
    }
    let by_q = join::<B>(by_q, 2);
    let [by_k, by_v] = [(by_keys, by_own_k), (by_values, by_own_v)].map(|(shared, own)| {
        let shared = cast::<B>(shared, dtype);
        if own.is_empty() { shared } else { sight.unshare(join::<B>(own, 2), shared) }
    });
    [by_q, by_k, by_v]
}

/// Adds `left`ᵀ · `right` to some columns of a sum, which is given up and so changed in place.
fn add<B: Backend>(
    sum: FloatTensor<B>,
    columns: (usize, usize),
    left: &FloatTensor<B>,
    right: FloatTensor<B>,
) -> FloatTensor<B> {
    let left = B::float_swap_dims(left.clone(), 2, 3);
    let more = cast::<B>(B::float_matmul(left, right), DType::F32);
    let more = B::float_add(part::<B>(&sum, 2, columns), more);
    assign::<B>(sum, 2, columns, more)
}

/// The scaled scores of a block in f32, those of the queries' own keys as the last column.
fn scores<B: Backend>(
    q: &FloatTensor<B>,
    k: &FloatTensor<B>,
    keys: &FloatTensor<B>,
    block: Block,
    sight: &Sight<B>,
) -> FloatTensor<B> {
    let [batch, heads, rows, width] = q.shape().dims();
    let count = block.columns.1 - block.columns.0;
    let scale = (width as f64).powf(-0.5);
    let scaled = |x: FloatTensor<B>| B::float_mul_scalar(x, scale.into());
    let others = (count > 0).then(|| {
        let keys = B::float_swap_dims(part::<B>(keys, 2, block.columns), 2, 3);
        let scores = scaled(cast::<B>(B::float_matmul(q.clone(), keys), DType::F32));
        let hidden = sight.hidden(block, &q.device());
        let hidden = B::bool_expand(hidden, Shape::from([batch, heads, rows, count]));
        B::float_mask_fill(scores, hidden, f32::NEG_INFINITY.into())
    });
    let own = sight.has_own().then(|| {
        let product = B::float_mul(q.clone(), part::<B>(k, 2, block.rows));
        scaled(B::float_sum_dim(cast::<B>(product, DType::F32), 3))
    });
    join::<B>(others.into_iter().chain(own).collect(), 3)
}

/// Cuts `range` out of one of four dimensions.
pub(super) fn part<B: Backend>(
    x: &FloatTensor<B>,
    dim: usize,
    range: (usize, usize),
) -> FloatTensor<B> {
    if range == (0, x.shape()[dim]) {
        return x.clone();
    }
    B::float_slice(x.clone(), &slices(&x.shape(), dim, range))
}

pub(super) fn assign<B: Backend>(
    x: FloatTensor<B>,
    dim: usize,
    range: (usize, usize),
    value: FloatTensor<B>,
) -> FloatTensor<B> {
    let slices = slices(&x.shape(), dim, range);
    B::float_slice_assign(x, &slices, value)
}

fn slices(shape: &Shape, dim: usize, range: (usize, usize)) -> Vec<Slice> {
    let whole = |(at, &length): (usize, &usize)| {
        if at == dim { Slice::from(range.0..range.1) } else { Slice::from(0..length) }
    };
    shape.iter().enumerate().map(whole).collect()
}

fn join<B: Backend>(mut parts: Vec<FloatTensor<B>>, dim: usize) -> FloatTensor<B> {
    if parts.len() == 1 { parts.remove(0) } else { B::float_cat(parts, dim) }
}

fn sum<B: Backend>(a: Option<FloatTensor<B>>, b: Option<FloatTensor<B>>) -> Option<FloatTensor<B>> {
    match (a, b) {
        (Some(a), Some(b)) => Some(B::float_add(a, b)),
        (one, other) => one.or(other),
    }
}

fn cast<B: Backend>(x: FloatTensor<B>, dtype: DType) -> FloatTensor<B> {
    if x.dtype() == dtype { x } else { B::float_cast(x, FloatDType::from(dtype)) }
}

#[cfg(test)]
mod tests {
    use burn::tensor::activation::softmax;
    use burn::tensor::{Bool, Distribution, TensorData};
    use proptest::prelude::*;

    use super::*;

    /// Attention with all scores at once, over the keys that `sees` allows in each row.
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

    fn hold(
        fast: impl Fn([Tensor<4>; 3]) -> Tensor<4>,
        sees: impl Fn(usize, usize, usize) -> bool,
        what: &str,
    ) {
        let device = Device::flex().autodiff();
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
    fn a_window_by_blocks_is_the_window_at_once() {
        for window in [0, 1, 40, 64, 100, 191, usize::MAX] {
            let blocks = Sight::<Flex>::Window(window).blocks(6, SEQ);
            assert!(blocks.len() > 1, "window {window}");
            let fast = |[q, k, v]: [Tensor<4>; 3]| window_attention(q, k, v, window);
            hold(fast, |_, i, j| j <= i && i - j <= window, &format!("window {window}"));
        }
    }

    #[test]
    fn chunks_by_blocks_are_the_chunks_at_once() {
        for chunk_len in [1, 8, 64, 192] {
            let blocks = Sight::<Flex>::ChunkEnds(chunk_len).blocks(6, SEQ);
            assert!(blocks.len() > 1 || chunk_len == 192, "chunks of {chunk_len}");
            let fast = |[q, k, v]: [Tensor<4>; 3]| chunk_attention(q, k, v, chunk_len);
            let sees = |_, i: usize, j: usize| {
                i == j || (j / chunk_len < i / chunk_len && j % chunk_len == chunk_len - 1)
            };
            hold(fast, sees, &format!("chunks of {chunk_len}"));
        }
    }

    /// Where documents begin in each of two rows: the first of them at 0.
    fn starts() -> impl Strategy<Value = Vec<Vec<usize>>> {
        let row = prop::collection::btree_set(1..SEQ, 0..12)
            .prop_map(|starts| std::iter::once(0).chain(starts).collect());
        prop::collection::vec(row, 2)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn packed_windows_by_blocks_are_those_at_once(
            starts in starts(),
            window in prop_oneof![0..SEQ, Just(usize::MAX)],
        ) {
            let spans = Spans::windows(&starts, SEQ, window);
            let sight = PackedSight::new(spans, &Device::flex().autodiff());
            let document = |row: usize, t: usize| starts[row].partition_point(|&start| start <= t);
            let sees = |row: usize, i: usize, j: usize| {
                j <= i && i - j <= window && document(row, i) == document(row, j)
            };

            hold(|[q, k, v]| packed_attention(q, k, v, &sight), sees, "packed windows");
        }

        #[test]
        fn packed_chunks_by_blocks_are_those_at_once(
            starts in starts(),
            chunk_len in prop::sample::select(vec![1, 3, 8, 64, 192]),
        ) {
            let spans = Spans::chunks(&starts, SEQ, chunk_len);
            let sight = PackedSight::new(spans, &Device::flex().autodiff());
            // The document of a token, where it begins, and where the next one does.
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

            hold(|[q, k, v]| packed_attention(q, k, v, &sight), sees, "packed chunks");
        }
    }
}
