//! The rows of a task's file as prompts with answers.

use std::fs;
use std::path::Path;

use ratdata_schemas::Checksum;
use ratdata_tokenize::tokenizer::Tokenizer;
use serde_json::{Map, Value};

use super::cut::cut;
use super::tasks::LongBenchTask;
use crate::failure::{Failure, Kind};
use crate::generation::{Prompt, PromptSet, Words};
use crate::interrupt;

/// What LongBench writes next to a prediction.
const FACTS: [&str; 3] = ["answers", "all_classes", "length"];

/// What a user can do where a task's file is not there.
pub(crate) const FILES_HINT: &str =
    "LongBench's data.zip has a file for each task; `--tasks` chooses some of them";

/// Reads the prompts of a task from `TASK.jsonl` in `folder`, the first `limit` of them, each cut to leave
/// room for an answer in a sequence of `context` tokens.
///
/// # Errors
///
/// The file is not there, a row is not one of the task, has no answers, or leaves no room for an answer.
pub(crate) fn prompts_of(
    task: LongBenchTask,
    folder: &Path,
    tokenizer: &Tokenizer,
    context: usize,
    limit: Option<usize>,
) -> Result<PromptSet, Failure> {
    let path = task.path(folder);
    let failed = |why: String, hint: &str| {
        Failure::message(Kind::Failed, format!("{}{why}", path.display())).hinted(Some(hint))
    };
    let bytes =
        fs::read(&path).map_err(|wrong| failed(format!(": cannot read: {wrong}"), FILES_HINT))?;
    let mut prompts = Vec::new();
    for (number, line) in (1..).zip(bytes.split(|&byte| byte == b'\n')) {
        interrupt::check()?;
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        if limit.is_some_and(|limit| prompts.len() >= limit) {
            break;
        }
        let hint = "a line is an object with `context`, `input` and `answers`, as in LongBench";
        let row: Map<String, Value> = serde_json::from_slice(line)
            .map_err(|wrong| failed(format!(":{number}: not a row: {wrong}"), hint))?;
        let text = task
            .prompt(&row)
            .map_err(|column| failed(format!(":{number}: the row has no text `{column}`"), hint))?;
        let answers = row.get("answers").and_then(Value::as_array);
        if !answers.is_some_and(|all| !all.is_empty() && all.iter().all(Value::is_string)) {
            return Err(failed(format!(":{number}: the row has no `answers`"), hint));
        }
        let ids = tokenizer.encode(&text).map_err(|wrong| {
            Failure::message(Kind::Failed, format!("{}:{number}: {wrong}", path.display()))
                .hinted(wrong.hint())
        })?;
        let new = task.max_new_tokens();
        let ids = cut(ids, context, new).ok_or_else(|| {
            let message = format!(
                "{task}: {new} new tokens leave no room for a prompt in a sequence of {context}"
            );
            Failure::message(Kind::Usage, message).hinted(Some(
                "give `--context N` and `--grow`, or leave the task out with `--tasks`",
            ))
        })?;
        let facts =
            FACTS.iter().filter_map(|&key| Some((key.to_owned(), row.get(key)?.clone()))).collect();
        let place = format!("{}:{number}", path.display());
        prompts.push(Prompt { words: Words::Ids(ids), facts, place });
    }
    if prompts.is_empty() {
        return Err(failed(": has no rows".into(), "give a file of LongBench"));
    }
    let checksum = Checksum::of(&bytes);
    let (name, max_new) = (task.name().to_owned(), Some(task.max_new_tokens()));
    Ok(PromptSet { name, prompts, checksum, split: None, max_new, tokenizer: None })
}
