//! A chat template, and what it is given to write: a conversation, and a watch on the writing.

use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use minijinja::context;
use minijinja::value::Serde;
use serde_json::Value;

use super::error::SftError;
use super::families::families_like;
use super::jinja::{BEGIN, END, Jinja, RenderError};
use ratdata_schemas::recipe::{Date, LossOn, LossWithout};

/// A template that writes conversations.
#[derive(Debug)]
pub struct ChatTemplate {
    pub(super) jinja: Jinja,
    /// The families that it may be of, whose templates mark what the assistant writes.
    pub(super) families: Vec<Jinja>,
    source: String,
    bos: String,
    pub(super) eos: String,
    /// What of a conversation is trained on.
    pub(super) loss_on: LossOn,
    pub(super) loss_without: Vec<LossWithout>,
}

impl ChatTemplate {
    /// Compiles a template; `bos` and `eos` are what it writes for `bos_token` and `eos_token`,
    /// `date` what it is told by `strftime_now`.
    ///
    /// # Errors
    ///
    /// The template is malformed; the message has its line and column.
    pub fn compile(source: &str, bos: &str, eos: &str, date: Date) -> Result<Self, SftError> {
        let jinja = Jinja::compile(source, date)?;
        let families = if jinja.marks_generation() {
            Vec::new()
        } else {
            let like = families_like(source).map(|family| Jinja::compile(family, date));
            like.collect::<Result<_, _>>()?
        };
        let (source, bos, eos) = (source.to_owned(), bos.to_owned(), eos.to_owned());
        let (loss_on, loss_without) = (LossOn::default(), Vec::new());
        Ok(Self { jinja, families, source, bos, eos, loss_on, loss_without })
    }

    /// Says whose turns are trained on, and which parts of them are not.
    #[must_use]
    pub fn with_loss(self, on: LossOn, without: &[LossWithout]) -> Self {
        Self { loss_on: on, loss_without: without.to_vec(), ..self }
    }

    /// Reads the template of the `tokenizer_config.json` in the folder of a tokenizer file.
    ///
    /// The tokens that the file names stand for `bos` and `eos`.
    ///
    /// # Errors
    ///
    /// There is none, or it is malformed.
    pub fn of_tokenizer(
        tokenizer: &Path,
        bos: &str,
        eos: &str,
        date: Date,
    ) -> Result<Self, SftError> {
        let wrong = |reason: String| SftError::ChatTemplate { reason };
        let path = tokenizer.with_file_name("tokenizer_config.json");
        let text =
            std::fs::read(&path).map_err(|error| wrong(format!("{}: {error}", path.display())))?;
        let config: Value = serde_json::from_slice(&text)
            .map_err(|error| wrong(format!("{}: {error}", path.display())))?;
        // A config may name several templates; the one called `default` is meant.
        let template = match &config["chat_template"] {
            Value::Array(named) => named
                .iter()
                .find(|entry| entry["name"] == "default")
                .and_then(|entry| entry["template"].as_str()),
            other => other.as_str(),
        };
        let template =
            template.ok_or_else(|| wrong(format!("{}: no `chat_template`", path.display())))?;
        let token = |name: &str| config[name].as_str().or(config[name]["content"].as_str());
        let bos = token("bos_token").unwrap_or(bos);
        Self::compile(template, bos, token("eos_token").unwrap_or(eos), date)
    }

    /// Writes a conversation.
    ///
    /// # Errors
    ///
    /// The template is wrong or refuses the conversation.
    pub fn text(&self, messages: &[Value], tools: Option<&Value>) -> Result<String, RenderError> {
        let text = self.write(&Conversation::new(messages, tools, &Watch::default()), false)?;
        Ok(unmark(&text).map_or(text, |(text, _)| text))
    }

    /// Writes a conversation with the invitation to answer it.
    ///
    /// # Errors
    ///
    /// The template is wrong or refuses the conversation.
    pub fn prompt(&self, messages: &[Value], tools: Option<&Value>) -> Result<String, RenderError> {
        let text = self.write(&Conversation::new(messages, tools, &Watch::default()), true)?;
        Ok(unmark(&text).map_or(text, |(text, _)| text))
    }

