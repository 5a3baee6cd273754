//! From one row of data to its examples.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use ratdata_schemas::TokenId;
use serde_json::Value;

use super::chat_template::ChatTemplate;
use super::clip::{Clip, Example, cut_to_row};
use super::error::SftError;
use super::jinja::RenderError;
use super::prompt::{PromptEncoder, PromptError};
use super::python_json;
use super::template_thread::{Refusal, ThreadedTemplate};
use super::turn_flags::unread_flag;
use crate::source::{at_path, text_at};
use crate::tokenizer::{AlignedIds, EncodeError, Encoder, Tokenizer};
use ratdata_schemas::recipe::Template;
use ratdata_schemas::recipe::Truncate;
use ratdata_schemas::recipe::{Chat, Split, Task};

/// Makes the examples of one split's rows; any thread may, with an encoder of its own.
#[derive(Debug)]
pub(crate) struct RowEncoder<'a> {
    tokenizer: &'a Tokenizer,
    split: &'a Split,
    kind: ExampleForm<'a>,
    eos: TokenId,
    limit: usize,
    truncate: Truncate,
    interrupted: &'a AtomicBool,
    /// How many conversations have a turn that is trained on without something to stop at.
    unstopped: AtomicU64,
    /// Keys of messages that look like flags and are not read.
    unread: Mutex<BTreeSet<String>>,
}

