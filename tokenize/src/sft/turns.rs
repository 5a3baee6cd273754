//! Finds where a template writes the assistant's turns, by what changes when a turn does.
//!
//! A turn begins behind the template's own invitation to answer, and ends with what closes it. Each
//! end is looked for in the text of the whole conversation, since a template may write a turn
//! otherwise once a later one is there: thoughts of earlier turns are often left out. What is found
//! must fit that text byte for byte, so a template that hides where its turns are is refused rather
//! than masked wrongly.

use std::ops::Range;

use serde_json::{Value, json};

use super::chat_template::{ChatTemplate, Conversation, is_assistant, is_turn, unmark};
use super::jinja::{BEGIN, END, RenderError};

/// A turn that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    /// The bytes that the assistant wrote, with what closes the turn.
    pub(super) span: Range<usize>,
    /// Whether something behind the turn's words closes it.
    pub(super) stops: bool,
}

/// A conversation, and the text that a template makes of it.
pub(super) struct Turns<'a> {
    pub(super) template: &'a ChatTemplate,
    pub(super) conversation: Conversation<'a>,
    pub(super) text: &'a str,
}

/// What a template writes around an answer.
struct Slot {
    before: String,
    behind: String,
}

fn untold() -> RenderError {
    RenderError::Template(
        "where it writes the assistant's turns cannot be told; mark them in it with `{% generation %}`".into(),
    )
}