    /// Returns what the template writes behind the assistant's answer, up to the end of its turn; none
    /// where that cannot be found.
    pub fn closing(&self) -> Option<String> {
        const ANSWER: &str = "Indeed.";
        let talk = [("user", "Is it?"), ("assistant", ANSWER)]
            .map(|(role, content)| serde_json::json!({"role": role, "content": content}));
        let text = self.text(&talk, None).ok()?;
        text.rsplit_once(ANSWER).map(|(_, closing)| closing.to_owned())
    }

    /// Returns the template as it was given.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Returns whether the template refuses the plainest conversation with the same words: then it
    /// would refuse any.
    pub(super) fn refuses_all(&self, reason: &str) -> bool {
        let talk = [("user", "question"), ("assistant", "answer")]
            .map(|(role, content)| serde_json::json!({"role": role, "content": content}));
        let refused = self.text(&talk, None).err();
        refused.is_some_and(|refused| refused.to_string() == reason)
    }

    pub(super) fn write(
        &self,
        conversation: &Conversation<'_>,
        add_generation_prompt: bool,
    ) -> Result<String, RenderError> {
        self.write_by(&self.jinja, conversation, add_generation_prompt)
    }

    /// Returns what a family's template writes for a conversation, with its marks, if that is `text`.
    pub(super) fn marked_by_family(
        &self,
        conversation: &Conversation<'_>,
        text: &str,
    ) -> Result<Option<String>, RenderError> {
        for family in &self.families {
            match self.write_by(family, conversation, false) {
                Ok(marked) if unmark(&marked).is_some_and(|(plain, _)| plain == text) => {
                    return Ok(Some(marked));
                }
                Err(RenderError::Interrupted) => return Err(RenderError::Interrupted),
                // Another family, or another version of this one.
                Ok(_) | Err(_) => {}
            }
        }
        Ok(None)
    }

    fn write_by(
        &self,
        jinja: &Jinja,
        conversation: &Conversation<'_>,
        add_generation_prompt: bool,
    ) -> Result<String, RenderError> {
        let Conversation { messages, tools, bytes, watch } = *conversation;
        if watch.stop.load(Ordering::Relaxed) {
            return Err(RenderError::Interrupted);
        }
        watch.begun.fetch_add(1, Ordering::Relaxed);
        let context = context! {
            messages => Serde(messages),
            tools => Serde(tools),
            documents => None::<()>,
            bos_token => self.bos.as_str(),
            eos_token => self.eos.as_str(),
            add_generation_prompt => add_generation_prompt,
        };
        jinja.write(context, bytes)
    }
}

/// What is known of a thread at work.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// That it is to end at its next writing.
    pub(super) stop: AtomicBool,
    /// How often it has begun to write: for the turns of a conversation, many times.
    pub(super) begun: AtomicU64,
}

/// What a template is given.
#[derive(Clone, Copy)]
pub(super) struct Conversation<'a> {
    pub(super) messages: &'a [Value],
    tools: Option<&'a Value>,
    /// The length of all as JSON, which decides what writing it may cost.
    bytes: usize,
    watch: &'a Watch,
}

impl<'a> Conversation<'a> {
    pub(super) fn new(messages: &'a [Value], tools: Option<&'a Value>, watch: &'a Watch) -> Self {
        let bytes = messages.iter().chain(tools).map(|value| value.to_string().len()).sum();
        Self { messages, tools, bytes, watch }
    }

    /// Returns other messages in its place.
    pub(super) fn of<'b>(&self, messages: &'b [Value]) -> Conversation<'b>
    where
        'a: 'b,
    {
        Conversation { messages, ..*self }
    }
}

/// Returns whether a message is a turn of the assistant.
pub(super) fn is_assistant(message: &Value) -> bool {
    message["role"] == "assistant"
}

/// Returns whether a message is a turn that may be trained on.
pub(super) fn is_turn(message: &Value, on: &LossOn) -> bool {
    message["role"].as_str().is_some_and(|role| on.is_of(role))
}

/// Takes the marks out of a text and returns what stood between them.
pub(super) fn unmark(marked: &str) -> Option<(String, Vec<Range<usize>>)> {
    let mut text = String::with_capacity(marked.len());
    let mut spans = Vec::new();
    let mut begun = None;
    for char in marked.chars() {
        match char {
            BEGIN if begun.is_none() => begun = Some(text.len()),
            END => spans.push(begun.take()?..text.len()),
            BEGIN => return None,
            other => text.push(other),
        }
    }
    begun.is_none().then_some((text, spans))
}
