//! The tile of a matrix product: a few rows and two vectors of columns, whose sums stay in registers.
#![expect(
    clippy::inline_always,
    reason = "a loop has the instructions of the function that it is in"
)]

use bytemuck::Zeroable;
use macerator::Simd;

use super::vectors::{Pair, all, load_pair, pair};

/// How many rows a tile has: with both vectors of columns, 16 sums.
pub(super) const ROWS: usize = 8;

/// The sums of a tile.
pub(super) type Tile<S, const R: usize> = [Pair<S>; R];

/// Returns a tile of zeros.
#[inline(always)]
pub(super) fn empty<S: Simd, const R: usize>() -> Tile<S, R> {
    [Pair::<S>::zeroed(); R]
}

/// Adds products to a tile: for each step, the step's number of each row times the step's columns.
///
/// `number` gives the number of a step and a row. Each sum is in the order of the steps, so that no bit
/// depends on the tile that a number is in.
///
/// # Shapes
/// `columns`: [steps, columns of the pair].
#[inline(always)]
pub(super) fn add_products<S: Simd, const R: usize>(
    tile: Tile<S, R>,
    number: impl Fn(usize, usize) -> f32,
    columns: &[f32],
) -> Tile<S, R> {
    let mut sums = tile;
    for (step, columns) in columns.chunks_exact(pair::<S>()).enumerate() {
        let columns = load_pair::<S>(columns);
        for (row, sums) in sums.iter_mut().enumerate() {
            // An array of all rows' numbers would go through the registers of integers.
            let number = all::<S>(number(step, row));
            *sums = [number.mul_add(columns[0], sums[0]), number.mul_add(columns[1], sums[1])];
        }
    }
    sums
}

/// Takes the steps along rows: step k has the number k of each row.
#[inline(always)]
pub(super) fn along<const R: usize>(
    rows: [&[f32]; R],
    steps: usize,
) -> impl Fn(usize, usize) -> f32 {
    // Now the compiler knows that all are so long.
    let rows: [&[f32]; R] = std::array::from_fn(|row| &rows[row][..steps]);
    move |step, row| rows[row][step]
}

/// Takes the steps across rows of a matrix: step k has neighbouring numbers of row k.
#[inline(always)]
pub(super) fn across(matrix: &[f32], width: usize, first: usize) -> impl Fn(usize, usize) -> f32 {
    move |step, row| matrix[step * width + first + row]
}
