//! The loss on the CPU: logits stay in the cache between the products that make them and use them.
//!
//! The logits of some tokens stand side by side, as many as two vectors have: a *panel*, [vocabulary, tokens].
//! So maximum, exponential and sum are loops over whole vectors, and all three products read what is there
//! without a copy in another order.
#![expect(
    clippy::inline_always,
    reason = "a loop has the instructions of the function that it is in"
)]

use std::hint::black_box;

use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Flex, FlexDevice};
use burn::tensor::{DType, TensorData};
use bytemuck::{Zeroable, cast_slice};
use macerator::Simd;
use ratdata_schemas::IGNORE_INDEX;
use rayon::prelude::*;

use super::LossKernels;
use super::loss_and_slopes::LossAndSlopes;
use crate::convert::rounded;
use crate::kernels::flex_tensors::floats;
use crate::kernels::tile::{ROWS, Tile, across, add_products, along, empty};
use crate::kernels::vectors::{
    AlignedFloats, OnVectors, Pair, all, exp_of_negative, load_padded, load_pair, on_vectors, pair,
    pair_width, store_padded, store_pair,
};

/// How many tokens go through together: with more, their logits leave the cache.
const TOKENS: usize = if cfg!(test) { 64 } else { 256 };

/// How many logits of a panel go through the exponential and into a product at a time.
const LOGITS: usize = 64;

/// How many floats a line of the processor's cache has.
const LINE: usize = 16;

/// How many rows of the embedding a thread adds to at a time.
const EMBEDDINGS: usize = if cfg!(test) { 20 } else { 400 };

impl LossKernels for Flex {
    fn loss(
        hidden: &FloatTensor<Self>,
        embedding: &FloatTensor<Self>,
        labels: &IntTensor<Self>,
        slopes: bool,
    ) -> LossAndSlopes<Self> {
        let width = hidden.layout().shape()[1];
        if hidden.dtype() != DType::F32 || embedding.dtype() != DType::F32 || width == 0 {
            return Self::loss_by_blocks(hidden, embedding, labels, slopes);
        }
        let [hidden, embedding] = [hidden, embedding].map(FloatTensor::<Self>::to_contiguous);
        let labels: Vec<Option<usize>> =
            labels.to_contiguous().into_data().iter::<i64>().map(place).collect();
        let output = OutputLayer { embedding: floats(&embedding), width };
        let (nll, by_hidden, by_embedding) = output.loss(floats(&hidden), &labels, slopes);
        let tensor = |values: Vec<f32>, shape: [usize; 2]| {
            Self::float_from_data(TensorData::new(values, shape), &FlexDevice)
        };
        let nll = TensorData::new(vec![rounded(nll)], [1]);
        LossAndSlopes {
            nll: Self::float_from_data(nll, &FlexDevice),
            slopes: slopes.then(|| {
                let shapes = [[labels.len(), width], [output.vocab(), width]];
                [tensor(by_hidden, shapes[0]), tensor(by_embedding, shapes[1])]
            }),
        }
    }
}

/// Returns the row of the embedding that a label names: none where it is ignored, and one that is
/// not there where it is no id.
fn place(label: i64) -> Option<usize> {
    (label != i64::from(IGNORE_INDEX)).then(|| usize::try_from(label).unwrap_or(usize::MAX))
}

/// The output layer, which is the embedding.
#[derive(Clone, Copy)]
struct OutputLayer<'a> {
    /// [vocabulary, width].
    embedding: &'a [f32],
    width: usize,
}

impl OutputLayer<'_> {
    fn vocab(self) -> usize {
        self.embedding.len() / self.width
    }

    /// Returns the sum of the negative log-likelihoods, and its derivatives by the hidden vectors and by the
    /// embedding where they are wanted.
    fn loss(
        self,
        hidden: &[f32],
        labels: &[Option<usize>],
        slopes: bool,
    ) -> (f64, Vec<f32>, Vec<f32>) {
        let (width, lanes) = (self.width, pair_width());
        let panel_len = self.vocab() * lanes;
        let most = TOKENS.min(labels.len()).div_ceil(lanes);
        let mut logits = AlignedFloats::zeros(most * panel_len);
        let mut by_hidden = vec![0.0; hidden.len()];
        let mut by_embedding = vec![0.0; if slopes { self.embedding.len() } else { 0 }];
        let mut nll = 0.0;
        let blocks = hidden.chunks(TOKENS * width).zip(by_hidden.chunks_mut(TOKENS * width));
        for ((hidden, by_hidden), labels) in blocks.zip(labels.chunks(TOKENS)) {
            let panels = logits.values_mut().par_chunks_mut(panel_len.max(1));
            let panels = panels.zip(hidden.par_chunks(lanes * width));
            let panels = panels.zip(by_hidden.par_chunks_mut(lanes * width));
            let found: Vec<PanelLoss> = panels
                .zip(labels.par_chunks(lanes))
                .map(|(((logits, hidden), by_hidden), labels)| {
                    on_vectors(Panel { output: self, logits, hidden, labels, by_hidden, slopes })
                })
                .collect();
            nll += found.iter().map(|panel| panel.nll).sum::<f64>();
            if slopes {
                let factors: Vec<f32> = found.into_iter().flat_map(|panel| panel.factors).collect();
                let scaled = scaled_panels(hidden, width, &factors);
                let block =
                    Block { logits: logits.values(), hidden, scaled: scaled.values(), labels };
                by_embedding.par_chunks_mut(EMBEDDINGS * width).enumerate().for_each(
                    |(number, rows)| {
                        let first = number * EMBEDDINGS;
                        on_vectors(EmbeddingRows { output: self, block, first, rows });
                    },
                );
            }
        }
        (nll, by_hidden, by_embedding)
    }
}

