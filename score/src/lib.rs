//! Scores of generated text: what the Python scorers compute, number for number.
//!
//! ```text
//! predictions.rs        JSON lines -> rows of a prediction and its answers
//!   -> task.rs          the metric of a task, and what of a prediction it reads
//!        -> metric.rs   one row, the best over its answers
//!             -> f1.rs, rouge_l.rs, rouge_google.rs, code_similarity.rs, classification.rs, matches.rs
//!                  -> python.rs, sequence_matcher.rs   what Python's `str` and `difflib` do
//! ```
//!
//! ```
//! use ratdata_score::Metric;
//!
//! let answers = ["Paris, France".to_owned(), "Paris".to_owned()];
//! let score = |metric: Metric| metric.score("The Paris", &answers, &[]);
//!
//! assert_eq!(score(Metric::F1), 1.0);
//! assert!(score(Metric::RougeL) < 1.0);
//! ```

mod classification;
mod code_similarity;
mod f1;
mod matches;
mod metric;
mod predictions;
mod python;
mod rouge_google;
mod rouge_l;
mod sequence_matcher;
mod task;

pub use metric::{Metric, mean_percent};
pub use predictions::{Prediction, PredictionsError, read_predictions};
pub use task::{Task, UnknownTask};