impl Turns<'_> {
    /// Finds each of the turns that may be trained on, in order; none for a turn that writes nothing.
    ///
    /// # Errors
    ///
    /// Where a turn is written cannot be told, or the user asked to stop.
    pub(super) fn find(&self) -> Result<Vec<Option<Turn>>, RenderError> {
        let messages = self.conversation.messages;
        let contents = self.marked()?;
        let prompted = self.probe(messages, true)? != self.probe(messages, false)?;
        let places = (0..messages.len()).filter(|&place| self.is_turn(&messages[place]));
        let mut turns = Vec::new();
        let mut end = 0;
        for (number, place) in places.enumerate() {
            let content = contents.as_ref().and_then(|contents| contents[number].clone());
            let span = self.turn(place, prompted, content.as_ref())?;
            let Some(span) = span else {
                // A turn without words has nothing to learn, unless the template writes its calls.
                if spoken(&messages[place]) || self.writes_calls(place)? {
                    return Err(untold());
                }
                turns.push(None);
                continue;
            };
            let holds =
                |content: &Range<usize>| span.start <= content.start && content.end <= span.end;
            if span.start < end || !content.as_ref().is_none_or(holds) {
                return Err(untold());
            }
            end = span.end;
            // Only the assistant has to learn where to stop.
            let stops = !is_assistant(&messages[place])
                || self.stops(&messages[place], &span, content.as_ref());
            turns.push(Some(Turn { span, stops }));
        }
        Ok(turns)
    }

    fn is_turn(&self, message: &Value) -> bool {
        is_turn(message, &self.template.loss_on)
    }

    /// Returns what of the text is the turn at a place; `content` is where its words are, if known.
    fn turn(
        &self,
        place: usize,
        prompted: bool,
        content: Option<&Range<usize>>,
    ) -> Result<Option<Range<usize>>, RenderError> {
        let Some((start, anchored)) = self.begin(place, prompted, content)? else {
            return Ok(None);
        };
        let messages = self.conversation.messages;
        if anchored && let Some(after) = self.probe(&messages[..=place], false)? {
            // Some templates close whatever is written with one EOS, and not each turn.
            let whole = self.text.starts_with(&after).then_some(after.as_str());
            let open = || {
                let open = after.strip_suffix(&self.template.eos)?;
                self.text.starts_with(open).then_some(open)
            };
            if let Some(after) = whole.or_else(open).filter(|after| after.len() >= start) {
                // White space behind the turn's closing token belongs to the template; that which
                // ends the turn's own content is trained on with it.
                let end = after.trim_end().len().max(start);
                return Ok(Some(start..content.map_or(end, |content| content.end.max(end))));
            }
        }
        let end = self.end(place, start, anchored, content)?;
        Ok(end.map(|end| start..end))
    }

    /// Returns where a turn begins, and whether all before it is what the template writes without
    /// the turn.
    fn begin(
        &self,
        place: usize,
        prompted: bool,
        content: Option<&Range<usize>>,
    ) -> Result<Option<(usize, bool)>, RenderError> {
        let earlier = &self.conversation.messages[..place];
        // The template invites the assistant and nobody else.
        if prompted
            && is_assistant(&self.conversation.messages[place])
            && let Some(before) = self.probe(earlier, true)?
            && self.text.starts_with(&before)
        {
            return Ok(Some((before.len(), true)));
        }
        let before = self.probe(earlier, false)?.filter(|before| self.text.starts_with(before));
        let anchored = before.is_some();
        // A template without an invitation writes a turn's heading with the turn.
        if let Some(slot) = self.slot(place, false)?
            && self.text.starts_with(&slot.before)
            && content.is_none_or(|content| slot.before.len() <= content.start)
        {
            return Ok(Some((slot.before.len(), anchored)));
        }
        if let Some(content) = content {
            return Ok(Some((content.start, anchored)));
        }
        let (Some(before), Some(slot)) = (before, self.slot(place, true)?) else { return Ok(None) };
        let rest = &self.text[before.len()..];
        let Some(heading) = slot.before.strip_prefix(&before) else { return Ok(None) };
        // Calls may stand right behind the heading, where words have a space before them.
        let heading =
            [heading, heading.trim_end()].into_iter().find(|heading| rest.starts_with(heading));
        Ok(heading.map(|heading| (before.len() + heading.len(), true)))
    }

    /// Returns where a turn ends that the template writes otherwise than at a conversation's end.
    fn end(
        &self,
        place: usize,
        start: usize,
        anchored: bool,
        content: Option<&Range<usize>>,
    ) -> Result<Option<usize>, RenderError> {
        let known = content.map(|content| content.end);
        let Some(slot) = self.slot(place, false)?.filter(|slot| {
            self.text.ends_with(&slot.behind) && self.text.len() >= start + slot.behind.len()
        }) else {
            return Ok(known);
        };
        let words_end = self.text.len() - slot.behind.len();
        let words_end = known.map_or(words_end, |known| known.max(words_end));
        let Some(last) = self.slot(place, true)?.filter(|_| anchored) else {
            return Ok(Some(words_end));
        };
        let rest = &self.text[words_end..];
        let closing = last.behind.trim_end();
        let open = closing.strip_suffix(&self.template.eos).unwrap_or(closing);
        let closing = [closing, open].into_iter().find(|closing| rest.starts_with(closing));
        Ok(Some(words_end + closing.map_or(0, str::len)))
    }

    /// Returns what is written around the words of a turn, when it has plain words alone: in its
    /// place, or with nothing behind it; none where the words are written twice or not at all.
    fn slot(&self, place: usize, last: bool) -> Result<Option<Slot>, RenderError> {
        let messages = self.conversation.messages;
        let end = if last { place + 1 } else { messages.len() };
        let mut messages = messages[..end].to_vec();
        messages[place] =
            json!({"role": messages[place]["role"], "content": format!("{BEGIN}{END}")});
        let Some(text) = self.probe(&messages, false)? else { return Ok(None) };
        let Some((before, behind)) = text.split_once(BEGIN) else { return Ok(None) };
        let Some(behind) = behind.strip_prefix(END) else { return Ok(None) };
        let once = !behind.contains([BEGIN, END]);
        Ok(once.then(|| Slot { before: before.to_owned(), behind: behind.to_owned() }))
    }

    /// Returns where the template carries marks around the content of each assistant turn that has
    /// any; none where it loses one.
    ///
    /// The marks enclose the white space around the content where the template leaves it alone,
    /// and stand within it where the template trims it.
    fn marked(&self) -> Result<Option<Vec<Option<Range<usize>>>>, RenderError> {
        let messages = self.conversation.messages;
        let turns = messages.iter().filter(|message| self.is_turn(message));
        let spoken: Vec<bool> = turns.map(spoken).collect();
        let count = spoken.iter().filter(|&&spoken| spoken).count();
        for (before, after) in [(true, true), (false, true), (true, false), (false, false)] {
            let marked: Vec<Value> = messages
                .iter()
                .map(|message| {
                    if self.is_turn(message) {
                        mark(message, before, after)
                    } else {
                        message.clone()
                    }
                })
                .collect();
            let found = self.probe(&marked, false)?.and_then(|text| unmark(&text));
            let found = found.filter(|(text, spans)| text == self.text && spans.len() == count);
            if let Some((_, spans)) = found {
                let mut spans = spans.into_iter();
                let places = spoken.iter().map(|&spoken| if spoken { spans.next() } else { None });
                return Ok(Some(places.collect()));
            }
        }
        Ok(None)
    }

    /// Returns whether the template writes the calls of a turn.
    fn writes_calls(&self, place: usize) -> Result<bool, RenderError> {
        let mut without = self.conversation.messages.to_vec();
        if let Some(fields) = without[place].as_object_mut() {
            fields.remove("tool_calls");
        }
        Ok(self.probe(&without, false)?.as_deref() != Some(self.text))
    }

    /// Returns whether a turn has something behind its words that closes it.
    fn stops(&self, message: &Value, span: &Range<usize>, content: Option<&Range<usize>>) -> bool {
        let trained = &self.text[span.clone()];
        let eos = &self.template.eos;
        if !eos.is_empty() && trained.trim_end().ends_with(eos) {
            return true;
        }
        match content {
            Some(content) => !self.text[content.end..span.end].trim().is_empty(),
            None => !ends_with_words(trained, message),
        }
    }

    /// Writes other messages with the same template; none where it refuses them.
    fn probe(&self, messages: &[Value], invite: bool) -> Result<Option<String>, RenderError> {
        match self.template.write(&self.conversation.of(messages), invite) {
            Ok(text) => Ok(Some(text)),
            Err(RenderError::Interrupted) => Err(RenderError::Interrupted),
            Err(_) => Ok(None),
        }
    }
}

/// Returns whether what is trained on of a turn ends with the turn's own words.
pub(super) fn ends_with_words(trained: &str, message: &Value) -> bool {
    let words = message["content"].as_str().unwrap_or_default().trim();
    let trained = trained.trim();
    !words.is_empty()
        && !trained.is_empty()
        && (trained.ends_with(words) || words.ends_with(trained))
}

fn spoken(message: &Value) -> bool {
    message["content"].as_str().is_some_and(|text| !text.is_empty())
}

/// Puts marks around the content of a message: before or behind the white space that it begins
/// with, and before or behind that which it ends with.
fn mark(message: &Value, before_space: bool, behind_space: bool) -> Value {
    let mut message = message.clone();
    if let Some(content) = message["content"].as_str().filter(|content| !content.is_empty()) {
        let start = if before_space { 0 } else { content.len() - content.trim_start().len() };
        let end = if behind_space { content.len() } else { content.trim_end().len() };
        let (before, body) = content.split_at(start.min(end));
        let (body, after) = body.split_at(end - start.min(end));
        message["content"] = format!("{before}{BEGIN}{body}{END}{after}").into();
    }
    message
}
