//! Prompts with what is known of their answers: from JSON lines, or from a split that `sft` made.

use std::fs;
use std::path::{Path, PathBuf};

use ratdata_schemas::recipe::{Recipe, TASKS, Task};
use ratdata_schemas::{
    BinError, Checksum, Manifest, Row, RowSet, SplitRecord, TokenId, TokenizerRecord,
    manifest_checksum,
};
use ratdata_tokenize::tokenizer::Tokenizer;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::failure::{Failure, Kind};

/// What the predictions of a task of the user's own are called.
const UNNAMED: &str = "predictions";

/// A prompt.
#[derive(Clone, Debug)]
pub(crate) struct Prompt {
    pub(crate) words: Words,
    /// What is written next to the prediction: `answers`, and other keys of the input.
    pub(crate) facts: Map<String, Value>,
    /// Where it comes from, for messages.
    pub(crate) place: String,
}

/// The content of a prompt.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(crate) enum Words {
    Text(String),
    Ids(Vec<TokenId>),
}

impl Prompt {
    /// Returns the ids; a special token in a text becomes its id, as in training.
    pub(super) fn ids(&self, tokenizer: &Tokenizer) -> Result<Vec<TokenId>, Failure> {
        match &self.words {
            Words::Ids(ids) => Ok(ids.clone()),
            Words::Text(text) => tokenizer.encode(text).map_err(|wrong| {
                Failure::message(Kind::Failed, format!("{}: {wrong}", self.place))
                    .hinted(wrong.hint())
            }),
        }
    }
}

/// The prompts of an input.
#[derive(Clone, Debug)]
pub(crate) struct PromptSet {
    /// What the file of predictions is called.
    pub(crate) name: String,
    pub(crate) prompts: Vec<Prompt>,
    /// The checksum of the input.
    pub(crate) checksum: Checksum,
    /// The split of an artifact.
    pub(crate) split: Option<String>,
    /// How many tokens an answer has at most, according to the task.
    pub(crate) max_new: Option<usize>,
    /// The tokenizer that made the ids.
    pub(crate) tokenizer: Option<TokenizerRecord>,
}

/// A line of prompts.
#[derive(Deserialize)]
struct PromptLine {
    prompt: Words,
    #[serde(flatten)]
    facts: Map<String, Value>,
}

impl PromptSet {
    /// Reads an artifact's split, or a file of JSON lines.
    pub(crate) fn read(path: &Path, split: &str) -> Result<Self, Failure> {
        if path.is_dir() { Self::of_artifact(path, split) } else { Self::of_lines(path) }
    }

    fn of_lines(path: &Path) -> Result<Self, Failure> {
        let bytes =
            fs::read(path).map_err(|wrong| failed(path, &format!("cannot read: {wrong}")))?;
        let mut prompts = Vec::new();
        for (number, line) in (1..).zip(bytes.split(|&byte| byte == b'\n')) {
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let place = format!("{}:{number}", path.display());
            let PromptLine { prompt: words, facts } = serde_json::from_slice(line).map_err(|wrong| {
                let hint = "a line is an object such as {\"prompt\": \"Once upon\", \"answers\": [\"a time\"]}";
                Failure::message(Kind::Failed, format!("{place}: {wrong}")).hinted(Some(hint))
            })?;
            prompts.push(Prompt { words, facts, place });
        }
        if prompts.is_empty() {
            return Err(failed(path, &"has no prompts"));
        }
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let checksum = Checksum::of(&bytes);
        Ok(Self { name, prompts, checksum, split: None, max_new: None, tokenizer: None })
    }

    fn of_artifact(root: &Path, split: &str) -> Result<Self, Failure> {
        let manifest = Manifest::read(root)
            .map_err(|wrong| Failure::new(Kind::Failed, &wrong).hinted(wrong.hint()))?;
        let rows = RowSet::open(root, split)
            .map_err(|wrong| Failure::new(Kind::Failed, &wrong).hinted(wrong.hint()))?;
        let Some(SplitRecord::Pairs(pairs)) = manifest.splits.get(split) else {
            let hint = "make pairs with `ratdata sft --split test`, or give prompts as JSON lines";
            return Err(failed(root, &format!("split `{split}` has no prompts: it is packed"))
                .hinted(Some(hint)));
        };
        let answers = match &pairs.answers {
            Some(record) => {
                let path = record.resolve(root);
                let refuse =
                    |wrong: BinError| Failure::new(Kind::Failed, &wrong).hinted(wrong.hint());
                answers_of(&path.map_err(refuse)?)?
            }
            None => Vec::new(),
        };
        let mut row = Row::default();
        let mut prompts = Vec::new();
        for number in 0..rows.num_rows() {
            rows.read(number, &mut row);
            let len = rows.recorded_lengths(number).map_or(0, |(prompt, _)| prompt as usize);
            let ids = row.inputs[..len.min(row.inputs.len())].to_vec();
            let place = format!("{}: `{split}` row {number}", root.display());
            let known = usize::try_from(number).ok().and_then(|number| answers.get(number));
            let facts = known.map(|answers| ("answers".to_owned(), json!(answers)));
            prompts.push(Prompt {
                words: Words::Ids(ids),
                facts: facts.into_iter().collect(),
                place,
            });
        }
        if prompts.is_empty() {
            return Err(failed(root, &format!("split `{split}` has no rows")));
        }
        let checksum = manifest_checksum(root)
            .map_err(|wrong| Failure::new(Kind::Failed, &wrong).hinted(wrong.hint()))?;
        let task = match &manifest.recipe {
            Recipe::Sft(sft) => Some(&sft.task),
            _ => None,
        };
        Ok(Self {
            name: task.and_then(name_of).unwrap_or(UNNAMED).to_owned(),
            prompts,
            checksum,
            split: Some(split.to_owned()),
            max_new: task.and_then(|task| usize::try_from(task.max_new_tokens).ok()),
            tokenizer: Some(manifest.tokenizer),
        })
    }
}

/// Returns the name of a task that is compiled in: the one with the same prompt and as many new tokens.
fn name_of(task: &Task) -> Option<&'static str> {
    let same = |name: &&str| {
        Task::named(name).is_ok_and(|named| {
            named.prompt == task.prompt && named.max_new_tokens == task.max_new_tokens
        })
    };
    TASKS.iter().map(|(name, _)| *name).find(same)
}

/// Reads the answers of each row: one or a list of them.
fn answers_of(path: &PathBuf) -> Result<Vec<Vec<String>>, Failure> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Answer {
        One(String),
        Several(Vec<String>),
    }
    #[derive(Deserialize)]
    struct PromptLine {
        answer: Answer,
    }
    let text =
        fs::read_to_string(path).map_err(|wrong| failed(path, &format!("cannot read: {wrong}")))?;
    let answers = (1..).zip(text.lines()).map(|(number, line)| {
        let line: PromptLine = serde_json::from_str(line).map_err(|wrong| {
            Failure::message(Kind::Mismatch, format!("{}:{number}: {wrong}", path.display()))
        })?;
        Ok(match line.answer {
            Answer::One(answer) => vec![answer],
            Answer::Several(answers) => answers,
        })
    });
    answers.collect()
}

fn failed(path: &Path, why: &dyn std::fmt::Display) -> Failure {
    Failure::message(Kind::Failed, format!("{}: {why}", path.display()))
}
