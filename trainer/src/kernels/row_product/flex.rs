//! The product on the CPU: rows side by side in vectors, and weights read once, from first to last.
#![expect(
    clippy::inline_always,
    reason = "a loop has the instructions of the function that it is in"
)]

use burn::backend::Flex;
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn::tensor::TensorData;
use macerator::Simd;
use rayon::prelude::*;

use super::RowProductBackend;
use crate::kernels::flex_tensors::{column_parts, floats};
use crate::kernels::vectors::{Floats, OnVectors, all, load, on_vectors, store};

/// Rows side by side: enough for a vector of any processor.
const ROWS: usize = 16;

/// The outputs of a thread are a multiple of this, so that no group of them is cut.
const OUTPUTS: usize = 8;

/// How many inputs are read at a time.
const INPUTS: usize = 8;

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
            products(floats(&x), floats(&weight), inner, &mut out, outputs);
        }
        let device = burn::backend::FlexDevice;
        Self::float_from_data(TensorData::new(out, [rows, outputs]), &device)
    }
}

/// Computes all rows, as many at a time as fit side by side.
///
/// # Shapes
/// `x`: [rows, `inner`], `weight`: [`outputs`, `inner`], `out`: [rows, `outputs`].
pub(in crate::kernels) fn products(
    x: &[f32],
    weight: &[f32],
    inner: usize,
    out: &mut [f32],
    outputs: usize,
) {
    let groups = x.chunks(ROWS * inner).zip(out.chunks_mut(ROWS * outputs));
    for (x, out) in groups {
        group(x, weight, inner, out, outputs);
    }
}

/// Computes up to `ROWS` rows. How many they are decides no bit: each has a sum of its own.
fn group(x: &[f32], weight: &[f32], inner: usize, out: &mut [f32], outputs: usize) {
    let rows = x.len() / inner;
    let mut columns = vec![[0.0; ROWS]; inner];
    for (row, values) in x.chunks_exact(inner).enumerate() {
        for (column, value) in columns.iter_mut().zip(values) {
            column[row] = *value;
        }
    }
    let alone = rows * inner * outputs <= ALONE;
    let parts = if alone { 1 } else { PARTS * rayon::current_num_threads() };
    let part = outputs.div_ceil(parts).next_multiple_of(OUTPUTS);
    let mut pieces = column_parts(out, outputs, part);
    let work = |(number, out): (usize, &mut Vec<&mut [f32]>)| {
        let first = number * part;
        let weight = &weight[first * inner..(first + out[0].len()) * inner];
        on_vectors(Part { columns: &columns, weight, inner, out });
    };
    if alone {
        pieces.iter_mut().enumerate().for_each(work);
    } else {
        pieces.par_iter_mut().enumerate().for_each(work);
    }
}

/// Some outputs of a group of rows.
struct Part<'a, 'b> {
    /// The inputs, those of all rows side by side.
    columns: &'a [[f32; ROWS]],
    /// The weights of the outputs.
    weight: &'a [f32],
    inner: usize,
    /// The outputs of each row.
    out: &'a mut [&'b mut [f32]],
}

impl OnVectors for Part<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        // Eight sums at a time: then none waits for the one before, and all stay in registers.
        match self.out.len().div_ceil(S::lanes32()) {
            0 | 1 => self.outputs::<S, 1, 8>(),
            2 => self.outputs::<S, 2, 4>(),
            _ => self.outputs::<S, 4, 2>(),
        }
    }
}

impl Part<'_, '_> {
    /// Computes `N` outputs at a time of `V` vectors of rows, and then those that are left.
    #[inline(always)]
    fn outputs<S: Simd, const V: usize, const N: usize>(self) {
        let Self { columns, weight, inner, out } = self;
        let blocks = weight.chunks_exact(N * inner);
        let (whole, rest) = (blocks.len() * N, blocks.remainder());
        for (number, block) in blocks.enumerate() {
            let weights: [&[f32]; N] =
                std::array::from_fn(|output| &block[output * inner..(output + 1) * inner]);
            let sums = sums::<S, V, N>(columns, weights);
            for (row, out) in out.iter_mut().enumerate() {
                for (out, sum) in out[number * N..(number + 1) * N].iter_mut().zip(&sums) {
                    *out = sum[row];
                }
            }
        }
        for (number, weights) in rest.chunks_exact(inner).enumerate() {
            let [sums] = sums::<S, V, 1>(columns, [weights]);
            for (out, sum) in out.iter_mut().zip(sums) {
                out[whole + number] = sum;
            }
        }
    }
}

/// Sums up the products of `N` outputs for the rows of `V` vectors.
#[inline(always)]
fn sums<S: Simd, const V: usize, const N: usize>(
    columns: &[[f32; ROWS]],
    weights: [&[f32]; N],
) -> [[f32; ROWS]; N] {
    let mut sums = [[all::<S>(0.0); V]; N];
    // Several inputs at a time: the places of the weights are found once for all of them.
    let (blocks, rest) = columns.as_chunks::<INPUTS>();
    let whole = weights.map(|weights| weights.as_chunks::<INPUTS>().0);
    for (number, columns) in blocks.iter().enumerate() {
        let weights: [&[f32; INPUTS]; N] = std::array::from_fn(|output| &whole[output][number]);
        for (at, column) in columns.iter().enumerate() {
            add::<S, V, N>(&mut sums, column, weights.map(|weights| weights[at]));
        }
    }
    let first = blocks.len() * INPUTS;
    for (at, column) in rest.iter().enumerate() {
        add::<S, V, N>(&mut sums, column, weights.map(|weights| weights[first + at]));
    }
    sums.map(|sums| {
        let mut rows = [0.0; ROWS];
        for (rows, sum) in rows.chunks_exact_mut(S::lanes32()).zip(sums) {
            store::<S>(rows, sum);
        }
        rows
    })
}

/// Adds the products of an input of all rows and its weight in each output.
#[inline(always)]
fn add<S: Simd, const V: usize, const N: usize>(
    sums: &mut [[Floats<S>; V]; N],
    column: &[f32; ROWS],
    weights: [f32; N],
) {
    let column: [Floats<S>; V] =
        std::array::from_fn(|part| load::<S>(&column[part * S::lanes32()..]));
    for (sums, weight) in sums.iter_mut().zip(weights) {
        let weight = all::<S>(weight);
        for (sum, column) in sums.iter_mut().zip(column) {
            *sum = weight.mul_add(column, *sum);
        }
    }
}
