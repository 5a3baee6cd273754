//! The training recipe: `AdamW` over global-norm clipped gradients, and the learning rate's course.

mod adamw;
mod gradients;
mod moments;
mod schedule;

pub use adamw::{Optimizer, OptimizerConfig, Step};
pub use gradients::Gradients;
pub use moments::OptimError;
pub use schedule::{Schedule, ScheduleConfig};
