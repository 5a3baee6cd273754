//! Mixing: documents of several artifacts become one, each source by its budget.
//!
//! ```text
//! artifacts, amounts -> MixPlan    plan.rs        what each source gives, how often, what is missing
//!                    -> MixOrder   schemas::draw  which document is at which place
//!                    -> shards     job.rs         each made without the others
//! ```
//!
//! Documents are taken whole. A source that is asked for tokens gives the first documents, in an order of
//! the seed, that have as many: at most one document more than asked. So rounding never begins an epoch.

mod documents;
mod error;
mod job;
mod plan;

pub use error::{MixError, TooSmall};
pub use job::{MixJob, MixProgress, Planned};
pub use plan::{MixPlan, PlannedSource};

/// About how many tokens a shard has: half a gigabyte of 16-bit ids.
pub const SHARD_TOKENS: u64 = 1 << 28;
