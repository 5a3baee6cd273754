//! Preference pairs: a prompt with two answers becomes two examples that begin with the same ids.

use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;

use ratdata_schemas::TokenId;
use ratdata_schemas::recipe::{Chat, LossOn, Preference, Side, Template, Truncate};
use serde_json::{Value, json};

use super::chat::Rendered;
use super::chat_template::is_turn;
use super::clip::{Clip, Example};
use super::conversation::{ConversationEncoder, EncodedConversation, last_byte};
use super::error::SftError;
use super::preference_cut::{Answer, PreferenceFate, cut_pair};
use super::prompt::{PromptEncoder, PromptError};
use super::row_error::{RowError, holds, no_text};
use super::template_thread::Talk;
use crate::source::at_path;
use crate::tokenizer::{Encoder, Tokenizer};

/// The column that is read for the prompt where a task names none and a file has it.
pub(super) const PROMPT: &str = "prompt";

/// Makes the two examples of a preference pair; any thread may, with an encoder of its own.
#[derive(Debug)]
pub(super) struct PreferenceEncoder<'a> {
    preference: &'a Preference,
    chat: Chat,
    tokenizer: &'a Tokenizer,
    interrupted: &'a AtomicBool,
    /// Made for the first conversation: texts need no chat template.
    conversations: OnceLock<Result<ConversationEncoder<'a>, String>>,
    /// What writes the prompts of texts, if the task has a prompt.
    prompts: Option<PromptEncoder>,
    eos: TokenId,
    /// The most tokens of a row, and what becomes of a longer pair.
    most: usize,
    truncate: Truncate,
}

/// What a prompt and two answers are, before they are encoded.
struct Pair<T> {
    prompt: T,
    answers: [T; 2],
}

/// A pair as ids.
struct EncodedPair {
    prompt: Clip,
    answers: [Answer; 2],
}

impl<'a> PreferenceEncoder<'a> {
    /// Gets ready for pairs of at most `most` tokens in each row.
    pub(super) fn new(
        preference: &'a Preference,
        (chat, template): (Option<&Chat>, Option<&Template>),
        (tokenizer, eos): (&'a Tokenizer, TokenId),
        (most, truncate): (usize, Truncate),
        interrupted: &'a AtomicBool,
    ) -> Self {
        Self {
            preference,
            chat: chat.cloned().unwrap_or_default(),
            tokenizer,
            interrupted,
            conversations: OnceLock::new(),
            prompts: template.map(|template| PromptEncoder::new(template, tokenizer, most + 1)),
            eos,
            most,
            truncate,
        }
    }

    /// Returns what writes conversations, where there were any.
    pub(super) fn conversations(&self) -> Option<&ConversationEncoder<'a>> {
        self.conversations.get()?.as_ref().ok()
    }

    /// Returns whether a column [`PROMPT`] is read where a file has it.
    pub(super) fn reads_own_prompt(&self) -> bool {
        self.preference.prompt.is_none() && self.prompts.is_none()
    }

    /// Makes the examples of a row: of the answer that is preferred, and of the other one; none where the
    /// pair is left out for its length.
    pub(super) fn encode(
        &self,
        row: &Value,
        encoder: &mut Encoder,
    ) -> Result<(Vec<Example>, PreferenceFate), RowError> {
        let [chosen, rejected] = Side::ALL.map(|side| self.answer(row, side));
        let answers = [chosen?, rejected?];
        if answers[0] == answers[1] {
            let [one, other] = Side::ALL.map(|side| self.preference.column(side));
            return Err(RowError::Bad(format!(
                "`{one}` and `{other}` are the same, so neither is preferred"
            )));
        }
        let encoded = match answers {
            [Value::String(chosen), Value::String(rejected)] => {
                self.encode_texts(row, [chosen, rejected], encoder)?
            }
            [Value::Array(chosen), Value::Array(rejected)] => {
                let pair = self.messages(row, [chosen, rejected]).map_err(RowError::Bad)?;
                self.encode_conversations(row, pair, encoder)?
            }
            [one, other] => {
                return Err(RowError::Bad(format!(
                    "`{}` holds {}, and `{}` {}",
                    self.preference.chosen,
                    kind(&one),
                    self.preference.rejected,
                    kind(&other)
                )));
            }
        };
        Ok(cut_pair(&encoded.prompt, &encoded.answers, self.most, self.truncate))
    }

