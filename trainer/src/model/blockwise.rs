//! Softmax attention by blocks of queries, recomputed in the backward pass: no T×T is ever kept.
//!
//! Longer than 500 lines because the forward pass, its recomputation and the backward pass of one
//! operation read best side by side.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::{BoolTensor, FloatTensor};
use burn::backend::{
    Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension,
    get_or_init_device_settings,
};
use burn::tensor::{DType, FloatDType, Shape, Slice, Tensor};

use super::context::signed;

/// Scores that are in memory at a time, at most: 256 MiB in f32.
const SCORES_AT_A_TIME: usize = 1 << 26;

/// Queries in a block, at least: fewer leave the matrix products too thin.
const FEWEST_QUERIES: usize = 64;

/// Which keys a query sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    /// The keys j with 0 <= i - j <= window.
    Window(usize),
    /// The last key of every earlier chunk of this length, and the query's own.
    ChunkEnds(usize),
}

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
}

#[derive(Debug)]
struct Attend(Sight);

impl<B: Backend> Backward<B, 3> for Attend {
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
    sight: Sight,
) -> FloatTensor<Autodiff<B, C>> {
    let nodes = [inputs[0].node(), inputs[1].node(), inputs[2].node()];
    let [q, k, v] = inputs.map(FloatTensor::<Autodiff<B, C>>::into_primitive);
    let (out, logs) = forward::<B>(&q, &k, &v, sight);
    match Attend(sight).prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish([q, k, v, out.clone(), logs], out),
        OpsKind::UnTracked(prep) => prep.finish(out),
    }
}

/// One block: the queries `rows` and, among the keys that are shared, `columns`.
#[derive(Clone, Copy, Debug)]
struct Block {
    rows: (usize, usize),
    columns: (usize, usize),
}

impl Sight {
    /// Cuts the queries into blocks whose scores fit in memory.
    fn blocks(self, heads: usize, seq: usize) -> Vec<Block> {
        let span = match self {
            Self::Window(window) => seq.min(window.saturating_add(FEWEST_QUERIES)),
            Self::ChunkEnds(chunk_len) => seq / chunk_len,
        };
        let fitting = (SCORES_AT_A_TIME / (heads * span.max(1)).max(1)).max(FEWEST_QUERIES);
        let count = match self {
            Self::Window(window) => fitting.min(window.max(FEWEST_QUERIES)),
            Self::ChunkEnds(chunk_len) => (fitting / chunk_len).max(1) * chunk_len,
        };
        (0..seq)
            .step_by(count)
            .map(|start| {
                let end = (start + count).min(seq);
                let columns = match self {
                    Self::Window(window) => (start.saturating_sub(window), end),
                    Self::ChunkEnds(chunk_len) => (0, end / chunk_len - 1),
                };
                Block { rows: (start, end), columns }
            })
            .collect()
    }

    /// Marks what a block's queries must not see: [1, 1, rows, columns].
    fn hidden<B: Backend>(self, block: Block, device: &B::Device) -> BoolTensor<B> {
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
        let rows = numbers(block.rows.0, block.rows.1, 1, true);
        let bool_dtype = settings.bool_dtype;
        let hidden = match self {
            Self::Window(window) => {
                let columns = numbers(block.columns.0, block.columns.1, 1, false);
                let back = B::int_sub(rows, columns);
                let later = B::int_lower_elem(back.clone(), 0.into(), bool_dtype);
                if window >= block.rows.1 {
                    later
                } else {
                    let far = B::int_greater_elem(back, signed(window).into(), bool_dtype);
                    B::bool_or(later, far)
                }
            }
            Self::ChunkEnds(chunk_len) => {
                // Chunk j ends before token (j + 1) · chunk_len.
                let after = numbers(
                    (block.columns.0 + 1) * chunk_len,
                    (block.columns.1 + 1) * chunk_len,
                    chunk_len,
                    false,
                );
                B::int_lower(rows, after, bool_dtype)
            }
        };
        B::bool_reshape(hidden, Shape::from([1, 1, shape[0], shape[1]]))
    }

