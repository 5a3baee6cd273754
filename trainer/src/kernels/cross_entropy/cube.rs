//! The softmax and the loss of a block's logits on a GPU.

use burn::backend::Cube;
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::tensor::{DType, Shape};
use burn_cubecl::kernel::into_contiguous;
use ratdata_gpu::cross_entropy;
use ratdata_schemas::IGNORE_INDEX;

use super::LossKernels;
use super::plain::LogitsAtATime;
use crate::kernels::cube::{empty, operand, owned};

impl LossKernels for Cube {
    const LOGITS_AT_A_TIME: LogitsAtATime = LogitsAtATime::GPU;

    fn softmax_loss(
        logits: FloatTensor<Self>,
        labels: IntTensor<Self>,
        slopes: bool,
    ) -> (FloatTensor<Self>, Option<FloatTensor<Self>>) {
        let (logits, labels) = (owned(logits), into_contiguous(labels));
        let [tokens, _] = logits.meta.shape().dims();
        let losses = empty(&logits, Shape::from([tokens]), DType::F32);
        let client = logits.client.clone();
        cross_entropy::loss(
            &client,
            operand(labels),
            operand(logits.clone()),
            operand(losses.clone()),
            IGNORE_INDEX,
            slopes,
        );
        let sum = Self::float_reshape(Self::float_sum(losses), Shape::from([1]));
        (sum, slopes.then_some(logits))
    }
}