    fn answer(&self, row: &Value, side: Side) -> Result<Value, RowError> {
        let path = self.preference.column(side);
        let is_empty = match at_path(row, path) {
            Some(Value::String(text)) if !text.trim().is_empty() => {
                return Ok(Value::String(text));
            }
            Some(Value::Array(messages)) if !messages.is_empty() => {
                return Ok(Value::Array(messages));
            }
            Some(Value::String(_) | Value::Array(_)) => true,
            _ => false,
        };
        Err(RowError::Bad(if is_empty {
            format!("`{path}` is an empty answer")
        } else {
            holds(row, path, "neither a text nor a list of messages")
        }))
    }

    /// Returns the prompt that a row has in a column of its own.
    fn prompt(&self, row: &Value) -> Result<Option<Value>, String> {
        let path = self.preference.prompt.as_deref();
        let found = at_path(row, path.unwrap_or(PROMPT)).filter(|found| !found.is_null());
        match (found, path) {
            (Some(found), _) => Ok(Some(found)),
            (None, None) => Ok(None),
            (None, Some(path)) => Err(no_text(row, path)),
        }
    }

    /// Encodes texts, with EOS behind each answer.
    ///
    /// If the task writes the prompt, an answer is encoded on its own, as in all tasks with prompts. Otherwise the
    /// row's text is the prompt followed by the answer, so that nothing is put between them.
    fn encode_texts(
        &self,
        row: &Value,
        answers: [String; 2],
        encoder: &mut Encoder,
    ) -> Result<EncodedPair, RowError> {
        let continues = self.prompts.is_none();
        let (prompt, answers) = if let Some(prompts) = &self.prompts {
            let prompt = prompts.encode(row, encoder).map_err(|wrong| match wrong {
                PromptError::NoText(path) => RowError::Bad(no_text(row, &path)),
                PromptError::Encode(wrong) => RowError::Encode(wrong),
            })?;
            (prompt, answers)
        } else {
            let Pair { prompt, answers } = self.texts(row, answers).map_err(RowError::Bad)?;
            let mut ids = Vec::new();
            encoder.encode_into(&prompt, &mut ids)?;
            (Clip::of(&ids, self.most + 1), answers)
        };
        let mut encode = |text: &str| -> Result<Answer, RowError> {
            let mut ids = Vec::new();
            if continues {
                encoder.encode_continuation(text, &mut ids)?;
            } else {
                encoder.encode_into(text, &mut ids)?;
            }
            ids.push(self.eos);
            Ok(Answer { trained: vec![true; ids.len()], ids })
        };
        let answers = [encode(&answers[0])?, encode(&answers[1])?];
        Ok(EncodedPair { prompt, answers })
    }

    fn texts(&self, row: &Value, answers: [String; 2]) -> Result<Pair<String>, String> {
        let prompt = match self.prompt(row)? {
            Some(Value::String(prompt)) => prompt,
            None => return shared_text(&answers).ok_or_else(|| self.nothing_shared()),
            Some(other) => {
                return Err(format!(
                    "the prompt is {}, and `{}` a text",
                    kind(&other),
                    self.preference.chosen
                ));
            }
        };
        if prompt.trim().is_empty() {
            return Err("the prompt is empty".into());
        }
        Ok(Pair { prompt, answers })
    }

    fn nothing_shared(&self) -> String {
        let [one, other] = Side::ALL.map(|side| self.preference.column(side));
        format!(
            "there is no prompt: no column has it, and `{one}` and `{other}` do not begin alike"
        )
    }

    /// Parts the messages of a row into those of the prompt and those of the answers.
    fn messages(&self, row: &Value, answers: [Vec<Value>; 2]) -> Result<Pair<Vec<Value>>, String> {
        if self.prompts.is_some() {
            return Err(format!(
                "`{}` holds a list of messages, and the task has a `prompt` for texts",
                self.preference.chosen
            ));
        }
        let pair = match self.prompt(row)? {
            None => shared_messages(answers).ok_or_else(|| self.nothing_shared())?,
            Some(Value::Array(prompt)) if prompt.is_empty() => {
                return Err("the prompt is empty".into());
            }
            // Some data sets repeat the prompt in both conversations.
            Some(Value::Array(prompt))
                if answers.iter().all(|answer| answer.starts_with(&prompt)) =>
            {
                let answers = answers.map(|mut answer| answer.split_off(prompt.len()));
                Pair { prompt, answers }
            }
            Some(Value::Array(prompt)) => Pair { prompt, answers },
            Some(Value::String(prompt)) => self.asked(&prompt, answers)?,
            Some(other) => {
                return Err(format!(
                    "the prompt is {}, expected a text or a list of messages",
                    kind(&other)
                ));
            }
        };
        let on = self.chat.loss_on.clone().unwrap_or_default();
        for (side, answer) in Side::ALL.into_iter().zip(&pair.answers) {
            if !answer.iter().any(|message| is_turn(message, &on)) {
                let path = self.preference.column(side);
                return Err(match on {
                    LossOn::Roles(_) => format!("`{path}` has no turn of `{on}` after the prompt"),
                    _ => format!("`{path}` has no assistant turn after the prompt"),
                });
            }
        }
        Ok(pair)
    }

