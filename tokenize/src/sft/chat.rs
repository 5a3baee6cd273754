//! Conversations: a Jinja template writes them, and the assistant's turns are found in the text.
//!
//! Which characters are learnt is found in one of three ways, the first that applies:
//!
//! 1. The template says so itself: `{% generation %} … {% endgeneration %}`, as Hugging Face has it.
//! 2. The template writes a conversation turn by turn: then a turn is what it adds to the text,
//!    behind the template's own invitation to answer.
//! 3. Marks around each assistant's content, which the template carries to where it writes it.
//!
//! A token is learnt where its last byte is; so a token that glues the template's last character
//! to the answer's first is learnt, and one that glues the answer's end to what follows is not.

use std::ops::Range;
use std::path::Path;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, ErrorKind, Value as JinjaValue, context};
use serde_json::Value;

use super::error::SftError;
use super::python_json;

/// Marks that no text holds: the last two code points of the last private plane.
const BEGIN: char = '\u{10fffc}';
const END: char = '\u{10fffd}';

/// A template that writes conversations.
#[derive(Debug)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    generation: bool,
    bos: String,
    eos: String,
}

/// A conversation as text, with the stretches that are learnt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// The text.
    pub text: String,
    /// The bytes of it that are learnt, in order.
    pub learnt: Vec<Range<usize>>,
}

impl ChatTemplate {
    /// Compiles a template; `bos` and `eos` are what it writes for `bos_token` and `eos_token`.
    ///
    /// # Errors
    ///
    /// The template is malformed; the message has its line and column.
    pub fn compile(source: &str, bos: &str, eos: &str) -> Result<Self, SftError> {
        let mut environment = Environment::new();
        let blocks = SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build()
            .map_err(|wrong| template_error(&wrong))?;
        environment.set_syntax(blocks);
        environment
            .set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function(
            "raise_exception",
            |text: String| -> Result<(), minijinja::Error> {
                Err(minijinja::Error::new(ErrorKind::InvalidOperation, text))
            },
        );
        environment.add_filter("tojson", |Serde(json): Serde<Value>| {
            JinjaValue::from_safe_string(python_json::to_string(&json))
        });
        let (marked, generation) = mark_generation(source);
        environment.add_template_owned("chat", marked).map_err(|wrong| template_error(&wrong))?;
        Ok(Self { environment, generation, bos: bos.to_owned(), eos: eos.to_owned() })
    }

    /// Reads the template of the `tokenizer_config.json` beside a tokenizer file.
    ///
    /// # Errors
    ///
    /// There is none, or it is malformed.
    pub fn beside(tokenizer: &Path, bos: &str, eos: &str) -> Result<Self, SftError> {
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
        Self::compile(template, bos, eos)
    }

    /// Writes a conversation and finds what of it is learnt.
    ///
    /// # Errors
    ///
    /// The template refuses the conversation, no turn is the assistant's, or where its turns are
    /// written cannot be told.
    pub fn render(&self, messages: &[Value], tools: Option<&Value>) -> Result<Rendered, String> {
        let assistant = |message: &Value| message["role"] == "assistant";
        if !messages.iter().any(assistant) {
            return Err("the conversation has no assistant turn".into());
        }
        if messages.iter().any(|message| message.to_string().contains([BEGIN, END])) {
            return Err("the conversation holds a character of the last private plane".into());
        }
        if self.generation {
            return unmark(&self.write(messages, tools, false)?)
                .filter(|rendered| !rendered.learnt.is_empty())
                .ok_or_else(|| "the template's `generation` blocks held no turn".into());
        }
        let text = self.write(messages, tools, false)?;
        let marked = self.marked(messages, tools, &text);
        if let Some(mut learnt) = self.turn_by_turn(messages, tools, &text) {
            // A template without a generation prompt writes a turn's heading with the turn.
            if let (false, Some(marked)) = (self.has_generation_prompt(messages, tools), &marked) {
                for (turn, content) in learnt.iter_mut().zip(marked) {
                    turn.start = content.start.max(turn.start);
                }
            }
            return Ok(Rendered { text, learnt });
        }
        let learnt = marked.ok_or(
            "where the template writes the assistant's turns cannot be told; mark them in it with `{% generation %}`",
        )?;
        Ok(Rendered { text, learnt })
    }

