//! Questions about sample texts, and the task file that makes rows of them.

use std::path::Path;

use ratdata_schemas::write_bytes;
use serde_json::json;

use super::corpus::Lesson;
use crate::failure::{Failure, Kind};

/// Each split, how many stories it has, and the number of its first story.
const SPLITS: [(&str, u64, u64); 2] = [("train", 300, 1 << 20), ("validation", 40, 1 << 21)];

/// How the questions become prompts.
const TASK: &str = r#"# Two questions about each story; a story is encoded once.
prompt = "Story: {story}\n\nQuestion: {question}\n\nAnswer:"
max_new_tokens = 16

[splits.train]
source = "train.jsonl"
local = "train.jsonl"
answers = ["answer"]
shuffle = 1234

[splits.validation]
source = "validation.jsonl"
local = "validation.jsonl"
answers = ["answer"]
"#;

/// How many stories the rows to answer have, and the number of the first one.
const TEST: (u64, u64) = (20, 3 << 20);

/// The same prompts, with the answers that a prediction is compared with.
const TEST_TASK: &str = r#"# Questions that a model answers, and none is trained on.
prompt = "Story: {story}\n\nQuestion: {question}\n\nAnswer:"
max_new_tokens = 16

[splits.test]
source = "test.jsonl"
local = "test.jsonl"
references = "answers"
"#;

/// Writes `questions/SPLIT.jsonl`, `questions/task.toml` and `questions/test.toml` below `root`.
pub(crate) fn write_questions(root: &Path) -> Result<(), Failure> {
    let folder = root.join("questions");
    write(&folder.join("task.toml"), TASK)?;
    for (split, stories, first) in SPLITS {
        let rows: String = (first..first + stories).map(rows).collect();
        write(&folder.join(format!("{split}.jsonl")), &rows)?;
    }
    write(&folder.join("test.toml"), TEST_TASK)?;
    let (stories, first) = TEST;
    let rows: String = (first..first + stories).map(test_rows).collect();
    write(&folder.join("test.jsonl"), &rows)
}

/// Returns the rows of one story to train on, one a line.
fn rows(number: u64) -> String {
    let line = |(story, question, answer): (&str, &str, &str)| {
        format!("{}\n", json!({"story": story, "question": question, "answer": answer}))
    };
    asked(number, line)
}

/// Returns the rows of one story to answer, one a line.
fn test_rows(number: u64) -> String {
    let line = |(story, question, answer): (&str, &str, &str)| {
        format!("{}\n", json!({"story": story, "question": question, "answers": [answer]}))
    };
    asked(number, line)
}

/// Asks two questions about a story.
fn asked(number: u64, line: impl Fn((&str, &str, &str)) -> String) -> String {
    let mut lesson = Lesson::new(number);
    let story = lesson.text();
    let sentences = story.matches(['.', '?']).count();
    let length = if sentences > 20 { "Yes" } else { "No" };
    [("What is the story about?", lesson.topic()), ("Is it a long story?", length)]
        .into_iter()
        .map(|(question, answer)| line((&story, question, answer)))
        .collect()
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    write_bytes(path, text.as_bytes())
        .map_err(|wrong| Failure::new(Kind::Failed, &wrong).hinted(wrong.hint()))
}
