//! Answers as JSON.

use serde_json::{Map, Value, json};

use super::Head;
use super::row::Row;
use super::tokens::TokenEntry;
use crate::request::Form;

impl Head {
    /// Returns a whole answer.
    pub(super) fn answer(&self, choices: &[Value], generated: usize) -> Value {
        let object = match self.form {
            Form::Completion => "text_completion",
            Form::Chat => "chat.completion",
        };
        json!({
            "id": self.id, "object": object, "created": self.created, "model": self.model.name,
            "choices": choices, "usage": self.usage(generated),
        })
    }

    /// Returns a piece of an answer.
    pub(super) fn piece(&self, choices: &[Value]) -> Value {
        let object = match self.form {
            Form::Completion => "text_completion",
            Form::Chat => "chat.completion.chunk",
        };
        json!({
            "id": self.id, "object": object, "created": self.created, "model": self.model.name,
            "choices": choices,
        })
    }

    /// Returns the last piece, with the counts of tokens.
    pub(super) fn usage_piece(&self, generated: usize) -> Value {
        let mut piece = self.piece(&[]);
        piece["usage"] = self.usage(generated);
        piece
    }

    fn usage(&self, generated: usize) -> Value {
        json!({
            "prompt_tokens": self.prompt_tokens, "completion_tokens": generated,
            "total_tokens": self.prompt_tokens + generated,
        })
    }

    /// Returns a whole choice.
    pub(super) fn choice(&self, index: usize, row: &mut Row) -> Value {
        let (text, logprobs, finish) = self.taken(row);
        match self.form {
            Form::Completion => json!({
                "text": text, "index": index, "logprobs": logprobs, "finish_reason": finish,
            }),
            Form::Chat => json!({
                "index": index, "message": {"role": "assistant", "content": text},
                "logprobs": logprobs, "finish_reason": finish,
            }),
        }
    }

    /// Returns a piece of a choice with what can be sent; `begins` where it is the first one.
    pub(super) fn delta(&self, index: usize, row: &mut Row, begins: bool) -> Value {
        let (text, logprobs, finish) = self.taken(row);
        match self.form {
            Form::Completion => json!({
                "text": text, "index": index, "logprobs": logprobs, "finish_reason": finish,
            }),
            Form::Chat => {
                let mut delta = Map::new();
                if begins {
                    delta.insert("role".into(), "assistant".into());
                }
                delta.insert("content".into(), text.into());
                json!({
                    "index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish,
                })
            }
        }
    }

    fn taken(&self, row: &mut Row) -> (String, Value, Option<&'static str>) {
        let (text, entries) = (row.take_text(), row.take_entries());
        let logprobs = match self.form {
            _ if !row.has_entries() => Value::Null,
            Form::Completion => of_completion(&entries),
            Form::Chat => of_chat(&entries),
        };
        (text, logprobs, row.finish().map(super::row::Finish::name))
    }
}

/// Writes entries in lists, one place a token.
fn of_completion(entries: &[TokenEntry]) -> Value {
    let list = |of: &dyn Fn(&TokenEntry) -> Value| entries.iter().map(of).collect::<Vec<Value>>();
    json!({
        "tokens": list(&|entry| entry.text.as_str().into()),
        "token_logprobs": list(&|entry| entry.logprob.into()),
        "top_logprobs": list(&|entry| match entry.logprob {
            None => Value::Null,
            Some(_) => entry.top.iter().map(|(text, value)| (text.clone(), json!(value))).collect(),
        }),
        "text_offset": list(&|entry| entry.offset.into()),
    })
}

/// Writes entries as a list of objects.
fn of_chat(entries: &[TokenEntry]) -> Value {
    let token = |text: &str, logprob: f64| json!({"token": text, "logprob": logprob, "bytes": text.as_bytes()});
    let content = entries.iter().filter(|entry| !entry.is_end).map(|entry| {
        let mut object = token(&entry.text, entry.logprob.unwrap_or_default());
        let top = entry.top.iter().map(|(text, value)| token(text, *value));
        object["top_logprobs"] = top.collect();
        object
    });
    json!({"content": content.collect::<Vec<Value>>()})
}