    /// Returns a pair whose prompt is a text, and whose answers are conversations: those begin with it, or
    /// they are the assistant's turns alone.
    fn asked(&self, prompt: &str, answers: [Vec<Value>; 2]) -> Result<Pair<Vec<Value>>, String> {
        let is_answer = |answer: &Vec<Value>| answer[0]["role"] == "assistant";
        if answers.iter().all(is_answer) {
            let prompt = vec![json!({"role": "user", "content": prompt})];
            return Ok(Pair { prompt, answers });
        }
        let pair = shared_messages(answers).ok_or_else(|| self.nothing_shared())?;
        let is_asked = |message: &Value| {
            message["content"].as_str().is_some_and(|content| content.trim() == prompt.trim())
        };
        if pair.prompt.iter().any(is_asked) {
            return Ok(pair);
        }
        let [one, other] = Side::ALL.map(|side| self.preference.column(side));
        Err(format!(
            "the prompt is a text that no message has with which both `{one}` and `{other}` begin"
        ))
    }

    fn encode_conversations(
        &self,
        row: &Value,
        pair: Pair<Vec<Value>>,
        encoder: &mut Encoder,
    ) -> Result<EncodedPair, RowError> {
        let made = self.conversations.get_or_init(|| {
            let made = ConversationEncoder::new(&self.chat, self.tokenizer, self.interrupted);
            made.map_err(|wrong| match wrong {
                SftError::ChatTemplate { reason } => reason,
                wrong => wrong.to_string(),
            })
        });
        let conversations = made.as_ref().map_err(|reason| RowError::Template(reason.clone()))?;
        let read_only = pair.prompt.len();
        let write = |answer: Vec<Value>| {
            let tools = self.chat.tools.as_ref().and_then(|path| at_path(row, path));
            let messages = [pair.prompt.clone(), answer].concat();
            conversations.write(Talk { messages, tools, read_only })
        };
        let [chosen, rejected] = pair.answers;
        let written = [write(chosen)?, write(rejected)?];
        let start = self.start(&written).map_err(RowError::Bad)?;
        let encoded = [
            conversations.encode(&written[0], encoder)?,
            conversations.encode(&written[1], encoder)?,
        ];
        let firsts = [first_at(&encoded[0], start), first_at(&encoded[1], start)];
        if let [Some(first), Some(_)] = firsts
            && firsts[0] == firsts[1]
            && encoded[0].ids[..first] == encoded[1].ids[..first]
        {
            let prompt = Clip::of(&encoded[0].ids[..first], self.most + 1);
            let answers = encoded.map(|EncodedConversation { mut ids, mut trained, .. }| Answer {
                ids: ids.split_off(first),
                trained: trained.split_off(first),
            });
            return Ok(EncodedPair { prompt, answers });
        }
        // A token joins the prompt and an answer, so a model would never begin with that answer: both are
        // encoded as it is asked, behind the prompt.
        let mut ids = Vec::new();
        encoder.encode_into(&written[0].text[..start], &mut ids)?;
        let answers = [behind(&written[0], start, encoder)?, behind(&written[1], start, encoder)?];
        Ok(EncodedPair { prompt: Clip::of(&ids, self.most + 1), answers })
    }

    /// Returns where the answers begin in the text: what is before is the same.
    fn start(&self, written: &[Rendered; 2]) -> Result<usize, String> {
        let [chosen, rejected] = written;
        let starts = (chosen.trained.first(), rejected.trained.first());
        let (Some(chosen_start), Some(rejected_start)) = starts else {
            let side = if starts.0.is_none() { Side::Chosen } else { Side::Rejected };
            let path = self.preference.column(side);
            return Err(format!("nothing of `{path}` is trained on"));
        };
        let start = chosen_start.start;
        if chosen.text[..start] == rejected.text[..rejected_start.start] {
            return Ok(start);
        }
        let [one, other] = Side::ALL.map(|side| self.preference.column(side));
        Err(format!(
            "what is before the answers differs between `{one}` and `{other}`: the template writes the prompt otherwise, or the beginning of an answer is not trained on"
        ))
    }
}