/// What a panel gives, in addition to the derivatives by its hidden vectors.
struct PanelLoss {
    nll: f64,
    /// What each token's powers are multiplied by to be its softmax; 0 where its label is ignored.
    factors: Vec<f32>,
}

/// The tokens of a panel, and room for their logits.
struct Panel<'a> {
    output: OutputLayer<'a>,
    /// [vocabulary, tokens]. In the end it holds the powers, each less than 1 at the highest logit.
    logits: &'a mut [f32],
    /// [tokens, width].
    hidden: &'a [f32],
    labels: &'a [Option<usize>],
    by_hidden: &'a mut [f32],
    slopes: bool,
}

impl OnVectors for Panel<'_> {
    type Output = PanelLoss;

    #[inline(always)]
    fn run<S: Simd>(self) -> PanelLoss {
        let Self { output, logits, hidden, labels, by_hidden, slopes } = self;
        let (width, lanes) = (output.width, pair::<S>());
        let mut columns = AlignedFloats::zeros(width * lanes);
        transpose(hidden, width, columns.values_mut(), lanes);
        let highest = write_logits::<S>(output, columns.values(), logits);
        let picked = |(token, label): (usize, &Option<usize>)| {
            // A label outside of the vocabulary makes the loss NaN, which ends the run.
            let at = label
                .and_then(|label| label.checked_mul(lanes))
                .map_or(usize::MAX, |at| at + token);
            logits.get(at).copied().unwrap_or(f32::NAN)
        };
        let picked: Vec<f32> = labels.iter().enumerate().map(picked).collect();

        let mut totals = vec![0.0_f64; lanes];
        let mut sums = AlignedFloats::zeros(width * lanes);
        let tiles = logits.chunks_mut(LOGITS * lanes);
        for (powers, embedding) in tiles.zip(output.embedding.chunks(LOGITS * width)) {
            if slopes {
                // Across rows, its lines would come from memory one by one.
                black_box(embedding.iter().step_by(LINE).sum::<f32>());
            }
            let total = raise::<S>(powers, highest);
            for (total, more) in totals.iter_mut().zip(cast_slice::<_, f32>(&total)) {
                *total += f64::from(*more);
            }
            if slopes {
                add_by_hidden::<S>(sums.values_mut(), embedding, width, powers);
            }
        }

        let mut nll = 0.0;
        let mut factors = Vec::with_capacity(labels.len());
        let highest: &[f32] = cast_slice(&highest);
        for (token, label) in labels.iter().enumerate() {
            let Some(label) = label else {
                factors.push(0.0);
                continue;
            };
            nll += f64::from(highest[token]) + totals[token].ln() - f64::from(picked[token]);
            let factor = rounded(1.0 / totals[token]);
            factors.push(factor);
            if slopes && let Some(own) = output.embedding.chunks_exact(width).nth(*label) {
                let by_token = &mut by_hidden[token * width..(token + 1) * width];
                let sums = sums.values().chunks_exact(lanes);
                for ((slope, sums), own) in by_token.iter_mut().zip(sums).zip(own) {
                    *slope = sums[token] * factor - own;
                }
            }
        }
        PanelLoss { nll, factors }
    }
}

/// Writes [tokens, width] as [width, lanes].
#[inline(always)]
fn transpose(rows: &[f32], width: usize, columns: &mut [f32], lanes: usize) {
    for (token, row) in rows.chunks_exact(width).enumerate() {
        for (column, value) in columns.chunks_exact_mut(lanes).zip(row) {
            column[token] = *value;
        }
    }
}

