//! The product on the CPU: rows side by side in vectors, and weights read once, from first to last.
#![expect(
    clippy::inline_always,
    reason = "a loop has the instructions of the function that it is in"
)]

use burn::backend::Flex;
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn::tensor::TensorData;
use rayon::prelude::*;

use super::RowProductBackend;
use crate::kernels::flex_tensors::floats;
use crate::kernels::vector_level::{Vectorized, multiply_add, vectorized};

/// How many outputs are summed up at a time, so that no sum waits for the one before.
const OUTPUTS: usize = 4;

/// The most products that one thread does alone.
const ALONE: usize = 1 << 17;

/// How many parts each thread gets, so that none waits long for the others.
const PARTS: usize = 4;

impl RowProductBackend for Flex {
    fn row_product(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        let [x, weight] = [x, weight].map(|tensor| tensor.to_contiguous());
        let [rows, inner] = [x.layout().shape()[0], x.layout().shape()[1]];
        let outputs = weight.layout().shape()[0];
        let mut out = vec![0.0; rows * outputs];
        if inner > 0 && outputs > 0 {
            product(floats(&x), floats(&weight), inner, &mut out, outputs);
        }
        let device = burn::backend::FlexDevice;
        Self::float_from_data(TensorData::new(out, [rows, outputs]), &device)
    }
}

/// Computes all rows, as many at a time as fit side by side.
fn product(x: &[f32], weight: &[f32], inner: usize, out: &mut [f32], outputs: usize) {
    let (mut x, mut out) = (x, out);
    while !x.is_empty() {
        // How many are side by side decides no bit: each has a sum of its own.
        let rows = x.len() / inner;
        let taken = if rows <= 4 {
            group::<4>(x, weight, inner, out, outputs)
        } else {
            group::<16>(x, weight, inner, out, outputs)
        };
        x = &x[taken * inner..];
        out = &mut out[taken * outputs..];
    }
}

/// Computes up to `ROWS` rows, and returns how many.
fn group<const ROWS: usize>(
    x: &[f32],
    weight: &[f32],
    inner: usize,
    out: &mut [f32],
    outputs: usize,
) -> usize {
    let rows = (x.len() / inner).min(ROWS);
    let mut columns = vec![[0.0; ROWS]; inner];
    for (row, values) in x.chunks_exact(inner).take(rows).enumerate() {
        for (column, value) in columns.iter_mut().zip(values) {
            column[row] = *value;
        }
    }
    let alone = rows * inner * outputs <= ALONE;
    let parts = if alone { 1 } else { PARTS * rayon::current_num_threads() };
    let part = outputs.div_ceil(parts).next_multiple_of(OUTPUTS);
    // A part has a piece of each row.
    let mut pieces: Vec<Vec<&mut [f32]>> = Vec::new();
    pieces.resize_with(outputs.div_ceil(part), Vec::new);
    for row in out.chunks_exact_mut(outputs).take(rows) {
        for (piece, part) in row.chunks_mut(part).zip(&mut pieces) {
            part.push(piece);
        }
    }
    let work = |(number, out): (usize, &mut Vec<&mut [f32]>)| {
        let first = number * part;
        let weight = &weight[first * inner..(first + out[0].len()) * inner];
        vectorized(Part { columns: &columns, weight, inner, out });
    };
    if alone {
        pieces.iter_mut().enumerate().for_each(work);
    } else {
        pieces.par_iter_mut().enumerate().for_each(work);
    }
    rows
}

/// Some outputs of a group of rows.
struct Part<'a, 'b, const ROWS: usize> {
    /// The inputs, those of all rows side by side.
    columns: &'a [[f32; ROWS]],
    /// The weights of the outputs.
    weight: &'a [f32],
    inner: usize,
    /// The outputs of each row.
    out: &'a mut [&'b mut [f32]],
}

impl<const ROWS: usize> Vectorized for Part<'_, '_, ROWS> {
    type Output = ();

    #[inline(always)]
    fn run<const FUSED: bool>(self) {
        let Self { columns, weight, inner, out } = self;
        let blocks = weight.chunks_exact(OUTPUTS * inner);
        let (whole, rest) = (blocks.len() * OUTPUTS, blocks.remainder());
        for (number, block) in blocks.enumerate() {
            let weights: [&[f32]; OUTPUTS] =
                std::array::from_fn(|output| &block[output * inner..(output + 1) * inner]);
            let sums = sums::<ROWS, OUTPUTS, FUSED>(columns, weights);
            for (row, out) in out.iter_mut().enumerate() {
                for (output, sum) in sums.iter().enumerate() {
                    out[number * OUTPUTS + output] = sum[row];
                }
            }
        }
        for (number, weights) in rest.chunks_exact(inner).enumerate() {
            let [sums] = sums::<ROWS, 1, FUSED>(columns, [weights]);
            for (out, sum) in out.iter_mut().zip(sums) {
                out[whole + number] = sum;
            }
        }
    }
}

/// Sums up the products of some outputs for all rows.
#[inline(always)]
fn sums<const ROWS: usize, const N: usize, const FUSED: bool>(
    columns: &[[f32; ROWS]],
    weights: [&[f32]; N],
) -> [[f32; ROWS]; N] {
    let weights = weights.map(|weights| &weights[..columns.len()]);
    let mut sums = [[0.0; ROWS]; N];
    for (at, column) in columns.iter().enumerate() {
        for (sums, weights) in sums.iter_mut().zip(&weights) {
            let weight = weights[at];
            for (sum, value) in sums.iter_mut().zip(column) {
                *sum = multiply_add::<FUSED>(weight, *value, *sum);
            }
        }
    }
    sums
}