#[derive(Debug)]
enum ExampleForm<'a> {
    Prompt { template: &'a Template, prompts: PromptEncoder },
    Chat { chat: &'a Chat, template: Box<ThreadedTemplate> },
}

/// The examples of a row: one for each answer column, `None` where one was dropped for its length.
#[derive(Debug, Default)]
pub(crate) struct RowExamples {
    pub(crate) examples: Vec<Option<Example>>,
    /// The line of references, where the row is to be scored.
    pub(crate) references: Option<String>,
}

/// Why a row gave no example.
pub(crate) enum RowError {
    /// The row is at fault, and may be skipped.
    Bad(String),
    /// The chat template refuses the row as it would refuse any.
    Refused(String),
    /// The user asked to stop.
    Interrupted,
    /// It cannot be encoded.
    Encode(EncodeError),
    /// The chat template is at fault.
    Template(String),
}

impl From<EncodeError> for RowError {
    fn from(wrong: EncodeError) -> Self {
        Self::Encode(wrong)
    }
}

/// Says that a path leads to no text, and what the row has where its first name is not there.
fn no_text(row: &Value, path: &str) -> String {
    let first = path.split('.').next().unwrap_or(path);
    match row.as_object() {
        Some(fields) if !fields.contains_key(first) => {
            let present: Vec<&str> = fields.keys().map(String::as_str).collect();
            format!("`{path}` holds no text; the columns are: {}", present.join(", "))
        }
        _ => format!("`{path}` holds no text"),
    }
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
        let kind = match (&task.chat, split.prompt.as_ref().or(task.prompt.as_ref())) {
            (Some(chat), _) => {
                let template = Box::new(ThreadedTemplate::new(template(chat, tokenizer)?));
                ExampleForm::Chat { chat, template }
            }
            (None, Some(template)) => ExampleForm::Prompt {
                template,
                prompts: PromptEncoder::new(template, tokenizer, limit + 1),
            },
            (None, None) => {
                let reason = "the task has neither a prompt nor a chat".to_owned();
                return Err(SftError::ChatTemplate { reason });
            }
        };
        let (unstopped, unread) = (AtomicU64::new(0), Mutex::default());
        Ok(Self { tokenizer, split, kind, eos, limit, truncate, interrupted, unstopped, unread })
    }

    /// Returns the keys of messages that look like flags and are not read.
    pub(crate) fn unread_flags(&self) -> BTreeSet<String> {
        self.unread.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns how many conversations, since it was last asked, have a turn that is trained on without
    /// something to stop at.
    pub(crate) fn take_unstopped(&self) -> u64 {
        self.unstopped.swap(0, Ordering::Relaxed)
    }

    /// Returns the paths of the columns that are read.
    pub(crate) fn columns(&self) -> Vec<&'a str> {
        let mut columns: Vec<&str> = match &self.kind {
            ExampleForm::Chat { chat, .. } => {
                std::iter::once(chat.messages.as_str()).chain(chat.tools.as_deref()).collect()
            }
            ExampleForm::Prompt { template, .. } => template.columns().collect(),
        };
        columns.extend(self.split.answers.iter().map(String::as_str));
        columns.extend(self.split.references.as_deref());
        columns
    }

    /// Returns how many examples a row has.
    pub(crate) fn examples_per_row(&self) -> usize {
        self.split.answers.len().max(1)
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
            ExampleForm::Chat { chat, template } => {
                let example = self.encode_chat(chat, template, row, encoder)?;
                Ok(RowExamples { examples: vec![example], references: None })
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
                    return Ok(RowExamples { examples: vec![example], references: Some(line) });
                }
                let mut examples = Vec::with_capacity(self.split.answers.len());
                for path in &self.split.answers {
                    examples.push(self.answered(&prompt, row, path, encoder)?);
                }
                Ok(RowExamples { examples, references: None })
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
        template: &ThreadedTemplate,
        row: &Value,
        encoder: &mut Encoder,
    ) -> Result<Option<Example>, RowError> {
        let messages = at_path(row, &chat.messages);
        let Some(Value::Array(messages)) = messages else {
            return Err(RowError::Bad(format!("`{}` holds no list of messages", chat.messages)));
        };
        if let Some(key) = messages.iter().find_map(unread_flag) {
            let mut unread = self.unread.lock().unwrap_or_else(PoisonError::into_inner);
            if !unread.contains(key) {
                unread.insert(key.to_owned());
            }
        }
        let tools = chat.tools.as_ref().and_then(|path| at_path(row, path));
        let rendered = template.render(messages, tools, self.interrupted);
        let rendered = rendered.map_err(|Refusal { wrong, any }| match wrong {
            RenderError::Template(reason) => RowError::Template(reason),
            RenderError::Conversation(reason) if any => RowError::Refused(reason),
            RenderError::Conversation(reason) => RowError::Bad(reason),
            RenderError::Interrupted => RowError::Interrupted,
        })?;
        self.unstopped.fetch_add(u64::from(rendered.unstopped > 0), Ordering::Relaxed);
        let AlignedIds { ids, ranges } =
            self.tokenizer.encode_aligned(&rendered.text, encoder)?.ok_or_else(|| {
                RowError::Bad("the ids cannot be laid over the conversation's text".into())
            })?;
        let mut spans = rendered.trained.iter().peekable();
        let trained: Vec<bool> = ranges
            .iter()
            .map(|place| {
                // A token is trained on where its last byte is.
                let last = if place.is_empty() { place.start } else { place.end - 1 };
                while spans.next_if(|span| span.end <= last).is_some() {}
                spans.peek().is_some_and(|span| span.contains(&last))
            })
            .collect();
        let clip = Clip::of(&ids, self.limit + 1);
        Ok(self.cut(&clip, |position| trained[position], None))
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

fn template(chat: &Chat, tokenizer: &Tokenizer) -> Result<ChatTemplate, SftError> {
    let piece = |id: Option<TokenId>| id.and_then(|id| tokenizer.piece(id)).unwrap_or("");
    let (bos, eos) = (piece(tokenizer.bos()), piece(tokenizer.eos()));
    let date = chat.date.unwrap_or_default();
    let template = match &chat.template {
        Some(source) => ChatTemplate::compile(source, bos, eos, date),
        None => ChatTemplate::of_tokenizer(tokenizer.path(), bos, eos, date),
    }?;
    Ok(template.with_loss(chat.loss_on.clone().unwrap_or_default(), &chat.loss_without))
}