/// Computes the logits of a panel, and returns the highest of each token.
#[inline(always)]
fn write_logits<S: Simd>(output: OutputLayer<'_>, columns: &[f32], logits: &mut [f32]) -> Pair<S> {
    let (width, lanes) = (output.width, pair::<S>());
    let mut highest = [all::<S>(f32::NEG_INFINITY); 2];
    let whole = output.vocab() / ROWS * ROWS;
    let (embedding, rest) = output.embedding.split_at(whole * width);
    let (logits, rest_logits) = logits.split_at_mut(whole * lanes);
    let groups = embedding.chunks_exact(ROWS * width).zip(logits.chunks_exact_mut(ROWS * lanes));
    for (rows, logits) in groups {
        write_rows::<S, ROWS>(rows, columns, logits, &mut highest);
    }
    for (row, logits) in rest.chunks_exact(width).zip(rest_logits.chunks_exact_mut(lanes)) {
        write_rows::<S, 1>(row, columns, logits, &mut highest);
    }
    highest
}

#[inline(always)]
fn write_rows<S: Simd, const R: usize>(
    rows: &[f32],
    columns: &[f32],
    logits: &mut [f32],
    highest: &mut Pair<S>,
) {
    let width = rows.len() / R;
    let rows: [&[f32]; R] = std::array::from_fn(|row| &rows[row * width..(row + 1) * width]);
    let tile = add_products::<S, R>(empty::<S, R>(), along(rows, width), columns);
    for (logits, values) in logits.chunks_exact_mut(pair::<S>()).zip(tile) {
        store_pair::<S>(logits, values);
        *highest = [highest[0].max(values[0]), highest[1].max(values[1])];
    }
}

/// Replaces logits by their powers, and returns the sums.
#[inline(always)]
fn raise<S: Simd>(logits: &mut [f32], highest: Pair<S>) -> Pair<S> {
    let mut total = Pair::<S>::zeroed();
    for logits in logits.chunks_exact_mut(pair::<S>()) {
        let [first, second] = load_pair::<S>(logits);
        let powers =
            [exp_of_negative::<S>(first - highest[0]), exp_of_negative::<S>(second - highest[1])];
        total = [total[0] + powers[0], total[1] + powers[1]];
        store_pair::<S>(logits, powers);
    }
    total
}

/// Adds the product of some rows of the embedding and the powers to the derivatives by the hidden vectors,
/// [width, tokens].
#[inline(always)]
fn add_by_hidden<S: Simd>(sums: &mut [f32], embedding: &[f32], width: usize, powers: &[f32]) {
    let lanes = pair::<S>();
    let whole = width / ROWS * ROWS;
    let (groups, rest) = sums.split_at_mut(whole * lanes);
    for (number, sums) in groups.chunks_exact_mut(ROWS * lanes).enumerate() {
        add_across::<S, ROWS>(sums, across(embedding, width, number * ROWS), powers);
    }
    for (number, sums) in rest.chunks_exact_mut(lanes).enumerate() {
        add_across::<S, 1>(sums, across(embedding, width, whole + number), powers);
    }
}

#[inline(always)]
fn add_across<S: Simd, const R: usize>(
    sums: &mut [f32],
    number: impl Fn(usize, usize) -> f32,
    powers: &[f32],
) {
    let lanes = pair::<S>();
    let before: Tile<S, R> = std::array::from_fn(|row| load_pair::<S>(&sums[row * lanes..]));
    let tile = add_products::<S, R>(before, number, powers);
    for (sums, values) in sums.chunks_exact_mut(lanes).zip(tile) {
        store_pair::<S>(sums, values);
    }
}

/// Multiplies the hidden vector of each token by its factor, in panels of as many channels as two vectors
/// have: [panels, tokens, channels]. Tokens and channels that are not there are 0.
fn scaled_panels(hidden: &[f32], width: usize, factors: &[f32]) -> AlignedFloats {
    let lanes = pair_width();
    let tokens = factors.len().next_multiple_of(lanes);
    let mut panels = AlignedFloats::zeros(width.div_ceil(lanes) * tokens * lanes);
    for (number, panel) in panels.values_mut().chunks_exact_mut(tokens * lanes).enumerate() {
        let rows = panel.chunks_exact_mut(lanes).zip(hidden.chunks_exact(width));
        for ((scaled, hidden), factor) in rows.zip(factors) {
            for (scaled, value) in scaled.iter_mut().zip(&hidden[number * lanes..]) {
                *scaled = value * factor;
            }
        }
    }
    panels
}

/// Some tokens whose powers are there.
#[derive(Clone, Copy)]
struct Block<'a> {
    /// The powers, in panels of tokens: [panels, vocabulary, tokens].
    logits: &'a [f32],
    /// [tokens, width].
    hidden: &'a [f32],
    /// The scaled hidden vectors, in panels of channels: [panels, tokens, channels].
    scaled: &'a [f32],
    labels: &'a [Option<usize>],
}

/// Some rows of the derivatives by the embedding.
struct EmbeddingRows<'a> {
    output: OutputLayer<'a>,
    block: Block<'a>,
    /// The number of the first row.
    first: usize,
    rows: &'a mut [f32],
}

