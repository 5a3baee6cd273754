//! From one row of data to its examples.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use ratdata_schemas::TokenId;
use serde_json::Value;

use super::clip::{Clip, Example, cut_to_row};
use super::conversation::ConversationEncoder;
use super::error::SftError;
use super::preference::{PROMPT, PreferenceEncoder};
use super::preference_cut::PreferenceFate;
use super::prompt::{PromptEncoder, PromptError};
use super::python_json;
use super::row_error::{RowError, no_text};
use super::template_thread::Talk;
use crate::source::{SourceError, SourceFile, Table, at_path, text_at};
use crate::tokenizer::{Encoder, Tokenizer};
use ratdata_schemas::recipe::{Chat, Split, Task, Template, Truncate};

/// Makes the examples of one split's rows; any thread may, with an encoder of its own.
#[derive(Debug)]
pub(crate) struct RowEncoder<'a> {
    split: &'a Split,
    kind: ExampleForm<'a>,
    eos: TokenId,
    limit: usize,
    truncate: Truncate,
    interrupted: &'a AtomicBool,
}

#[derive(Debug)]
enum ExampleForm<'a> {
    Prompt { template: &'a Template, prompts: PromptEncoder },
    Chat { chat: &'a Chat, conversations: Box<ConversationEncoder<'a>> },
    Preference { columns: Vec<&'a str>, pairs: Box<PreferenceEncoder<'a>> },
}

/// The examples of a row: one for each answer column, `None` where one was dropped for its length; two of
/// a preference pair, and none where that was left out.
#[derive(Debug, Default)]
pub(crate) struct RowExamples {
    pub(crate) examples: Vec<Option<Example>>,
    /// The line of references, where the row is to be scored.
    pub(crate) references: Option<String>,
    /// What became of the preference pair, if the row has one.
    pub(crate) preference: Option<PreferenceFate>,
}

impl<'a> RowEncoder<'a> {
    /// Gets ready for rows of at most `limit` tokens.
    ///
    /// # Errors
    ///
    /// A chat template is missing or malformed.
    pub(crate) fn new(
        task: &'a Task,
        split: &'a Split,
        tokenizer: &'a Tokenizer,
        eos: TokenId,
        limit: usize,
        truncate: Truncate,
        interrupted: &'a AtomicBool,
    ) -> Result<Self, SftError> {
        let prompt = split.prompt.as_ref().or(task.prompt.as_ref());
        let kind = if let Some(preference) = &task.preference {
            let mut columns = vec![preference.chosen.as_str(), preference.rejected.as_str()];
            columns.extend(preference.prompt.as_deref());
            columns.extend(prompt.into_iter().flat_map(Template::columns));
            columns.extend(task.chat.as_ref().and_then(|chat| chat.tools.as_deref()));
            let pairs = PreferenceEncoder::new(
                preference,
                (task.chat.as_ref(), prompt),
                (tokenizer, eos),
                (limit, truncate),
                interrupted,
            );
            ExampleForm::Preference { columns, pairs: Box::new(pairs) }
        } else if let Some(chat) = &task.chat {
            let conversations = ConversationEncoder::new(chat, tokenizer, interrupted)?;
            ExampleForm::Chat { chat, conversations: Box::new(conversations) }
        } else if let Some(template) = prompt {
            let prompts = PromptEncoder::new(template, tokenizer, limit + 1);
            ExampleForm::Prompt { template, prompts }
        } else {
            let reason = "the task has neither a prompt nor a chat".to_owned();
            return Err(SftError::ChatTemplate { reason });
        };
        Ok(Self { split, kind, eos, limit, truncate, interrupted })
    }