    /// Returns the keys that queries share: all of them, or the ends of the chunks.
    fn shared<B: Backend>(self, x: &FloatTensor<B>) -> FloatTensor<B> {
        match self {
            Self::Window(_) => x.clone(),
            Self::ChunkEnds(chunk_len) => {
                let [batch, heads, seq, width] = x.shape().dims();
                let chunks = Shape::from([batch, heads, seq / chunk_len, chunk_len * width]);
                let ends = part::<B>(
                    &B::float_reshape(x.clone(), chunks),
                    3,
                    ((chunk_len - 1) * width, chunk_len * width),
                );
                B::float_reshape(ends, Shape::from([batch, heads, seq / chunk_len, width]))
            }
        }
    }

    /// Adds the derivatives by shared keys to those by all keys.
    fn unshare<B: Backend>(self, own: FloatTensor<B>, shared: FloatTensor<B>) -> FloatTensor<B> {
        match self {
            Self::Window(_) => shared,
            Self::ChunkEnds(chunk_len) => {
                let shape = own.shape();
                let [batch, heads, seq, width] = shape.dims();
                let chunks = Shape::from([batch, heads, seq / chunk_len, chunk_len * width]);
                let own = B::float_reshape(own, chunks);
                let ends = ((chunk_len - 1) * width, chunk_len * width);
                let shared = B::float_add(part::<B>(&own, 3, ends), shared);
                let whole = assign::<B>(own, 3, ends, shared);
                B::float_reshape(whole, shape)
            }
        }
    }

    fn has_own(self) -> bool {
        matches!(self, Self::ChunkEnds(_))
    }
}

