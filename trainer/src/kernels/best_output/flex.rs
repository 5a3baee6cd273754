//! The search on the CPU: bounds for all blocks of outputs, and the exact products of a few blocks.

use std::cmp::Ordering;
use std::sync::Arc;

use burn::backend::Flex;
use burn::backend::FlexDevice;
use burn::backend::ops::IntTensorOps;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::tensor::TensorData;
use rayon::prelude::*;

use super::products::{Level, OUTPUTS, ROWS};
use super::table::{QuantizedInput, QuantizedRows};
use super::{BestOutputBackend, NOT_FINITE};
use crate::convert::narrow;
use crate::kernels::flex_tensors::floats;
use crate::kernels::row_product::products;

/// Of so many blocks one may be computed for a row, and so many in any case. More of them take longer than all
/// outputs, which are computed for several rows at a time.
const FEW: usize = 16;

/// What results below the normal numbers of f32 may lose by rounding.
const UNDERFLOW: f64 = 1e-37;

impl BestOutputBackend for Flex {
    fn best_output(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        table: Arc<QuantizedRows>,
    ) -> IntTensor<Self> {
        let [x, weight] = [x, weight].map(|tensor| tensor.to_contiguous());
        let best = best_outputs(floats(&x), floats(&weight), &table, Level::of_machine());
        let rows = best.len();
        Self::int_from_data(TensorData::new(best, [rows]), &FlexDevice)
    }
}

/// Returns the best output of each row.
pub(super) fn best_outputs(
    x: &[f32],
    weight: &[f32],
    table: &QuantizedRows,
    level: Level,
) -> Vec<i64> {
    let (outputs, blocks) = (table.outputs(), table.blocks());
    let inner = weight.len() / outputs;
    let mut best = vec![NOT_FINITE; x.len() / inner];
    // The rows for which all outputs are computed.
    let mut left = Vec::new();
    for (group, x) in x.chunks(ROWS * inner).enumerate() {
        let (mut places, mut inputs) = (Vec::new(), Vec::new());
        for (at, x) in x.chunks_exact(inner).enumerate() {
            match table.input(x) {
                Some(input) => {
                    places.push(at);
                    inputs.push(input);
                }
                None => left.push(group * ROWS + at),
            }
        }
        let bounds = table.bounds(&inputs, level);
        let rows = inputs.par_iter().zip(bounds.par_chunks_exact(blocks)).zip(&places);
        let found: Vec<Option<i64>> = rows
            .map(|((input, bounds), at)| {
                search(&x[at * inner..(at + 1) * inner], weight, input, bounds)
            })
            .collect();
        for (at, found) in places.into_iter().zip(found) {
            match found {
                Some(found) => best[group * ROWS + at] = found,
                None => left.push(group * ROWS + at),
            }
        }
    }
    let rows: Vec<f32> =
        left.iter().flat_map(|row| &x[row * inner..(row + 1) * inner]).copied().collect();
    let mut logits = vec![0.0; left.len() * outputs];
    products(&rows, weight, inner, &mut logits, outputs);
    for (row, logits) in left.into_iter().zip(logits.chunks_exact(outputs)) {
        if logits.iter().all(|logit| logit.is_finite()) {
            let mut candidate = Candidate::NONE;
            candidate.consider(0, logits);
            best[row] = narrow(candidate.output);
        }
    }
    best
}

/// Returns the best output of a row; none where too many blocks could have it.
fn search(x: &[f32], weight: &[f32], input: &QuantizedInput, bounds: &[f32]) -> Option<i64> {
    let exact = |candidate: &mut Candidate, block: usize| {
        let first = block * OUTPUTS;
        let weight = &weight[first * x.len()..];
        let weight = &weight[..weight.len().min(OUTPUTS * x.len())];
        let mut logits = [0.0; OUTPUTS];
        let logits = &mut logits[..weight.len() / x.len()];
        let outputs = logits.len();
        products(x, weight, x.len(), logits, outputs);
        candidate.consider(first, logits);
    };
    // The block with the highest bound first: its best product leaves few of the others.
    let (first, _) = bounds.iter().enumerate().max_by(|(_, a), (_, b)| a.total_cmp(b))?;
    let mut candidate = Candidate::NONE;
    exact(&mut candidate, first);
    let reaches =
        |bound: f32, logit: f32| f64::from(bound) * input.scale + UNDERFLOW >= f64::from(logit);
    let mut may_compute = FEW + bounds.len() / FEW;
    for (block, &bound) in bounds.iter().enumerate() {
        if block != first && reaches(bound, candidate.logit) {
            may_compute = may_compute.checked_sub(1)?;
            exact(&mut candidate, block);
        }
    }
    Some(narrow(candidate.output))
}

/// The best output so far: of equal ones the first.
struct Candidate {
    output: usize,
    logit: f32,
}

impl Candidate {
    const NONE: Self = Self { output: 0, logit: f32::NEG_INFINITY };

    /// Considers outputs from `first` on.
    fn consider(&mut self, first: usize, logits: &[f32]) {
        for (output, &logit) in (first..).zip(logits) {
            let is_better = match logit.partial_cmp(&self.logit) {
                Some(Ordering::Greater) => true,
                Some(Ordering::Equal) => output < self.output,
                _ => false,
            };
            if is_better {
                *self = Self { output, logit };
            }
        }
    }
}
