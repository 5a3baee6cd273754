//! The softmax on the CPU: all passes over a row of scores while it is in the cache, in place.
#![expect(
    clippy::inline_always,
    reason = "a loop has the instructions of the function that it is in"
)]

use burn::backend::Flex;
use burn::backend::tensor::{BoolTensor, FloatTensor};
use burn::tensor::DType;
use rayon::prelude::*;

use super::{RawScores, SoftmaxKernels, plain_slopes, plain_weights};
use crate::convert::rounded;
use crate::kernels::flex_tensors::{are_f32, changed, floats, owned, tensor};
use crate::kernels::vector_level::{Vectorized, exp_of_negative, vectorized};

/// How many sums and maxima of a row are kept apart, so that they can be vectors.
const LANES: usize = 16;

impl SoftmaxKernels for Flex {
    fn weights(raw: RawScores<Self>, dtype: DType) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let [batch, heads, queries, count] = shape(&raw.products);
        let is_f32 = are_f32([&raw.products]) && dtype == DType::F32;
        if !is_f32 || count == 0 || queries == 0 {
            return plain_weights::<Self>(raw, dtype);
        }
        let scale = rounded(raw.scale);
        let hidden = raw.hidden.as_ref().map(marks);
        let mut scores = owned(raw.products);
        let mut logs = vec![0.0; batch * heads * queries];
        let parts = changed(&mut scores).par_chunks_mut(queries * count);
        parts.zip(logs.par_chunks_mut(queries)).for_each(|(scores, logs)| {
            let hidden = hidden.as_deref();
            vectorized(Weights { scores, logs, hidden, scale });
        });
        (scores, tensor(logs, &[batch, heads, queries, 1]))
    }

    fn slopes(
        raw: RawScores<Self>,
        logs: FloatTensor<Self>,
        by_weights: FloatTensor<Self>,
        dots: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let [_, _, queries, count] = shape(&raw.products);
        if !are_f32([&raw.products, &logs, &by_weights, &dots]) || count == 0 || queries == 0 {
            return plain_slopes::<Self>(raw, logs, by_weights, dots);
        }
        let scale = rounded(raw.scale);
        let hidden = raw.hidden.as_ref().map(marks);
        let [mut scores, mut by_weights] = [raw.products, by_weights].map(owned);
        let [logs, dots] = [logs, dots].map(|tensor| tensor.to_contiguous());
        let parts = changed(&mut scores).par_chunks_mut(queries * count);
        let parts = parts.zip(changed(&mut by_weights).par_chunks_mut(queries * count));
        let parts = parts.zip(floats(&logs).par_chunks(queries));
        parts.zip(floats(&dots).par_chunks(queries)).for_each(
            |(((scores, slopes), logs), dots)| {
                let hidden = hidden.as_deref();
                vectorized(HeadSlopes { scores, slopes, logs, dots, hidden, scale });
            },
        );
        (scores, by_weights)
    }
}

fn shape(tensor: &FloatTensor<Flex>) -> [usize; 4] {
    [0, 1, 2, 3].map(|dim| tensor.layout().shape()[dim])
}

/// Returns a number to add to each score: 0, or minus infinity where it is hidden.
fn marks(hidden: &BoolTensor<Flex>) -> Vec<f32> {
    let hidden = hidden.to_contiguous().into_data();
    hidden.iter::<bool>().map(|hidden| if hidden { f32::NEG_INFINITY } else { 0.0 }).collect()
}

/// Computes the exponential, which is exactly 0 for what is hidden: products with numbers next to zero are
/// slow.
#[inline(always)]
fn power(x: f32) -> f32 {
    if x < -87.0 { 0.0 } else { exp_of_negative(x) }
}

/// Scales a row, and hides what it must not see.
#[inline(always)]
fn mask(row: &mut [f32], hidden: Option<&[f32]>, scale: f32) {
    for score in &mut *row {
        *score *= scale;
    }
    for (score, mark) in row.iter_mut().zip(hidden.into_iter().flatten()) {
        *score += mark;
    }
}

/// Returns the row of the marks that belongs to a query.
#[inline(always)]
fn of_query(hidden: Option<&[f32]>, query: usize, queries: usize) -> Option<&[f32]> {
    hidden.map(|hidden| {
        let keys = hidden.len() / queries;
        &hidden[query * keys..(query + 1) * keys]
    })
}

struct Weights<'a> {
    /// The scores of one head: [queries, scores].
    scores: &'a mut [f32],
    logs: &'a mut [f32],
    hidden: Option<&'a [f32]>,
    scale: f32,
}