/// Computes the output and, for each query, the logarithm of its softmax's sum in f32.
fn forward<B: Backend>(
    q: &FloatTensor<B>,
    k: &FloatTensor<B>,
    v: &FloatTensor<B>,
    sight: Sight,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let [batch, heads, seq, _] = q.shape().dims();
    let (keys, values) = (sight.shared::<B>(k), sight.shared::<B>(v));
    let (mut outs, mut logs) = (Vec::new(), Vec::new());
    for block in sight.blocks(batch * heads, seq) {
        let scores = scores::<B>(q, k, &keys, block, sight);
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
    [q, k, v, out, logs]: &[FloatTensor<B>; 5],
    grad: &FloatTensor<B>,
    sight: Sight,
) -> [FloatTensor<B>; 3] {
    let [batch, heads, seq, width] = q.shape().dims();
    let (device, dtype) = (q.device(), q.dtype());
    let (keys, values) = (sight.shared::<B>(k), sight.shared::<B>(v));
    // Several blocks add to one key, so these sums are kept in f32.
    let empty = || B::float_zeros(keys.shape(), &device, FloatDType::F32);
    let (mut by_keys, mut by_values) = (empty(), empty());
    let (mut by_q, mut by_own_k, mut by_own_v) = (Vec::new(), Vec::new(), Vec::new());
    let scale = (width as f64).powf(-0.5);
    for block in sight.blocks(batch * heads, seq) {
        let count = block.columns.1 - block.columns.0;
        let [q, out, logs, grad] =
            [q, out, logs, grad].map(|tensor| part::<B>(tensor, 2, block.rows));
        let whole = [batch, heads, block.rows.1 - block.rows.0, width];
        debug_assert_eq!(q.shape().dims::<4>(), whole);
        let scores = block_scores::<B>(&q, k, &keys, block, sight);
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
        let others = (count > 0).then(|| {
            let weights = part::<B>(&weights, 3, (0, count));
            let slopes = part::<B>(&by_scores, 3, (0, count));
            let add = |sum: FloatTensor<B>, left: &FloatTensor<B>, right: &FloatTensor<B>| {
                let left = B::float_swap_dims(left.clone(), 2, 3);
                let more = cast::<B>(B::float_matmul(left, right.clone()), DType::F32);
                let more = B::float_add(part::<B>(&sum, 2, block.columns), more);
                assign::<B>(sum, 2, block.columns, more)
            };
            by_values = add(by_values.clone(), &weights, &grad);
            by_keys = add(by_keys.clone(), &slopes, &q);
            B::float_matmul(slopes, block_keys)
        });
        by_q.extend(sum::<B>(others, own));
    }
    let by_q = join::<B>(by_q, 2);
    let [by_k, by_v] = [(by_keys, by_own_k), (by_values, by_own_v)].map(|(shared, own)| {
        let shared = cast::<B>(shared, dtype);
        if own.is_empty() { shared } else { sight.unshare::<B>(join::<B>(own, 2), shared) }
    });
    [by_q, by_k, by_v]
}

/// The scaled scores of a block in f32, those of the queries' own keys as the last column.
fn scores<B: Backend>(
    q: &FloatTensor<B>,
    k: &FloatTensor<B>,
    keys: &FloatTensor<B>,
    block: Block,
    sight: Sight,
) -> FloatTensor<B> {
    block_scores::<B>(&part::<B>(q, 2, block.rows), k, keys, block, sight)
}

fn block_scores<B: Backend>(
    q: &FloatTensor<B>,
    k: &FloatTensor<B>,
    keys: &FloatTensor<B>,
    block: Block,
    sight: Sight,
) -> FloatTensor<B> {
    let [batch, heads, rows, width] = q.shape().dims();
    let count = block.columns.1 - block.columns.0;
    let scale = (width as f64).powf(-0.5);
    let scaled = |x: FloatTensor<B>| B::float_mul_scalar(x, scale.into());
    let others = (count > 0).then(|| {
        let keys = B::float_swap_dims(part::<B>(keys, 2, block.columns), 2, 3);
        let scores = scaled(cast::<B>(B::float_matmul(q.clone(), keys), DType::F32));
        let hidden = sight.hidden::<B>(block, &q.device());
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
fn part<B: Backend>(x: &FloatTensor<B>, dim: usize, range: (usize, usize)) -> FloatTensor<B> {
    if range == (0, x.shape()[dim]) {
        return x.clone();
    }
    B::float_slice(x.clone(), &slices(&x.shape(), dim, range))
}

fn assign<B: Backend>(
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
    use burn::tensor::{Bool, Device, Distribution, TensorData};

    use super::*;

    /// Attention with all scores at once, over the keys that `sees` allows.
    fn at_once([q, k, v]: [Tensor<4>; 3], sees: impl Fn(usize, usize) -> bool) -> Tensor<4> {
        let [batch, heads, seq, width] = q.dims();
        let hidden: Vec<bool> = (0..seq * seq).map(|at| !sees(at / seq, at % seq)).collect();
        let hidden =
            Tensor::<4, Bool>::from_data(TensorData::new(hidden, [1, 1, seq, seq]), &q.device());
        let scores = q.matmul(k.swap_dims(2, 3)) * (width as f64).powf(-0.5);
        let hidden = hidden.expand([batch, heads, seq, seq]);
        softmax(scores.mask_fill(hidden, f32::NEG_INFINITY), 3).matmul(v)
    }

    fn hold(
        fast: impl Fn([Tensor<4>; 3]) -> Tensor<4>,
        sees: impl Fn(usize, usize) -> bool,
        what: &str,
    ) {
        let device = Device::flex().autodiff();
        let draw = || {
            let spread = Distribution::Uniform(-1.0, 1.0);
            Tensor::<4>::random([2, 3, 192, 4], spread, &device).require_grad()
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
            let fast = |[q, k, v]: [Tensor<4>; 3]| window_attention(q, k, v, window);
            hold(fast, |i, j| j <= i && i - j <= window, &format!("window {window}"));
        }
    }

    #[test]
    fn chunks_by_blocks_are_the_chunks_at_once() {
        for chunk_len in [1, 8, 64, 192] {
            let fast = |[q, k, v]: [Tensor<4>; 3]| chunk_attention(q, k, v, chunk_len);
            let sees = |i: usize, j: usize| {
                i == j || (j / chunk_len < i / chunk_len && j % chunk_len == chunk_len - 1)
            };
            hold(fast, sees, &format!("chunks of {chunk_len}"));
        }
    }

    #[test]
    fn long_sequences_are_cut_into_several_blocks() {
        let blocks = Sight::Window(usize::MAX).blocks(64, 4096);
        assert!(blocks.len() > 8);
        assert_eq!(blocks.last().unwrap().rows.1, 4096);

        let blocks = Sight::ChunkEnds(16).blocks(64, 131_072);
        assert!(blocks.len() > 8);
        assert!(blocks.iter().all(|block| block.rows.0 % 16 == 0));
    }
}