    /// Returns where the template carries marks around each assistant's content; none where it
    /// loses one.
    fn marked(
        &self,
        messages: &[Value],
        tools: Option<&Value>,
        text: &str,
    ) -> Option<Vec<Range<usize>>> {
        let assistant = |message: &Value| message["role"] == "assistant";
        let turns = messages.iter().filter(|message| assistant(message)).count();
        let marked: Vec<Value> = messages
            .iter()
            .map(|message| if assistant(message) { mark(message) } else { message.clone() })
            .collect();
        let found = unmark(&self.write(&marked, tools, false).ok()?)?;
        (found.text == text && found.learnt.len() == turns).then_some(found.learnt)
    }

    /// Returns whether the template writes something to be answered when it is asked to.
    fn has_generation_prompt(&self, messages: &[Value], tools: Option<&Value>) -> bool {
        self.write(messages, tools, true).ok() != self.write(messages, tools, false).ok()
    }

    /// Returns what each assistant turn adds to the text; none where the template writes an
    /// earlier turn otherwise once a later one is there.
    fn turn_by_turn(
        &self,
        messages: &[Value],
        tools: Option<&Value>,
        text: &str,
    ) -> Option<Vec<Range<usize>>> {
        let mut learnt = Vec::new();
        for (place, message) in messages.iter().enumerate() {
            if message["role"] != "assistant" {
                continue;
            }
            let before = self.write(&messages[..place], tools, true).ok()?;
            let after = self.write(&messages[..=place], tools, false).ok()?;
            if !(text.starts_with(&after) && after.starts_with(&before)) {
                return None;
            }
            // White space behind the turn's closing token belongs to the template.
            let end = after.trim_end().len().max(before.len());
            learnt.push(before.len()..end);
        }
        Some(learnt)
    }

    fn write(
        &self,
        messages: &[Value],
        tools: Option<&Value>,
        add_generation_prompt: bool,
    ) -> Result<String, String> {
        let template = self.environment.get_template("chat").map_err(|wrong| wrong.to_string())?;
        template
            .render(context! {
                messages => Serde(messages),
                tools => Serde(tools),
                bos_token => self.bos.as_str(),
                eos_token => self.eos.as_str(),
                add_generation_prompt => add_generation_prompt,
            })
            .map_err(|wrong| template_error(&wrong).to_string())
    }
}

fn template_error(wrong: &minijinja::Error) -> SftError {
    let place = match (wrong.line(), wrong.range()) {
        (Some(line), Some(range)) => {
            let before =
                wrong.template_source().map_or("", |text| &text[..range.start.min(text.len())]);
            let column = before.chars().rev().take_while(|&char| char != '\n').count() + 1;
            format!("line {line}, column {column}: ")
        }
        (Some(line), None) => format!("line {line}: "),
        _ => String::new(),
    };
    let detail = wrong.detail().map_or_else(|| wrong.kind().to_string(), ToOwned::to_owned);
    SftError::ChatTemplate { reason: format!("{place}{detail}") }
}

