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

use minijinja::context;
use minijinja::value::Serde;
use serde_json::Value;

use super::date::Date;
use super::error::SftError;
use super::jinja::{BEGIN, END, Jinja, RenderError};

/// A template that writes conversations.
#[derive(Debug)]
pub struct ChatTemplate {
    jinja: Jinja,
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
    /// Compiles a template; `bos` and `eos` are what it writes for `bos_token` and `eos_token`,
    /// `date` what it is told by `strftime_now`.
    ///
    /// # Errors
    ///
    /// The template is malformed; the message has its line and column.
    pub fn compile(source: &str, bos: &str, eos: &str, date: Date) -> Result<Self, SftError> {
        let jinja = Jinja::compile(source, date)?;
        Ok(Self { jinja, bos: bos.to_owned(), eos: eos.to_owned() })
    }

    /// Reads the template of the `tokenizer_config.json` beside a tokenizer file.
    ///
    /// The tokens that the file names stand for `bos` and `eos`.
    ///
    /// # Errors
    ///
    /// There is none, or it is malformed.
    pub fn beside(tokenizer: &Path, bos: &str, eos: &str, date: Date) -> Result<Self, SftError> {
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
        let text = self.write(messages, tools, false)?;
        Ok(unmark(&text).map_or(text, |rendered| rendered.text))
    }

    /// Writes a conversation and finds what of it is learnt.
    ///
    /// # Errors
    ///
    /// The template is wrong or refuses the conversation, no turn is the assistant's, or where its
    /// turns are written cannot be told.
    pub fn render(
        &self,
        messages: &[Value],
        tools: Option<&Value>,
    ) -> Result<Rendered, RenderError> {
        let refused = |reason: &str| RenderError::Conversation(reason.to_owned());
        if !messages.iter().any(is_assistant) {
            return Err(refused("the conversation has no assistant turn"));
        }
        if messages.iter().any(|message| message.to_string().contains([BEGIN, END])) {
            return Err(refused("the conversation holds a character of the last private plane"));
        }
        let text = self.write(messages, tools, false)?;
        if self.jinja.marks_generation() {
            return unmark(&text)
                .filter(|rendered| !rendered.learnt.is_empty())
                .ok_or_else(|| refused("the template's `generation` blocks held no turn"));
        }
        let marked = self.marked(messages, tools, &text);
        if let Some(mut learnt) = self.turn_by_turn(messages, tools, &text) {
            // A template without a generation prompt writes a turn's heading with the turn.
            let prompted = self.has_generation_prompt(messages, tools);
            for (turn, content) in learnt.iter_mut().zip(marked.into_iter().flatten()) {
                let Some(content) = content else { continue };
                if !prompted {
                    turn.start = content.start.max(turn.start);
                }
                // White space that ends the turn's own content is learnt with it.
                turn.end = content.end.max(turn.end);
            }
            return Ok(Rendered { text, learnt });
        }
        let untold = || {
            RenderError::Template(
                "where it writes the assistant's turns cannot be told; mark them in it with `{% generation %}`".into(),
            )
        };
        let turns = marked.ok_or_else(untold)?;
        // A turn without words has nothing to learn, unless the template writes its calls.
        if turns.contains(&None) && self.writes_calls(messages, tools, &text) {
            return Err(untold());
        }
        let learnt = turns.into_iter().flatten().collect();
        Ok(Rendered { text, learnt })
    }

    /// Returns where the template carries marks around the content of each assistant turn that has
    /// any; none where it loses one.
    ///
    /// The marks enclose the white space around the content where the template leaves it alone,
    /// and stand within it where the template trims it.
    fn marked(
        &self,
        messages: &[Value],
        tools: Option<&Value>,
        text: &str,
    ) -> Option<Vec<Option<Range<usize>>>> {
        let spoken =
            |message: &Value| message["content"].as_str().is_some_and(|text| !text.is_empty());
        let turns = messages.iter().filter(|message| is_assistant(message));
        let spoken: Vec<bool> = turns.map(spoken).collect();
        let count = spoken.iter().filter(|&&spoken| spoken).count();
        let sides = [(true, true), (false, true), (true, false), (false, false)];
        sides.into_iter().find_map(|(before, after)| {
            let marked: Vec<Value> = messages
                .iter()
                .map(|message| {
                    if is_assistant(message) {
                        mark(message, before, after)
                    } else {
                        message.clone()
                    }
                })
                .collect();
            let found = unmark(&self.write(&marked, tools, false).ok()?)?;
            (found.text == text && found.learnt.len() == count).then(|| {
                let mut found = found.learnt.into_iter();
                spoken.iter().map(|&spoken| if spoken { found.next() } else { None }).collect()
            })
        })
    }

    /// Returns whether the template writes the calls of assistant turns without words.
    fn writes_calls(&self, messages: &[Value], tools: Option<&Value>, text: &str) -> bool {
        let mut without = messages.to_vec();
        let silent = |message: &Value| message["content"].as_str().is_none_or(str::is_empty);
        for message in without.iter_mut().filter(|message| is_assistant(message) && silent(message))
        {
            if let Some(fields) = message.as_object_mut() {
                fields.remove("tool_calls");
            }
        }
        self.write(&without, tools, false).ok().as_deref() != Some(text)
    }

