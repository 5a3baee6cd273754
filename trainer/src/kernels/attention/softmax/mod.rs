//! The softmax of a tile's scores and its derivative: from raw products to weights and back.

#[cfg(feature = "cube")]
mod cube;
mod flex;

use burn::backend::tensor::{BoolTensor, FloatTensor};
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::{DType, Shape};

use crate::kernels::slices::{cast, slice};

/// The scores of a tile before they are scaled and masked.
///
/// # Shapes
/// `products`: [batch, heads, queries, scores], in f32; `hidden`: [1, 1, queries, keys], the keys that a
/// query must not see, for the first of the scores.
#[derive(Clone, Debug)]
pub(crate) struct RawScores<B: Backend> {
    pub(crate) products: FloatTensor<B>,
    pub(crate) hidden: Option<BoolTensor<B>>,
    pub(crate) scale: f64,
}

/// The two passes over scores that a backend implements. The forms here are the plain ones, of operations
/// that each read and write all scores.
pub(crate) trait SoftmaxKernels: Backend {
    /// Computes the weights, in the given type, and the logarithm of each row's softmax sum in f32,
    /// [batch, heads, queries, 1].
    fn weights(raw: RawScores<Self>, dtype: DType) -> (FloatTensor<Self>, FloatTensor<Self>) {
        plain_weights::<Self>(raw, dtype)
    }

    /// Computes the weights again, by their logarithms, and the derivative by the products: `weight · scale ·
    /// (by_weight - dot)`, where `dots` has one number for each row. Both have the type of `by_weights`.
    fn slopes(
        raw: RawScores<Self>,
        logs: FloatTensor<Self>,
        by_weights: FloatTensor<Self>,
        dots: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        plain_slopes::<Self>(raw, logs, by_weights, dots)
    }
}

/// Scales the scores and hides those that are not to be seen.
fn scores<B: Backend>(RawScores { products, hidden, scale }: RawScores<B>) -> FloatTensor<B> {
    let shape = products.shape();
    let scores = B::float_mul_scalar(products, scale.into());
    let Some(hidden) = hidden else { return scores };
    let [batch, heads, rows, count]: [usize; 4] = shape.dims();
    let keys = hidden.shape()[3];
    let hidden = B::bool_expand(hidden, Shape::from([batch, heads, rows, keys]));
    let masked = |seen: FloatTensor<B>| B::float_mask_fill(seen, hidden, f32::NEG_INFINITY.into());
    if keys == count {
        return masked(scores);
    }
    let part = |range| slice::<B>(&scores, 3, &range);
    let (seen, own) = (part(0..keys), part(keys..count));
    B::float_cat(vec![masked(seen), own], 3)
}

fn plain_weights<B: Backend>(raw: RawScores<B>, dtype: DType) -> (FloatTensor<B>, FloatTensor<B>) {
    let scores = scores::<B>(raw);
    let highest = B::float_max_dim(scores.clone(), 3);
    let powers = B::float_exp(B::float_sub(scores, highest.clone()));
    let total = B::float_sum_dim(powers.clone(), 3);
    let weights = B::float_div(powers, total.clone());
    (cast::<B>(weights, dtype), B::float_add(highest, B::float_log(total)))
}

fn plain_slopes<B: Backend>(
    raw: RawScores<B>,
    logs: FloatTensor<B>,
    by_weights: FloatTensor<B>,
    dots: FloatTensor<B>,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let (scale, dtype) = (raw.scale, by_weights.dtype());
    let weights = B::float_exp(B::float_sub(scores::<B>(raw), logs));
    let slopes = B::float_sub(cast::<B>(by_weights, DType::F32), dots);
    let by_products = B::float_mul(B::float_mul_scalar(weights.clone(), scale.into()), slopes);
    (cast::<B>(weights, dtype), cast::<B>(by_products, dtype))
}
