//! The embedding's backward pass on the CPU: threads share the rows of the embedding, and each reads all ids.

use burn::backend::Flex;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::tensor::DType;
use rayon::prelude::*;

use super::EmbeddingKernels;
use crate::kernels::flex_tensors::{floats, tensor};
use crate::kernels::slices::cast;

/// How many rows a thread takes at a time: few enough to share them out, and so many that reading the ids is little
/// next to setting the rows to zero.
const ROWS: usize = 1 << 12;

impl EmbeddingKernels for Flex {
    fn by_embedding(
        ids: IntTensor<Self>,
        grad: FloatTensor<Self>,
        rows: usize,
    ) -> FloatTensor<Self> {
        let grad = cast::<Self>(grad, DType::F32).to_contiguous();
        let width = grad.layout().shape()[1];
        let ids: Vec<i64> = ids.to_contiguous().into_data().iter::<i64>().collect();
        let mut sums = vec![0.0; rows * width];
        if width > 0 {
            sums.par_chunks_mut(ROWS * width).enumerate().for_each(|(part, sums)| {
                let tokens = ids.iter().zip(floats(&grad).chunks_exact(width));
                for (id, grad) in tokens {
                    let row = usize::try_from(*id).ok().and_then(|id| id.checked_sub(part * ROWS));
                    let own = row.and_then(|row| sums.chunks_exact_mut(width).nth(row));
                    for (sum, more) in own.unwrap_or_default().iter_mut().zip(grad) {
                        *sum += more;
                    }
                }
            });
        }
        tensor(sums, &[rows, width])
    }
}
