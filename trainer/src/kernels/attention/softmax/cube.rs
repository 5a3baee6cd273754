//! The softmax on a GPU.

use burn::backend::Cube;
use burn::backend::tensor::FloatTensor;
use burn::tensor::{DType, Shape};
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use ratdata_gpu::softmax::{self, Scores};

use super::{RawScores, SoftmaxKernels, plain_slopes, plain_weights};
use crate::convert::rounded;
use crate::kernels::cube::{empty, operand};

impl SoftmaxKernels for Cube {
    fn weights(raw: RawScores<Self>, dtype: DType) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let Some(hidden) = raw.hidden.clone() else { return plain_weights::<Self>(raw, dtype) };
        let products = into_contiguous(raw.products);
        let [batch, heads, queries, count] = products.meta.shape().dims();
        let weights = empty(&products, Shape::from([batch, heads, queries, count]), dtype);
        let logs = empty(&products, Shape::from([batch, heads, queries, 1]), DType::F32);
        let client = products.client.clone();
        let scores = scores(products, hidden, raw.scale);
        softmax::weights(&client, scores, operand(weights.clone()), operand(logs.clone()));
        (weights, logs)
    }

    fn slopes(
        raw: RawScores<Self>,
        logs: FloatTensor<Self>,
        by_weights: FloatTensor<Self>,
        dots: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let Some(hidden) = raw.hidden.clone() else {
            return plain_slopes::<Self>(raw, logs, by_weights, dots);
        };
        let [products, logs, by_weights, dots] =
            [raw.products, logs, by_weights, dots].map(into_contiguous);
        let [weights, by_products] =
            [(); 2].map(|()| empty(&products, by_weights.meta.shape().clone(), by_weights.dtype));
        let client = products.client.clone();
        let known = softmax::Known {
            logs: operand(logs),
            by_weights: operand(by_weights),
            dots: operand(dots),
        };
        softmax::slopes(
            &client,
            scores(products, hidden, raw.scale),
            known,
            operand(weights.clone()),
            operand(by_products.clone()),
        );
        (weights, by_products)
    }
}

fn scores(products: CubeTensor, hidden: CubeTensor, scale: f64) -> Scores {
    Scores {
        products: operand(products),
        hidden: operand(into_contiguous(hidden)),
        scale: rounded(scale),
    }
}
