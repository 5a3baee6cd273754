//! Rows of a matrix: one cube each, whose units share the row's values and their sum.

use cubecl::calculate_cube_count_elemwise;
use cubecl::prelude::*;

/// How many units share a row: as many as every GPU has in a cube.
pub(crate) const UNITS: usize = 256;

/// How often the number of units is halved until one is left.
const HALVINGS: usize = UNITS.trailing_zeros() as usize;

/// Returns the sum of a value of each unit, to all of them.
#[cube]
pub(crate) fn sum_of_units(value: f32) -> f32 {
    over_units(value, false)
}

/// Returns the highest of the values of all units, to all of them.
#[cube]
pub(crate) fn highest_of_units(value: f32) -> f32 {
    over_units(value, true)
}

/// Joins the values of all units by halves: by their maximum, or by their sum.
#[cube]
fn over_units(value: f32, #[comptime] by_maximum: bool) -> f32 {
    let mut values = Shared::<[f32]>::new_slice(UNITS);
    let unit = UNIT_POS as usize;
    values[unit] = value;
    sync_cube();
    #[unroll]
    for halving in 0..HALVINGS {
        let span = comptime!(UNITS >> (halving + 1));
        if unit < span {
            let (one, other) = (values[unit], values[unit + span]);
            if comptime!(by_maximum) {
                values[unit] = max(one, other);
            } else {
                values[unit] = one + other;
            }
        }
        sync_cube();
    }
    let joined = values[0];
    // The next call may use the same memory.
    sync_cube();
    joined
}

/// Returns how many cubes of how many units make a cube for each row, or a few more.
pub(crate) fn cubes(client: &Client, rows: usize) -> (CubeCount, CubeDim) {
    let dim = CubeDim::new_1d(256);
    (calculate_cube_count_elemwise(client, rows * UNITS, dim), dim)
}
