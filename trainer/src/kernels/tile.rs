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
/// Each sum is in the order of the steps, so that no bit depends on the tile that a number is in.
///
/// # Shapes
/// `columns`: [steps, columns of the pair].
#[inline(always)]
pub(super) fn add_products<S: Simd, const R: usize>(
    tile: Tile<S, R>,
    steps: impl Iterator<Item = [f32; R]>,
    columns: &[f32],
) -> Tile<S, R> {
    let mut sums = tile;
    for (numbers, columns) in steps.zip(columns.chunks_exact(pair::<S>())) {
        let columns = load_pair::<S>(columns);
        for (sums, number) in sums.iter_mut().zip(numbers) {
            let number = all::<S>(number);
            *sums = [number.mul_add(columns[0], sums[0]), number.mul_add(columns[1], sums[1])];
        }
    }
    sums
}

/// Takes the steps along rows: step k has the number k of each row.
#[inline(always)]
pub(super) fn along<'a, const R: usize>(
    rows: [&'a [f32]; R],
    steps: usize,
) -> impl Iterator<Item = [f32; R]> + use<'a, R> {
    // Now the compiler knows that all are so long.
    let rows = rows.map(|row| &row[..steps]);
    (0..steps).map(move |step| rows.map(|row| row[step]))
}

/// Takes the steps across rows of a matrix: step k has neighbouring numbers of row k.
#[inline(always)]
pub(super) fn across<const R: usize>(
    matrix: &[f32],
    width: usize,
    first: usize,
) -> impl Iterator<Item = [f32; R]> + use<'_, R> {
    matrix.chunks_exact(width).map(move |row| {
        let mut numbers = [0.0; R];
        numbers.copy_from_slice(&row[first..first + R]);
        numbers
    })
}