impl Vectorized for Weights<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const FUSED: bool>(self) {
        let Self { scores, logs, hidden, scale } = self;
        let (queries, count) = (logs.len(), scores.len() / logs.len());
        for (query, (row, log)) in scores.chunks_exact_mut(count).zip(logs).enumerate() {
            mask(row, of_query(hidden, query, queries), scale);
            let highest = highest(row);
            for score in &mut *row {
                *score = power(*score - highest);
            }
            let total = total(row);
            let factor = 1.0 / total;
            for weight in row {
                *weight *= factor;
            }
            *log = highest + total.ln();
        }
    }
}

#[inline(always)]
fn highest(row: &[f32]) -> f32 {
    let (lanes, rest) = row.as_chunks::<LANES>();
    let mut highest = [f32::NEG_INFINITY; LANES];
    for scores in lanes {
        for (highest, score) in highest.iter_mut().zip(scores) {
            *highest = if *score > *highest { *score } else { *highest };
        }
    }
    highest.iter().chain(rest).copied().fold(f32::NEG_INFINITY, f32::max)
}

#[inline(always)]
fn total(row: &[f32]) -> f32 {
    let (lanes, rest) = row.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for powers in lanes {
        for (sum, power) in sums.iter_mut().zip(powers) {
            *sum += power;
        }
    }
    sums.iter().sum::<f32>() + rest.iter().sum::<f32>()
}

struct HeadSlopes<'a> {
    /// The scores of one head: [queries, scores]. In the end they are the weights.
    scores: &'a mut [f32],
    /// The derivatives by the weights. In the end they are those by the products.
    slopes: &'a mut [f32],
    logs: &'a [f32],
    dots: &'a [f32],
    hidden: Option<&'a [f32]>,
    scale: f32,
}

impl Vectorized for HeadSlopes<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const FUSED: bool>(self) {
        let Self { scores, slopes, logs, dots, hidden, scale } = self;
        let (queries, count) = (logs.len(), scores.len() / logs.len());
        let rows = scores.chunks_exact_mut(count).zip(slopes.chunks_exact_mut(count));
        for (query, (row, slopes)) in rows.enumerate() {
            mask(row, of_query(hidden, query, queries), scale);
            let (log, dot) = (logs[query], dots[query]);
            for (score, slope) in row.iter_mut().zip(slopes) {
                *score = power(*score - log);
                *slope = *score * scale * (*slope - dot);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Bool, Device, Distribution, Tensor};

    use super::*;

    fn values(tensor: FloatTensor<Flex>) -> Vec<f32> {
        Tensor::<4>::from_primitive::<Flex>(tensor).into_data().try_to_vec().unwrap()
    }

    #[test]
    fn the_loop_over_rows_is_the_plain_form() {
        let device = Device::flex();
        for (queries, keys, own) in [(1, 1, 0), (5, 7, 1), (33, 40, 0), (20, 3, 1), (4, 0, 1)] {
            let draw = |count: usize| {
                let spread = Distribution::Uniform(-3.0, 3.0);
                let drawn = Tensor::<4>::random([2, 3, queries, count], spread, &device);
                drawn.try_into_primitive::<Flex>().unwrap()
            };
            let seen =
                Tensor::<4>::random([1, 1, queries, keys.max(1)], Distribution::Default, &device);
            // Each query sees its first key.
            let hidden: Tensor<4, Bool> = seen.clone().greater_elem(0.5);
            let first = Tensor::<4>::zeros([1, 1, queries, 1], &device).greater_elem(0.5);
            let hidden = hidden.slice_assign([0..1, 0..1, 0..queries, 0..1], first);
            let hidden = (keys > 0).then(|| hidden.try_into_primitive::<Flex>().unwrap());
            let raw = RawScores::<Flex> { products: draw(keys + own), hidden, scale: 0.7 };

            let (fast, fast_logs) = Flex::weights(raw.clone(), DType::F32);
            let (slow, slow_logs) = plain_weights::<Flex>(raw.clone(), DType::F32);
            let (by_weights, dots) = (draw(keys + own), draw(1));
            let again =
                Flex::slopes(raw.clone(), fast_logs.clone(), by_weights.clone(), dots.clone());
            let expected = plain_slopes::<Flex>(raw, slow_logs.clone(), by_weights, dots);

            for (found, expected) in
                [(fast, slow), (fast_logs, slow_logs), (again.0, expected.0), (again.1, expected.1)]
            {
                for (found, expected) in values(found).iter().zip(values(expected)) {
                    assert!(
                        (found - expected).abs() < 2e-6,
                        "{queries}, {keys}: {found}, {expected}"
                    );
                }
            }
        }
    }
}