/// Turns `{% generation %}` and its end into marks, which any Jinja writes.
fn mark_generation(source: &str) -> (String, bool) {
    let mut marked = String::with_capacity(source.len());
    let mut rest = source;
    let mut any = false;
    while let Some(open) = rest.find("{%") {
        let Some(close) = rest[open..].find("%}").map(|close| open + close) else { break };
        let inside = &rest[open + 2..close];
        let word = inside.trim_matches(['-', '+']).trim();
        let mark = match word {
            "generation" => Some(BEGIN),
            "endgeneration" => Some(END),
            _ => None,
        };
        match mark {
            Some(mark) => {
                any = true;
                let (left, right) = (inside.starts_with('-'), inside.ends_with('-'));
                let dash = |dash: bool| if dash { "-" } else { "" };
                marked.push_str(&rest[..open]);
                marked.extend(["{{", dash(left), " '"]);
                marked.push(mark);
                marked.extend(["' ", dash(right), "}}"]);
            }
            None => marked.push_str(&rest[..close + 2]),
        }
        rest = &rest[close + 2..];
    }
    marked.push_str(rest);
    (marked, any)
}

/// Puts marks around the content of a message, within the white space that a template may trim.
fn mark(message: &Value) -> Value {
    let mut message = message.clone();
    if let Some(content) = message["content"].as_str() {
        let body = content.trim();
        let start = content.find(body).unwrap_or(0);
        let (before, after) = (&content[..start], &content[start + body.len()..]);
        message["content"] = format!("{before}{BEGIN}{body}{END}{after}").into();
    }
    message
}

/// Takes the marks out of a text and returns what stood between them.
fn unmark(marked: &str) -> Option<Rendered> {
    let mut text = String::with_capacity(marked.len());
    let mut learnt = Vec::new();
    let mut begun = None;
    for char in marked.chars() {
        match char {
            BEGIN if begun.is_none() => begun = Some(text.len()),
            END => learnt.push(begun.take()?..text.len()),
            BEGIN => return None,
            other => text.push(other),
        }
    }
    begun.is_none().then_some(Rendered { text, learnt })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const CHATML: &str = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

    fn learnt(template: &str, messages: &Value) -> Vec<String> {
        let template = ChatTemplate::compile(template, "<s>", "</s>").unwrap();
        let rendered = template.render(messages.as_array().unwrap(), None).unwrap();
        rendered.learnt.iter().map(|range| rendered.text[range.clone()].to_owned()).collect()
    }

    fn talk() -> Value {
        json!([
            {"role": "system", "content": "s"}, {"role": "user", "content": "u"},
            {"role": "assistant", "content": " one "}, {"role": "user", "content": "one"},
            {"role": "assistant", "content": "two"}
        ])
    }

    #[test]
    fn a_turn_is_what_it_adds_to_the_text() {
        assert_eq!(learnt(CHATML, &talk()), [" one <|im_end|>", "two<|im_end|>"]);
    }

    #[test]
    fn a_template_that_says_what_is_learnt_is_believed() {
        let template = "{% for m in messages %}{{ m.role }}:{%- if m.role == 'assistant' %}{% generation %}{{ m.content }}{% endgeneration %}{% else %}{{ m.content }}{% endif %};{% endfor %}";

        assert_eq!(learnt(template, &talk()), [" one ", "two"]);
    }

    #[test]
    fn a_template_that_rewrites_old_turns_is_marked() {
        let template =
            "{{ messages | length }}{% for m in messages %}[{{ m.content | trim }}]{% endfor %}";

        assert_eq!(learnt(template, &talk()), ["one", "two"]);
    }

    #[test]
    fn a_template_glued_to_its_turns_finds_them() {
        let template = "{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content.strip() }} [/INST]{% elif m.role == 'assistant' %}{{ ' ' + m.content.strip() + eos_token }}{% endif %}{% endfor %}";

        assert_eq!(learnt(template, &talk()), ["one</s>", "two</s>"]);
    }

    #[test]
    fn what_is_wrong_is_told() {
        let template = ChatTemplate::compile(CHATML, "", "").unwrap();
        let silent = template.render(&[json!({"role": "user", "content": "u"})], None).unwrap_err();
        let broken = ChatTemplate::compile("a\nb {% for %}", "", "").unwrap_err().to_string();

        assert!(silent.contains("no assistant turn"), "{silent}");
        assert!(broken.contains("line 2, column"), "{broken}");
    }
}
