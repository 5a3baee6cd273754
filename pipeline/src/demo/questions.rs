//! Questions about sample texts, and the task file that makes rows of them.

use std::path::Path;

use ratdata_schemas::StagedFile;
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

/// Writes `questions/SPLIT.jsonl` and `questions/task.toml` below `root`.
pub(crate) fn write_questions(root: &Path) -> Result<(), Failure> {
    let folder = root.join("questions");
    write(&folder.join("task.toml"), TASK)?;
    for (split, stories, first) in SPLITS {
        let rows: String = (first..first + stories).map(rows).collect();
        write(&folder.join(format!("{split}.jsonl")), &rows)?;
    }
    Ok(())
}

/// Returns the rows of one story, one a line.
fn rows(number: u64) -> String {
    let mut lesson = Lesson::new(number);
    let story = lesson.text();
    let sentences = story.matches(['.', '?']).count();
    let asked = [
        ("What is the story about?", lesson.topic().to_owned()),
        ("Is it a long story?", if sentences > 20 { "Yes" } else { "No" }.to_owned()),
    ];
    let row = |(question, answer): &(&str, String)| {
        format!("{}\n", json!({"story": story, "question": question, "answer": answer}))
    };
    asked.iter().map(row).collect()
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let written = StagedFile::create(path).and_then(|mut file| {
        file.write(text.as_bytes())?;
        file.commit()
    });
    written.map(drop).map_err(|wrong| Failure::new(Kind::Failed, &wrong).hinted(wrong.hint()))
}
