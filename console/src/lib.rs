//! What `ratdata` and `ratdata-train` both show to people, on a terminal and in pictures.
//!
//! ```text
//! FailureKind   failure_kind.rs   why a program ends early, and its exit status
//! interrupt     interrupt.rs      Ctrl-C and SIGTERM, and the flag that work checks
//! BoundedMemory memory.rs         the end of a program that gets no more memory
//! keep_freed_memory kept_memory.rs memory that a program keeps instead of giving it back
//! grouped       quantity.rs       numbers, sizes and times as people read them
//! EXPERIMENTS   experiments.rs    the experiments that are compiled in, by name
//! Plot          plot.rs           lines and bars on a canvas
//!               plot_svg.rs       the same as an SVG file
//! ```

mod experiments;
mod failure_kind;
pub mod interrupt;
mod kept_memory;
mod memory;
mod plot;
mod plot_svg;
mod quantity;

pub use experiments::{EXPERIMENTS, experiment, experiment_name};
pub use failure_kind::FailureKind;
pub use kept_memory::keep_freed_memory;
pub use memory::BoundedMemory;
pub use plot::{Plot, Scale, Series, amount};
pub use quantity::{grouped, lasting, sized, sized_f};