/// Returns which token is the first at or behind a byte; none where a token is on both sides of it.
fn first_at(encoded: &EncodedConversation, start: usize) -> Option<usize> {
    let first = encoded.ranges.partition_point(|place| last_byte(place) < start);
    let is_apart = encoded.ranges.get(first).is_none_or(|place| place.start >= start);
    is_apart.then_some(first)
}

/// Encodes what is behind the prompt, stretch by stretch of what is trained on and what is not.
fn behind(written: &Rendered, start: usize, encoder: &mut Encoder) -> Result<Answer, RowError> {
    let mut answer = Answer::default();
    let mut push = |stretch: &str, is_trained: bool| -> Result<(), RowError> {
        encoder.encode_continuation(stretch, &mut answer.ids)?;
        answer.trained.resize(answer.ids.len(), is_trained);
        Ok(())
    };
    let mut at = start;
    for span in &written.trained {
        push(&written.text[at..span.start], false)?;
        push(&written.text[span.clone()], true)?;
        at = span.end;
    }
    push(&written.text[at..], false)?;
    Ok(answer)
}

/// Parts two conversations behind the messages that both begin with; an answer has at least one.
fn shared_messages(answers: [Vec<Value>; 2]) -> Option<Pair<Vec<Value>>> {
    let [one, other] = &answers;
    let alike = one.iter().zip(other).take_while(|(one, other)| one == other).count();
    let shared = alike.min(one.len().min(other.len()) - 1);
    let prompt = one[..shared].to_vec();
    (shared > 0).then(|| Pair { prompt, answers: answers.map(|mut one| one.split_off(shared)) })
}

/// Parts two texts behind what both begin with, before the white space in front of the first word that
/// differs.
fn shared_text(answers: &[String; 2]) -> Option<Pair<String>> {
    let [one, other] = answers;
    let alike = one.chars().zip(other.chars()).take_while(|(one, other)| one == other);
    let shared = &one[..alike.map(|(char, _)| char.len_utf8()).sum()];
    let words = shared.trim_end_matches(|char: char| !char.is_whitespace()).trim_end();
    (!words.is_empty()).then(|| Pair {
        prompt: words.to_owned(),
        answers: [one[words.len()..].to_owned(), other[words.len()..].to_owned()],
    })
}

/// Returns what a value is, in words.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
        Value::Number(_) => "a number",
        Value::Bool(_) => "a boolean",
        Value::Null => "nothing",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn talk(said: &[&str]) -> Vec<Value> {
        let roles = ["user", "assistant"].into_iter().cycle();
        let turns = roles.zip(said).map(|(role, said)| json!({"role": role, "content": said}));
        turns.collect()
    }

    #[test]
    fn conversations_are_parted_behind_what_they_share() {
        for (one, other, shared) in [
            (&["a", "b"][..], &["a", "c"][..], Some(1)),
            (&["a", "b", "c", "d"], &["a", "b", "c", "e"], Some(3)),
            (&["a", "b", "c", "d"], &["a", "x", "c", "e"], Some(1)),
            // An answer is never empty.
            (&["a", "b"], &["a", "b", "c", "d"], Some(1)),
            (&["a", "b"], &["x", "b"], None),
            (&["a"], &["a", "b"], None),
        ] {
            let found = shared_messages([talk(one), talk(other)]);

            assert_eq!(found.as_ref().map(|pair| pair.prompt.len()), shared, "{one:?}");
            for (answer, whole) in
                found.iter().flat_map(|pair| pair.answers.iter().zip([one, other]))
            {
                assert_eq!(*answer, talk(whole)[shared.unwrap()..], "{whole:?}");
            }
        }
    }

    #[test]
    fn texts_are_parted_before_the_first_word_that_differs() {
        for (one, other, prompt, answers) in [
            ("Q: x\n\nA: yes", "Q: x\n\nA: no", "Q: x\n\nA:", [" yes", " no"]),
            ("A: yesterday", "A: yes", "A:", [" yesterday", " yes"]),
            ("A: yes", "A: yes, so", "A:", [" yes", " yes, so"]),
            ("Ä: ö b", "Ä: ö c", "Ä: ö", [" b", " c"]),
        ] {
            let Pair { prompt: found, answers: parted } =
                shared_text(&[one.into(), other.into()]).unwrap();

            assert_eq!((found.as_str(), parted.each_ref().map(String::as_str)), (prompt, answers));
        }
        assert!(shared_text(&["yes".into(), "no".into()]).is_none());
        assert!(shared_text(&["yesterday".into(), "yes".into()]).is_none());
    }
}