    /// Returns whether the template writes something to be answered when it is asked to.
    fn has_generation_prompt(&self, messages: &[Value], tools: Option<&Value>) -> bool {
        self.write(messages, tools, true).ok() != self.write(messages, tools, false).ok()
    }

    /// Returns what each assistant turn adds to the text, but for white space at its end; none
    /// where the template writes an earlier turn otherwise once a later one is there.
    fn turn_by_turn(
        &self,
        messages: &[Value],
        tools: Option<&Value>,
        text: &str,
    ) -> Option<Vec<Range<usize>>> {
        let mut learnt = Vec::new();
        for (place, message) in messages.iter().enumerate() {
            if !is_assistant(message) {
                continue;
            }
            let before = self.write(&messages[..place], tools, true).ok()?;
            let after = self.write(&messages[..=place], tools, false).ok()?;
            // Some templates close whatever is written with one EOS, and not each turn.
            let whole = text.starts_with(&after).then_some(after.as_str());
            let open = after.strip_suffix(&self.eos).filter(|open| text.starts_with(open));
            let after = whole.or(open)?;
            if !after.starts_with(&before) {
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
    ) -> Result<String, RenderError> {
        self.jinja.write(context! {
            messages => Serde(messages),
            tools => Serde(tools),
            documents => None::<()>,
            bos_token => self.bos.as_str(),
            eos_token => self.eos.as_str(),
            add_generation_prompt => add_generation_prompt,
        })
    }
}

fn is_assistant(message: &Value) -> bool {
    message["role"] == "assistant"
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

    fn compile(template: &str) -> Result<ChatTemplate, SftError> {
        ChatTemplate::compile(template, "<s>", "</s>", Date::default())
    }

    fn learnt(template: &str, messages: &Value) -> Vec<String> {
        let template = compile(template).unwrap();
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
        let template = compile(CHATML).unwrap();
        let silent = template
            .render(&[json!({"role": "user", "content": "u"})], None)
            .unwrap_err()
            .to_string();
        let broken = compile("a\nb {% for %}").unwrap_err().to_string();

        assert!(silent.contains("no assistant turn"), "{silent}");
        assert!(broken.contains("line 2, column"), "{broken}");
    }

    #[test]
    fn white_space_around_a_generation_block_is_trimmed_as_around_any_block() {
        let talk = [
            json!({"role": "user", "content": "u"}),
            json!({"role": "assistant", "content": "a1"}),
        ];
        for (turn, expected) in [
            (
                "    {% generation %}\n{{ m.content }}\n    {% endgeneration %}\nEND",
                "A:\n<a1\n>END",
            ),
            (
                "    {%- generation -%}\n{{ m.content }}\n    {%- endgeneration -%}\nEND",
                "A:<a1>END",
            ),
            ("  {% generation -%}\n {{ m.content }} {%- endgeneration %}\n\nEND", "A:\n<a1>\nEND"),
            (
                "  {%+ generation %} {{ m.content }}\n {%+ endgeneration %} END",
                "A:\n  < a1\n > END",
            ),
        ] {
            let source = format!(
                "{{% for m in messages %}}{{% if m.role == 'assistant' %}}A:\n{turn}{{% endif %}}{{% endfor %}}"
            );

            let rendered = compile(&source).unwrap().render(&talk, None).unwrap();

            let mut text = rendered.text.clone();
            text.insert(rendered.learnt[0].end, '>');
            text.insert(rendered.learnt[0].start, '<');
            assert_eq!(text, expected, "{source}");
        }
    }

    #[test]
    fn white_space_that_ends_an_answer_is_learnt_with_it() {
        let talk = json!([
            {"role": "user", "content": "u"}, {"role": "assistant", "content": "one\n"},
            {"role": "user", "content": "u"}, {"role": "assistant", "content": "two  "}
        ]);
        let bare = "{% for m in messages %}{{ m.role }}: {{ m.content }}{% endfor %}";
        let lines = "{% for m in messages %}{{ m.role }}: {{ m.content | trim }}\n{% endfor %}";

        assert_eq!(learnt(bare, &talk), ["one\n", "two  "]);
        assert_eq!(learnt(CHATML, &talk), ["one\n<|im_end|>", "two  <|im_end|>"]);
        assert_eq!(learnt(lines, &talk), ["one", "two"], "a template's own line end is not learnt");
    }

    #[test]
    fn a_mistake_of_the_template_is_told_from_one_of_the_conversation() {
        let talk = [json!({"role": "assistant", "content": null})];
        let wrong = |source: &str| compile(source).unwrap().render(&talk, None).unwrap_err();

        for (source, says) in [
            ("a\n  {{ messages | nosuch }}", "line 2, column 17: unknown filter"),
            ("a\n\n{{ nosuch(1) }}", "line 3, column 4: unknown function"),
            ("{{ 'x'.nosuch() }}", "line 1, column "),
        ] {
            let RenderError::Template(reason) = wrong(source) else { panic!("{source}") };
            assert!(reason.contains(says), "{reason}");
        }
        for (source, says) in [
            ("{{ raise_exception('roles alternate') }}", "refuses it: roles alternate"),
            ("{{ messages[0].content.strip() }}", "line 1, column"),
        ] {
            let RenderError::Conversation(reason) = wrong(source) else { panic!("{source}") };
            assert!(reason.contains(says), "{reason}");
        }
    }
}
