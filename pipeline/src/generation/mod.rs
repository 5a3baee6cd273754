//! Text from a trained model: this program has the text, the trainer's process has the model.
//!
//! ```text
//! continuing.rs   prompts of the command line, shown as their tokens come
//! answering.rs    prompts of an input, whose answers become a file of predictions
//!   -> process.rs      the trainer's process: requests to it, events from it
//!   -> prompts.rs      JSON lines, or a split that `sft` made
//!   -> predictions.rs  the file of predictions, in order, resumed after a kill
//!   -> progress.rs     how far the rows of an input are
//! run.rs          the tokenizer and the chat template of a run's data
//! settings.rs     how texts are generated, and what decides their bytes
//! ```

mod answering;
mod continuing;
mod predictions;
mod process;
mod progress;
mod prompts;
mod run;
mod settings;

pub(crate) use answering::{Target, answer, predict};
pub(crate) use continuing::continue_texts;
pub(crate) use process::ModelProcess;
pub(crate) use prompts::{Prompt, PromptSet, Words};
pub(crate) use run::{chat_of, check_run, tokenizer_of};
pub(crate) use settings::{RUN_HINT, Settings};
