//! The training recipe: `AdamW` over global-norm clipped gradients, and the learning rate's course.

mod adamw;
mod gradients;
mod schedule;

pub use adamw::{OptimError, Optimizer, OptimizerConfig, Step};
pub use gradients::{Gradients, average};
pub use schedule::{Schedule, ScheduleConfig};
