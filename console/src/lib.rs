//! What `ratdata` and `ratdata-train` both do on a terminal.
//!
//! ```text
//! FailureKind   failure_kind.rs   why a program ends early, and its exit status
//! interrupt     interrupt.rs      Ctrl-C and SIGTERM, and the flag that work checks
//! grouped       quantity.rs       numbers and sizes as people read them
//! EXPERIMENTS   experiments.rs    the experiments that are compiled in, by name
//! ```

mod experiments;
mod failure_kind;
pub mod interrupt;
mod quantity;

pub use experiments::{EXPERIMENTS, experiment, experiment_name};
pub use failure_kind::FailureKind;
pub use quantity::{grouped, sized, sized_f};