impl OnVectors for EmbeddingRows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        let Self { output, block, first, rows } = self;
        let width = output.width;
        let count = rows.len() / width;
        let whole = count / ROWS * ROWS;
        let (groups, rest) = rows.split_at_mut(whole * width);
        for (number, rows) in groups.chunks_exact_mut(ROWS * width).enumerate() {
            add_block::<S, ROWS>(block, output, first + number * ROWS, rows);
        }
        for (number, rows) in rest.chunks_exact_mut(width).enumerate() {
            add_block::<S, 1>(block, output, first + whole + number, rows);
        }
        for (label, hidden) in block.labels.iter().zip(block.hidden.chunks_exact(width)) {
            let row = label.filter(|label| (first..first + count).contains(label));
            let Some(row) = row.map(|label| label - first) else { continue };
            for (slope, value) in rows[row * width..(row + 1) * width].iter_mut().zip(hidden) {
                *slope -= value;
            }
        }
    }
}

/// Adds a block of tokens to `R` rows from a number on.
#[inline(always)]
fn add_block<S: Simd, const R: usize>(
    block: Block<'_>,
    output: OutputLayer<'_>,
    number: usize,
    rows: &mut [f32],
) {
    let (width, lanes, vocab) = (output.width, pair::<S>(), output.vocab());
    let tokens = block.labels.len().next_multiple_of(lanes);
    for (panel, scaled) in block.scaled.chunks_exact(tokens * lanes).enumerate() {
        let columns = |row: usize| {
            row * width + panel * lanes..row * width + ((panel + 1) * lanes).min(width)
        };
        let mut tile: Tile<S, R> = std::array::from_fn(|row| load_padded::<S>(&rows[columns(row)]));
        for (at, scaled) in scaled.chunks_exact(lanes * lanes).enumerate() {
            let powers: [&[f32]; R] = std::array::from_fn(|row| {
                let first = (at * vocab + number + row) * lanes;
                &block.logits[first..first + lanes]
            });
            tile = add_products::<S, R>(tile, along(powers, lanes), scaled);
        }
        for (row, values) in tile.into_iter().enumerate() {
            store_padded::<S>(&mut rows[columns(row)], values);
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution, Int, Tensor};
    use proptest::prelude::*;

    use super::*;

    fn values<const D: usize>(tensor: FloatTensor<Flex>) -> Vec<f32> {
        let tensor: Tensor<D> = Tensor::from_primitive::<Flex>(tensor);
        tensor.into_data().try_to_vec().unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn the_panels_are_the_plain_form(
            tokens in 1..150_usize,
            vocab in 1..90_usize,
            width in 1..70_usize,
            slopes in any::<bool>(),
        ) {
            let device = Device::flex();
            let draw = |shape: [usize; 2]| {
                let drawn = Tensor::<2>::random(shape, Distribution::Uniform(-1.5, 1.5), &device);
                drawn.try_into_primitive::<Flex>().unwrap()
            };
            let (hidden, embedding) = (draw([tokens, width]), draw([vocab, width]));
            let label = |token: usize| match token % 5 {
                3 => i64::from(IGNORE_INDEX),
                _ => i64::try_from(token * 7 % vocab).unwrap(),
            };
            let labels = TensorData::new((0..tokens).map(label).collect::<Vec<_>>(), [tokens, 1]);
            let labels = Tensor::<2, Int>::from_data(labels, &device);
            let labels = labels.try_into_primitive::<Flex>().unwrap();

            let fast = Flex::loss(&hidden, &embedding, &labels, slopes);
            let slow = Flex::loss_by_blocks(&hidden, &embedding, &labels, slopes);

            let (found, expected) = (values::<1>(fast.nll)[0], values::<1>(slow.nll)[0]);
            prop_assert!((found - expected).abs() <= 2e-6 * expected.abs().max(1.0), "{found} for {expected}");
            prop_assert_eq!(fast.slopes.is_some(), slopes);
            let all = fast.slopes.into_iter().flatten().zip(slow.slopes.into_iter().flatten());
            for (found, expected) in all {
                for (found, expected) in values::<2>(found).iter().zip(values::<2>(expected)) {
                    prop_assert!((found - expected).abs() < 1e-5, "{found} for {expected}");
                }
            }
        }
    }

    #[test]
    fn a_label_that_is_no_id_makes_the_loss_nan() {
        let output = OutputLayer { embedding: &[0.5; 12], width: 4 };
        for wrong in [3, usize::MAX] {
            let (nll, ..) = output.loss(&[0.1; 8], &[Some(1), Some(wrong)], true);
            assert!(nll.is_nan());
        }
        let (nll, ..) = output.loss(&[0.1; 8], &[Some(1), None], true);
        assert!((nll - 3_f64.ln()).abs() < 1e-6);
    }
}
