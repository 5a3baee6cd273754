//! The products on the CPU, by tiles whose sums stay in registers; threads share the rows of the result.
//!
//! The factor whose numbers become vectors is first copied into *panels* of as many columns as two vectors
//! have. It is a small part of the work, since each panel is read for all rows of the other factor.
#![expect(
    clippy::inline_always,
    reason = "a loop has the instructions of the function that it is in"
)]

use burn::backend::Flex;
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use macerator::Simd;
use rayon::prelude::*;

use super::ProjectionKernels;
use crate::kernels::flex_tensors::{are_f32, floats, tensor};
use crate::kernels::tile::{ROWS, Tile, across, add_products, along};
use crate::kernels::vectors::{
    AlignedFloats, OnVectors, load_padded, on_vectors, pair, pair_width, store_padded,
};

/// How many rows of the result a thread takes at a time.
const PART: usize = 8 * ROWS;

/// How many steps a tile makes at a time: with more, the panel leaves the cache.
const STEPS: usize = 256;

impl ProjectionKernels for Flex {
    fn forward(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        if !are_f32([&x, &weight]) {
            return Self::float_matmul(x, Self::float_swap_dims(weight, 0, 1));
        }
        let [x, weight] = [x, weight].map(|tensor| tensor.to_contiguous());
        let [rows, inner] = [0, 1].map(|dim| x.layout().shape()[dim]);
        let outputs = weight.layout().shape()[0];
        let mut out = vec![0.0; rows * outputs];
        let panels = Panels::of_transposed(floats(&weight), inner);
        panels.multiply(Left::Rows { values: floats(&x), width: inner }, &mut out);
        tensor(out, &[rows, outputs])
    }

    fn backward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        grad: FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 2] {
        if !are_f32([&x, &weight, &grad]) {
            let by_x = Self::float_matmul(grad.clone(), weight);
            return [by_x, Self::float_matmul(Self::float_swap_dims(grad, 0, 1), x)];
        }
        let [x, weight, grad] = [x, weight, grad].map(|tensor| tensor.to_contiguous());
        let [rows, inner] = [0, 1].map(|dim| x.layout().shape()[dim]);
        let outputs = weight.layout().shape()[0];
        let (mut by_x, mut by_weight) = (vec![0.0; rows * inner], vec![0.0; outputs * inner]);
        let grad = floats(&grad);
        let panels = Panels::of(floats(&weight), inner);
        panels.multiply(Left::Rows { values: grad, width: outputs }, &mut by_x);
        let panels = Panels::of(floats(&x), inner);
        panels.multiply(Left::Columns { values: grad, width: outputs }, &mut by_weight);
        [tensor(by_x, &[rows, inner]), tensor(by_weight, &[outputs, inner])]
    }
}

/// The factor on the left, one number of which goes to a row of the result at a time.
#[derive(Clone, Copy)]
enum Left<'a> {
    /// A row of the result takes a row of the factor.
    Rows { values: &'a [f32], width: usize },
    /// A row of the result takes a column of the factor.
    Columns { values: &'a [f32], width: usize },
}

/// The factor on the right, in panels of columns: [panels, steps, columns of a pair]. Columns that are not
/// there are 0.
struct Panels {
    values: AlignedFloats,
    steps: usize,
    columns: usize,
}

impl Panels {
    /// Takes a matrix of [steps, columns].
    fn of(matrix: &[f32], columns: usize) -> Self {
        let (lanes, steps) = (pair_width(), matrix.len().checked_div(columns).unwrap_or(0));
        let mut values = AlignedFloats::zeros(columns.div_ceil(lanes) * steps * lanes);
        let panels = values.values_mut().par_chunks_mut((steps * lanes).max(1));
        panels.enumerate().for_each(|(number, panel)| {
            let first = number * lanes;
            let count = lanes.min(columns - first);
            for (to, row) in panel.chunks_exact_mut(lanes).zip(matrix.chunks_exact(columns)) {
                to[..count].copy_from_slice(&row[first..first + count]);
            }
        });
        Self { values, steps, columns }
    }

    /// Takes a matrix of [columns, steps].
    fn of_transposed(matrix: &[f32], steps: usize) -> Self {
        let (lanes, columns) = (pair_width(), matrix.len().checked_div(steps).unwrap_or(0));
        let mut values = AlignedFloats::zeros(columns.div_ceil(lanes) * steps * lanes);
        let panels = values.values_mut().par_chunks_mut((steps * lanes).max(1));
        panels.zip(matrix.par_chunks((steps * lanes).max(1))).for_each(|(panel, rows)| {
            for (column, row) in rows.chunks_exact(steps).enumerate() {
                for (to, value) in panel.chunks_exact_mut(lanes).zip(row) {
                    to[column] = *value;
                }
            }
        });
        Self { values, steps, columns }
    }

    /// Adds the product of a factor and these panels to a matrix, [rows, columns].
    fn multiply(&self, left: Left<'_>, out: &mut [f32]) {
        let part = PART * self.columns;
        out.par_chunks_mut(part.max(1)).enumerate().for_each(|(number, out)| {
            on_vectors(Part { panels: self, left, first: number * PART, out });
        });
    }
}

/// Some rows of a result.
struct Part<'a> {
    panels: &'a Panels,
    left: Left<'a>,
    first: usize,
    out: &'a mut [f32],
}

impl OnVectors for Part<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        let Self { panels, left, first, out } = self;
        let columns = panels.columns;
        let whole = out.len() / columns / ROWS * ROWS;
        let (groups, rest) = out.split_at_mut(whole * columns);
        for begin in (0..panels.steps).step_by(STEPS) {
            let steps = begin..(begin + STEPS).min(panels.steps);
            for (number, out) in groups.chunks_exact_mut(ROWS * columns).enumerate() {
                let at = first + number * ROWS;
                add_rows::<S, ROWS>(panels, left, at, steps.clone(), out);
            }
            for (number, out) in rest.chunks_exact_mut(columns).enumerate() {
                add_rows::<S, 1>(panels, left, first + whole + number, steps.clone(), out);
            }
        }
    }
}

/// Adds some steps of the product to `R` rows of the result, from the row `at` on.
#[inline(always)]
fn add_rows<S: Simd, const R: usize>(
    panels: &Panels,
    left: Left<'_>,
    at: usize,
    steps: std::ops::Range<usize>,
    out: &mut [f32],
) {
    let (lanes, columns) = (pair::<S>(), panels.columns);
    let values = panels.values.values();
    for (number, panel) in values.chunks_exact(panels.steps * lanes).enumerate() {
        let panel = &panel[steps.start * lanes..steps.end * lanes];
        let own = |row: usize| {
            row * columns + number * lanes..row * columns + ((number + 1) * lanes).min(columns)
        };
        let before: Tile<S, R> = std::array::from_fn(|row| load_padded::<S>(&out[own(row)]));
        let tile = match left {
            Left::Rows { values, width } => {
                let rows: [&[f32]; R] = std::array::from_fn(|row| {
                    &values[(at + row) * width + steps.start..(at + row) * width + steps.end]
                });
                add_products::<S, R>(before, along(rows, steps.len()), panel)
            }
            Left::Columns { values, width } => {
                let rows = &values[steps.start * width..steps.end * width];
                add_products::<S, R>(before, across(rows, width, at), panel)
            }
        };
        for (row, values) in tile.into_iter().enumerate() {
            store_padded::<S>(&mut out[own(row)], values);
        }
    }
}
