//! The training recipe: `AdamW` with clipping by the global norm, and the schedule of learning rates.

mod adamw;
mod moments;
mod schedule;

pub use adamw::{Optimizer, OptimizerConfig, Updated};
pub use moments::OptimError;
pub use schedule::{Schedule, ScheduleConfig};
