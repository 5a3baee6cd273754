//! What the forward pass of the scan leaves to the backward pass.

use crate::operand::Operand;

/// What the backward pass of the scan reads.
#[derive(Debug)]
pub struct Saved {
    /// The gates.
    pub gate: Operand,
    /// The inputs.
    pub x: Operand,
    /// The states.
    pub states: Operand,
    /// The derivatives by the states.
    pub grad: Operand,
}
