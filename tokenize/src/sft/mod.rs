//! Instruction data: prompts and answers, or conversations, become rows that say what is trained on.
//!
//! ```text
//! task file -> Task                ratdata_schemas::recipe  columns, template, shuffle, sample, lengths
//! splits    -> files               split_files.rs  each its own
//! rows      -> examples            rows.rs       a prompt and an answer, a conversation, or a preference pair
//!   prompt  -> ids                 prompt.rs     each distinct story encoded once
//!   pair    -> two examples        preference.rs one prompt, and two answers
//!           -> two rows            preference_cut.rs  with the same prompt, or none
//!   talk    -> ids, trained        conversation.rs
//!   chat    -> text, loss bytes   chat.rs       by a Jinja template, as jinja.rs sets it up
//!           -> marks               families.rs   of a family whose template writes the same text
//!           or turns               turns.rs      where the template writes the assistant's
//!           -> parts               turn_parts.rs thoughts and calls, which may be left out
//!           in time                template_thread.rs  or the job ends
//!   ids     -> row                 clip.rs       cut to length as the reference does
//! rows      -> portions            portions.rs   encoded by the tasks of an array
//! examples  -> order               staged.rs     shuffled and sampled
//!           -> pairs               pairs.rs      the reference's two files
//!           -> documents           documents.rs  a token bin with a loss mask, to be packed
//! splits    -> manifest            job.rs
//! sample    -> what a job will make  estimate.rs
//! ```

mod chat;
mod chat_template;
mod clip;
mod conversation;
mod documents;
mod error;
mod estimate;
mod families;
mod jinja;
mod job;
mod pairs;
mod portions;
mod preference;
mod preference_cut;
mod prompt;
mod python_json;
mod row_error;
mod rows;
mod split_files;
mod staged;
mod template_bounds;
mod template_thread;
mod turn_flags;
mod turn_parts;
mod turns;

pub use chat::Rendered;
pub use chat_template::ChatTemplate;
pub use clip::{Clip, Cut, Example, cut_to_row};
pub use error::SftError;
pub use estimate::{SftEstimate, SplitEstimate};
pub use families::{CHAT_FAMILIES, ChatFamily, chat_family};
pub use jinja::RenderError;
pub use job::{MOST_ROW, SftJob, most_shares};
pub use split_files::source_of;
pub use staged::SftProgress;
