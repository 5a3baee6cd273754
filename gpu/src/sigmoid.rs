//! The sigmoid of gates.

use cubecl::prelude::*;

/// Computes 1 / (1 + exp(-x)).
#[cube]
pub(crate) fn sigmoid(x: f32) -> f32 {
    let one = f32::new(1.0_f32);
    one / (one + (f32::new(0.0_f32) - x).exp())
}
