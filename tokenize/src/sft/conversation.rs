//! From the messages of a conversation to its ids, each with whether it is trained on.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use ratdata_schemas::TokenId;
use ratdata_schemas::recipe::Chat;

use super::chat::Rendered;
use super::chat_template::ChatTemplate;
use super::error::SftError;
use super::jinja::RenderError;
use super::row_error::RowError;
use super::template_thread::{Refusal, Talk, ThreadedTemplate};
use super::turn_flags::unread_flag;
use crate::tokenizer::{AlignedIds, Encoder, Tokenizer};

/// Encodes conversations; any thread may, with an encoder of its own.
#[derive(Debug)]
pub(super) struct ConversationEncoder<'a> {
    tokenizer: &'a Tokenizer,
    template: ThreadedTemplate,
    interrupted: &'a AtomicBool,
    /// How many conversations have a turn that is trained on without something to stop at.
    unstopped: AtomicU64,
    /// Keys of messages that look like flags and are not read.
    unread: Mutex<BTreeSet<String>>,
}

/// The ids of a conversation.
pub(super) struct EncodedConversation {
    pub(super) ids: Vec<TokenId>,
    /// The bytes of the text that each id stands for.
    pub(super) ranges: Vec<Range<usize>>,
    /// Whether each is trained on.
    pub(super) trained: Vec<bool>,
}

impl<'a> ConversationEncoder<'a> {
    /// Gets ready to write conversations.
    ///
    /// # Errors
    ///
    /// The chat template is missing or malformed.
    pub(super) fn new(
        chat: &Chat,
        tokenizer: &'a Tokenizer,
        interrupted: &'a AtomicBool,
    ) -> Result<Self, SftError> {
        let template = ThreadedTemplate::new(template(chat, tokenizer)?);
        let (unstopped, unread) = (AtomicU64::new(0), Mutex::default());
        Ok(Self { tokenizer, template, interrupted, unstopped, unread })
    }

    /// Returns the keys of messages that look like flags and are not read.
    pub(super) fn unread_flags(&self) -> BTreeSet<String> {
        self.unread.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns how many conversations, since it was last asked, have a turn that is trained on without
    /// something to stop at.
    pub(super) fn take_unstopped(&self) -> u64 {
        self.unstopped.swap(0, Ordering::Relaxed)
    }

    /// Writes a conversation and finds what of it is trained on.
    pub(super) fn write(&self, talk: Talk) -> Result<Rendered, RowError> {
        if let Some(key) = talk.messages.iter().find_map(unread_flag) {
            let mut unread = self.unread.lock().unwrap_or_else(PoisonError::into_inner);
            if !unread.contains(key) {
                unread.insert(key.to_owned());
            }
        }
        let rendered = self.template.render(talk, self.interrupted);
        let rendered = rendered.map_err(|Refusal { wrong, any }| match wrong {
            RenderError::Template(reason) => RowError::Template(reason),
            RenderError::Conversation(reason) if any => RowError::Refused(reason),
            RenderError::Conversation(reason) => RowError::Bad(reason),
            RenderError::Interrupted => RowError::Interrupted,
        })?;
        self.unstopped.fetch_add(u64::from(rendered.unstopped > 0), Ordering::Relaxed);
        Ok(rendered)
    }

    /// Encodes a conversation as a whole. A token is trained on where its last byte is.
    pub(super) fn encode(
        &self,
        rendered: &Rendered,
        encoder: &mut Encoder,
    ) -> Result<EncodedConversation, RowError> {
        let AlignedIds { ids, ranges } =
            self.tokenizer.encode_aligned(&rendered.text, encoder)?.ok_or_else(|| {
                RowError::Bad("the ids cannot be laid over the conversation's text".into())
            })?;
        let mut spans = rendered.trained.iter().peekable();
        let trained = ranges
            .iter()
            .map(|place| {
                let last = last_byte(place);
                while spans.next_if(|span| span.end <= last).is_some() {}
                spans.peek().is_some_and(|span| span.contains(&last))
            })
            .collect();
        Ok(EncodedConversation { ids, ranges, trained })
    }
}

/// Returns the last byte of a token's range.
pub(super) fn last_byte(place: &Range<usize>) -> usize {
    if place.is_empty() { place.start } else { place.end - 1 }
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
