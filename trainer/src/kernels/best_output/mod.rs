//! The best output of each row: that with the largest product, found without computing all products.
//!
//! Greedy decoding needs one number of each row of logits. A table has the weights as bytes, a quarter of their
//! size, and gives a bound for the products of each block of outputs. Exact products are computed for the blocks
//! whose bound is not below the best one found, by the kernel that computes all of them otherwise. So the output
//! is the same, for equal products too.

mod flex;
mod products;
mod table;

use std::sync::Arc;

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, Dispatch, backend_extension};
use burn::tensor::{DType, Device, Int, Tensor};
use ratdata_schemas::TokenId;

pub(crate) use table::QuantizedRows;

use crate::convert::narrow;
use products::Level;

/// Stands for a row that has no best output, because a product is not finite.
const NOT_FINITE: i64 = -1;

/// How many weights are read at a time to make a table.
const PIECE: usize = 1 << 22;

/// The backends with a kernel of their own: the operation as the dispatcher sees it.
#[backend_extension(Flex)]
pub(crate) trait BestOutputBackend: Backend {
    /// Runs [`best_output`] on a backend's own tensors.
    fn best_output(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        table: Arc<QuantizedRows>,
    ) -> IntTensor<Self>;
}

/// Makes the table of an output layer; none on another device than a CPU with AVX2, for another type than
/// f32, and for weights that are not finite.
///
/// # Shapes
/// `weight`: [out, in].
pub(crate) fn quantized_rows(weight: &Tensor<2>) -> Option<Arc<QuantizedRows>> {
    let is_own = weight.device() == Device::flex() && weight.dtype() == DType::F32;
    if !is_own || Level::of_machine() == Level::Plain {
        return None;
    }
    let [outputs, inner] = weight.dims();
    let rows = (PIECE / inner).max(1);
    let pieces = (0..outputs).step_by(rows).map(|first| {
        let piece = weight.clone().narrow(0, first, rows.min(outputs - first)).into_data();
        piece.iter::<f32>().collect()
    });
    QuantizedRows::new(inner, pieces).map(Arc::new)
}

/// Returns the output with the largest product of each row, and of several the first; none where a
/// product is not finite.
///
/// # Shapes
/// `x`: [rows, in], `weight`: [out, in], of which the table is; output: rows.
pub(crate) fn best_output(
    x: Tensor<2>,
    weight: Tensor<2>,
    table: &Arc<QuantizedRows>,
) -> Vec<Option<TokenId>> {
    let [x, weight] = [x, weight].map(Tensor::into_dispatch);
    let best = <Dispatch as BestOutputBackend>::best_output(x, weight, Arc::clone(table));
    let best = Tensor::<1, Int>::from_dispatch(best).into_data();
    best.iter::<i64>().map(|best| (best != NOT_FINITE).then(|| narrow(best))).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ratdata_schemas::draw::SplitMix64;

    use super::flex::best_outputs;
    use super::*;
    use crate::kernels::row_product::products;

    /// Numbers around zero, of which a few are much larger than the others.
    fn draw(random: &mut SplitMix64, count: usize, outliers: f64) -> Vec<f32> {
        let mut number = || {
            let size = if random.uniform() < outliers { 50.0 } else { 1.0 };
            #[expect(clippy::cast_possible_truncation, reason = "any number will do")]
            let number = ((random.uniform() - 0.5) * size) as f32;
            number
        };
        (0..count).map(|_| number()).collect()
    }

    /// The definition: all products, and the first of the largest.
    fn plain(x: &[f32], weight: &[f32], inner: usize) -> Vec<i64> {
        let outputs = weight.len() / inner;
        let mut logits = vec![0.0; x.len() / inner * outputs];
        products(x, weight, inner, &mut logits, outputs);
        let best = |logits: &[f32]| {
            if logits.iter().any(|logit| !logit.is_finite()) {
                return NOT_FINITE;
            }
            let first =
                (1..outputs).fold(0, |best, at| if logits[at] > logits[best] { at } else { best });
            narrow(first)
        };
        logits.chunks_exact(outputs).map(best).collect()
    }

    fn agree(x: &[f32], weight: &[f32], inner: usize) {
        let expected = plain(x, weight, inner);
        // Pieces that cut blocks of outputs.
        let pieces = weight.chunks(7 * inner).map(<[f32]>::to_vec);
        let table = QuantizedRows::new(inner, pieces).unwrap();
        for level in Level::available() {
            assert_eq!(best_outputs(x, weight, &table, level), expected, "{level:?}");
        }
    }

    proptest! {
        #[test]
        fn the_best_output_is_that_of_all_products(
            seed in any::<u64>(),
            rows in 1..36_usize,
            inner in 1..70_usize,
            outputs in 1..700_usize,
            outliers in prop::sample::select(vec![0.0, 0.002, 0.1]),
            power in -30..30_i32,
            equal in any::<bool>(),
        ) {
            let mut random = SplitMix64::new(seed);
            let x = draw(&mut random, rows * inner, outliers);
            let mut weight = draw(&mut random, outputs * inner, outliers);
            for weight in &mut weight {
                *weight *= 2.0_f32.powi(power);
            }
            if equal {
                // The second half of the outputs is the first one again.
                let half = outputs / 2 * inner;
                weight.copy_within(..half, half);
            }
            agree(&x, &weight, inner);
        }
    }

    #[test]
    fn rows_that_a_table_does_not_help_are_computed_in_full() {
        let mut random = SplitMix64::new(3);
        let (inner, outputs) = (24, 900);
        let mut x = draw(&mut random, 20 * inner, 0.0);
        // All zeros, no number, an infinity, and products above all numbers.
        x[..inner].fill(0.0);
        x[inner + 3] = f32::NAN;
        x[2 * inner + 3] = f32::INFINITY;
        x[3 * inner..4 * inner].fill(1e38);
        let weight = draw(&mut random, outputs * inner, 0.0);
        agree(&x, &weight, inner);
        // All outputs are equal, and so are their bounds.
        agree(&x, &vec![0.5; outputs * inner], inner);
        // Numbers without a normal product.
        let tiny: Vec<f32> = weight.iter().map(|weight| weight * 1e-36).collect();
        agree(&tiny[..5 * inner], &tiny, inner);
    }

    #[test]
    fn weights_that_are_not_finite_have_no_table() {
        for wrong in [f32::NAN, f32::INFINITY, 1e-44] {
            let mut weight = vec![0.0; 40];
            weight[17] = wrong;
            assert!(QuantizedRows::new(4, std::iter::once(weight)).is_none(), "{wrong}");
        }
    }
}
