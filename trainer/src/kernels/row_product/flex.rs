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
use crate::kernels::flex_tensors::floats;
use crate::kernels::vector_level::multiply_add;
use crate::kernels::vectors::{Floats, OnVectors, all, load, on_vectors, store};

/// Rows side by side: enough for a vector of any processor, and few where a program continues few texts.
const MANY_ROWS: usize = 16;
const FEW_ROWS: usize = 4;

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
        let taken = if x.len() / inner <= FEW_ROWS {
            group::<FEW_ROWS>(x, weight, inner, out, outputs)
        } else {
            group::<MANY_ROWS>(x, weight, inner, out, outputs)
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
) -> usize
where
    for<'a, 'b> Part<'a, 'b, ROWS>: OnVectors<Output = ()>,
{
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
        on_vectors(Part { columns: &columns, weight, inner, out });
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

impl OnVectors for Part<'_, '_, MANY_ROWS> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        // Eight sums at a time: then none waits for the one before, and all stay in registers.
        match S::lanes32() {
            16 => self.outputs(sums::<S, 1, 8>, sums::<S, 1, 1>),
            8 => self.outputs(sums::<S, 2, 4>, sums::<S, 2, 1>),
            _ => self.outputs(sums::<S, 4, 2>, sums::<S, 4, 1>),
        }
    }
}

impl OnVectors for Part<'_, '_, FEW_ROWS> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        // AVX2 and AVX-512 come with fused instructions, SSE without; NEON always has them.
        if S::lanes32() >= 8 || cfg!(target_arch = "aarch64") {
            self.outputs(few_sums::<4, true>, few_sums::<1, true>);
        } else {
            self.outputs(few_sums::<4, false>, few_sums::<1, false>);
        }
    }
}

/// The inputs of all rows, side by side.
type Columns<'a, const ROWS: usize> = &'a [[f32; ROWS]];

impl<const ROWS: usize> Part<'_, '_, ROWS> {
    /// Computes `N` outputs at a time by `many`, and what is left by `one`.
    #[inline(always)]
    fn outputs<const N: usize>(
        self,
        many: impl Fn(Columns<'_, ROWS>, [&[f32]; N]) -> [[f32; ROWS]; N],
        one: impl Fn(Columns<'_, ROWS>, [&[f32]; 1]) -> [[f32; ROWS]; 1],
    ) {
        let Self { columns, weight, inner, out } = self;
        let blocks = weight.chunks_exact(N * inner);
        let (whole, rest) = (blocks.len() * N, blocks.remainder());
        for (number, block) in blocks.enumerate() {
            let weights: [&[f32]; N] =
                std::array::from_fn(|output| &block[output * inner..(output + 1) * inner]);
            let sums = many(columns, weights);
            for (row, out) in out.iter_mut().enumerate() {
                for (out, sum) in out[number * N..(number + 1) * N].iter_mut().zip(&sums) {
                    *out = sum[row];
                }
            }
        }
        for (number, weights) in rest.chunks_exact(inner).enumerate() {
            let [sums] = one(columns, [weights]);
            for (out, sum) in out.iter_mut().zip(sums) {
                out[whole + number] = sum;
            }
        }
    }
}

/// Sums up the products of `N` outputs for all rows, which have `V` vectors.
#[inline(always)]
fn sums<S: Simd, const V: usize, const N: usize>(
    columns: Columns<'_, MANY_ROWS>,
    weights: [&[f32]; N],
) -> [[f32; MANY_ROWS]; N] {
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
        let mut rows = [0.0; MANY_ROWS];
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
    column: &[f32; MANY_ROWS],
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

/// Does the same for few rows, whose vectors are half empty.
#[inline(always)]
fn few_sums<const N: usize, const FUSED: bool>(
    columns: Columns<'_, FEW_ROWS>,
    weights: [&[f32]; N],
) -> [[f32; FEW_ROWS]; N] {
    let weights = weights.map(|weights| &weights[..columns.len()]);
    let mut sums = [[0.0; FEW_ROWS]; N];
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