    fn conversations(&self) -> Option<&ConversationEncoder<'a>> {
        match &self.kind {
            ExampleForm::Prompt { .. } => None,
            ExampleForm::Chat { conversations, .. } => Some(conversations),
            ExampleForm::Preference { pairs, .. } => pairs.conversations(),
        }
    }

    /// Returns the keys of messages that look like flags and are not read.
    pub(crate) fn unread_flags(&self) -> BTreeSet<String> {
        self.conversations().map(ConversationEncoder::unread_flags).unwrap_or_default()
    }

    /// Returns how many conversations, since it was last asked, have a turn that is trained on without
    /// something to stop at.
    pub(crate) fn take_unstopped(&self) -> u64 {
        self.conversations().map_or(0, ConversationEncoder::take_unstopped)
    }

    /// Opens a file to read the columns that the task names, and a column of prompts where that may be there.
    ///
    /// # Errors
    ///
    /// The file cannot be read, is damaged, or has no such column.
    pub(crate) fn open(&self, file: &SourceFile) -> Result<Table, SourceError> {
        let mut columns: Vec<&str> = match &self.kind {
            ExampleForm::Chat { chat, .. } => {
                std::iter::once(chat.messages.as_str()).chain(chat.tools.as_deref()).collect()
            }
            ExampleForm::Prompt { template, .. } => template.columns().collect(),
            ExampleForm::Preference { columns, pairs } => {
                let columns = columns.clone();
                if pairs.reads_own_prompt() {
                    let with_prompt = [columns.as_slice(), &[PROMPT]].concat();
                    return match Table::open(file, &with_prompt) {
                        Err(SourceError::NoColumn { column, .. }) if column == PROMPT => {
                            Table::open(file, &columns)
                        }
                        opened => opened,
                    };
                }
                columns
            }
        };
        columns.extend(self.split.answers.iter().map(String::as_str));
        columns.extend(self.split.references.as_deref());
        Table::open(file, &columns)
    }

    /// Returns how many examples a row has.
    pub(crate) fn examples_per_row(&self) -> usize {
        match self.kind {
            ExampleForm::Preference { .. } => 2,
            _ => self.split.answers.len().max(1),
        }
    }

    /// Returns whether the two examples of a row are the answers of a preference pair.
    pub(crate) fn is_preference(&self) -> bool {
        matches!(self.kind, ExampleForm::Preference { .. })
    }

    /// Makes a row's examples.
    pub(crate) fn encode(
        &self,
        row: &Value,
        encoder: &mut Encoder,
    ) -> Result<RowExamples, RowError> {
        if self.interrupted.load(Ordering::Relaxed) {
            return Err(RowError::Interrupted);
        }
        match &self.kind {
            ExampleForm::Chat { chat, conversations } => {
                let example = self.encode_chat(chat, conversations, row, encoder)?;
                Ok(RowExamples { examples: vec![example], ..RowExamples::default() })
            }
            ExampleForm::Preference { pairs, .. } => {
                let (examples, fate) = pairs.encode(row, encoder)?;
                let examples = examples.into_iter().map(Some).collect();
                Ok(RowExamples { examples, references: None, preference: Some(fate) })
            }
            ExampleForm::Prompt { prompts, .. } => {
                let prompt = prompts.encode(row, encoder).map_err(|wrong| match wrong {
                    PromptError::NoText(path) => RowError::Bad(no_text(row, &path)),
                    PromptError::Encode(wrong) => RowError::Encode(wrong),
                })?;
                if let Some(path) = &self.split.references {
                    let answer = at_path(row, path)
                        .filter(|answer| !answer.is_null())
                        .ok_or_else(|| RowError::Bad(no_text(row, path)))?;
                    let line = python_json::to_string(&serde_json::json!({ "answer": answer }));
                    let example = self.cut(&prompt, |_| false, Some(self.eos));
                    let (examples, references) = (vec![example], Some(line));
                    return Ok(RowExamples { examples, references, preference: None });
                }
                let mut examples = Vec::with_capacity(self.split.answers.len());
                for path in &self.split.answers {
                    examples.push(self.answered(&prompt, row, path, encoder)?);
                }
                Ok(RowExamples { examples, ..RowExamples::default() })
            }
        }
    }

    /// Appends the answer at `path` to a prompt: encoded on its own, and trained on.
    fn answered(
        &self,
        prompt: &Clip,
        row: &Value,
        path: &str,
        encoder: &mut Encoder,
    ) -> Result<Option<Example>, RowError> {
        let answer = text_at(row, path).ok_or_else(|| RowError::Bad(no_text(row, path)))?;
        if answer.trim().is_empty() {
            return Err(RowError::Bad(format!("`{path}` is an empty answer")));
        }
        let mut ids: Vec<TokenId> = Vec::new();
        encoder.encode_into(answer, &mut ids)?;
        let mut whole = prompt.clone();
        whole.push(&Clip::of(&ids, self.limit + 1), self.limit + 1);
        let begin = prompt.total();
        Ok(self.cut(&whole, |position| position >= begin, Some(self.eos)))
    }

    fn encode_chat(
        &self,
        chat: &Chat,
        conversations: &ConversationEncoder<'_>,
        row: &Value,
        encoder: &mut Encoder,
    ) -> Result<Option<Example>, RowError> {
        let messages = at_path(row, &chat.messages);
        let Some(Value::Array(messages)) = messages else {
            return Err(RowError::Bad(format!("`{}` holds no list of messages", chat.messages)));
        };
        let tools = chat.tools.as_ref().and_then(|path| at_path(row, path));
        let rendered = conversations.write(Talk { messages, tools, read_only: 0 })?;
        let encoded = conversations.encode(&rendered, encoder)?;
        let clip = Clip::of(&encoded.ids, self.limit + 1);
        Ok(self.cut(&clip, |position| encoded.trained[position], None))
    }

    fn cut(
        &self,
        clip: &Clip,
        trained: impl Fn(usize) -> bool,
        closing: Option<TokenId>,
    ) -> Option<Example> {
        cut_to_row(clip, trained, closing, self.limit, self.truncate)
    }
}
