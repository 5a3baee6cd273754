//! A training run: iterations, validation, checkpoints, and what is written on the way.
//!
//! ```text
//! training_loop.rs   from the first iteration, or a checkpoint, to the last
//!   -> state.rs          model, optimizer and progress; checkpoint.rs and weights.rs read them
//!   -> iteration.rs      gradients of a batch, and one update
//!   -> validate.rs       the loss on the validation parts
//!   -> log.rs            metrics.rs, tensorboard.rs and, at the end, curve.rs
//!   -> wandb.rs          a process that feeds Weights & Biases
//!   -> run_files.rs      resolved experiment, curve, bad batch
//!   -> job.rs            the run before it begins: open data, and plan.rs
//! report.rs          what a run reports to its caller
//! ```

mod checkpoint;
mod curve;
mod error;
mod iteration;
mod job;
mod log;
mod metrics;
mod plan;
mod report;
mod run_files;
mod state;
mod tensorboard;
mod training_loop;
mod validate;
mod wandb;
mod weights;

pub use checkpoint::{CheckpointRecord, WEIGHTS_FILE};
pub use error::TrainError;
pub use iteration::{IterationOptions, Measured, Outcome, forward, iterate};
pub use job::{CHECKED_TOKENS, Job};
pub use metrics::{METRICS_FILE, MetricsLine, read as read_metrics};
pub use plan::Plan;
pub use report::{Progress, Report, Summary};
pub use run_files::{BAD_BATCH_FILE, CURVE_FILE, RESOLVED_FILE};
pub use training_loop::RunOptions;
pub use validate::{Validated, validate};
pub(crate) use weights::check_weights;
pub use weights::read_weights;
