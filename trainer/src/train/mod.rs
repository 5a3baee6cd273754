//! The training loop: iterations, validation, checkpoints, and what is written on the way.

mod checkpoint;
mod curve;
mod error;
mod iteration;
mod job;
mod log;
mod metrics;
mod plan;
mod tensorboard;
mod validate;
mod weights;

pub use checkpoint::{Record, WEIGHTS_FILE};
pub use error::TrainError;
pub use iteration::{Measured, Outcome, forward, iterate};
pub use job::{
    BAD_BATCH_FILE, CHECKED_TOKENS, CURVE_FILE, Job, Progress, RESOLVED_FILE, Report, RunOptions,
    Summary,
};
pub use metrics::{Line, METRICS_FILE, read as read_metrics};
pub use plan::{Plan, grouped};
pub use validate::{Validated, validate};
pub use weights::read_weights;
