//! The recurrent layers' gates and scans: from a projection to states and back, in one pass over it.
//!
//! ```text
//! inputs.rs     what both passes read
//! sizes.rs      the channels of a projection, and how rows are cut into strands
//! forward.rs    gates, and the states of values and keys
//! backward.rs   the derivative by the whole projection
//! segments.rs   what comes into a strand from its neighbours, where only those know
//! ```
//!
//! A thread takes a strand of some time steps, and the channels that share one key.

mod backward;
mod forward;
mod inputs;
mod segments;
mod sizes;

pub use self::backward::{Saved, Slopes, backward};
pub use self::forward::{States, forward};
pub use self::inputs::Inputs;
pub use self::sizes::{Sizes, Strands};
#[cfg(feature = "cuda-source")]
use crate::machine::{Kernel, Machine};

/// Returns the kernels of this folder as they are compiled for a machine.
#[cfg(feature = "cuda-source")]
pub(crate) fn kernels(on: &Machine) -> Vec<Kernel> {
    let mut kernels = forward::kernels(on);
    kernels.extend(backward::kernels(on));
    kernels.extend(segments::kernels(on));
    kernels
}
