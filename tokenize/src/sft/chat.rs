//! Conversations: a Jinja template writes them, and the assistant's turns are found in the text.
//!
//! Which characters are trained on is said by the template itself, `{% generation %} …
//! {% endgeneration %}` as Hugging Face has it, or found by `turns.rs`. Turns whose messages say so
//! are left out (`turn_flags.rs`).
//!
//! A token is trained on where its last byte is; so a token that glues the template's last character
//! to the answer's first is trained on, and one that glues the answer's end to what follows is not.

use std::ops::Range;

use ratdata_schemas::recipe::LossOn;
use serde_json::Value;

use super::chat_template::{ChatTemplate, Conversation, Watch, is_assistant, is_turn, unmark};
use super::jinja::{BEGIN, END, RenderError};
use super::turn_flags::trained_turns;
use super::turn_parts::without;
use super::turns::{Turn, Turns, ends_with_words};

/// A conversation as text, with the stretches that are trained on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// The text.
    pub text: String,
    /// The bytes of it that are trained on, in order.
    pub trained: Vec<Range<usize>>,
    /// How many of the turns that are trained on have nothing behind their words to stop at.
    pub unstopped: usize,
}

impl ChatTemplate {
    /// Writes a conversation and finds what of it is trained on.
    ///
    /// # Errors
    ///
    /// The template is wrong or refuses the conversation, a flag of a message is, no turn is the
    /// assistant's, or where its turns are written cannot be told.
    pub fn render(
        &self,
        messages: &[Value],
        tools: Option<&Value>,
    ) -> Result<Rendered, RenderError> {
        self.render_watched(messages, tools, 0, &Watch::default())
    }

    /// Writes a conversation as [`ChatTemplate::render`] does, where another thread looks on; nothing of the
    /// first `read_only` messages is trained on.
    pub(super) fn render_watched(
        &self,
        messages: &[Value],
        tools: Option<&Value>,
        read_only: usize,
        watch: &Watch,
    ) -> Result<Rendered, RenderError> {
        let refused = |reason: String| RenderError::Conversation(reason);
        let on = &self.loss_on;
        if !messages.iter().any(|message| is_turn(message, on)) {
            return Err(refused(match on {
                LossOn::Roles(_) => format!("the conversation has no turn of `{on}`"),
                LossOn::All | LossOn::Last => "the conversation has no assistant turn".into(),
            }));
        }
        if messages.iter().any(|message| message.to_string().contains([BEGIN, END])) {
            let reason = "the conversation holds a character of the last private plane";
            return Err(refused(reason.into()));
        }
        let wanted = trained_turns(messages, on, read_only).map_err(refused)?;
        let conversation = Conversation::new(messages, tools, watch);
        let text = self.write(&conversation, false)?;
        if self.jinja.marks_generation() {
            if !on.is_of_the_assistant() {
                return Err(RenderError::Template(format!(
                    "it marks the assistant's turns itself, so those of `{on}` cannot be trained on"
                )));
            }
            let marked = generated(&text, messages, &wanted, &self.eos).map_err(refused)?;
            return self.without_parts(marked, messages).map_err(refused);
        }
        if on.is_of_the_assistant()
            && let Some(marked) = self.marked_by_family(&conversation, &text)?
            && let Ok(marked) = generated(&marked, messages, &wanted, &self.eos)
        {
            return self.without_parts(marked, messages).map_err(refused);
        }
        let turns = Turns { template: self, conversation, text: &text }.find()?;
        let trained = turns.into_iter().zip(wanted).filter(|&(_, wanted)| wanted);
        let turns: Vec<Turn> = trained.filter_map(|(turn, _)| turn).collect();
        let unstopped = turns.iter().filter(|turn| !turn.stops).count();
        let trained = turns.into_iter().map(|turn| turn.span).collect();
        self.without_parts(Rendered { text, trained, unstopped }, messages).map_err(refused)
    }

    /// Takes the parts of turns that are not trained on out of a conversation's stretches.
    fn without_parts(&self, whole: Rendered, messages: &[Value]) -> Result<Rendered, String> {
        if self.loss_without.is_empty() {
            return Ok(whole);
        }
        let Rendered { text, trained, unstopped } = whole;
        let trained = without(&text, &trained, &self.loss_without, messages)?;
        Ok(Rendered { text, trained, unstopped })
    }
}

/// Returns what the template itself marked, less the turns that are not wanted.
fn generated(
    text: &str,
    messages: &[Value],
    wanted: &[bool],
    eos: &str,
) -> Result<Rendered, String> {
    let (text, spans) = unmark(text)
        .filter(|(_, spans)| !spans.is_empty())
        .ok_or("the template's `generation` blocks held no turn")?;
    if spans.len() != wanted.len() {
        return if wanted.contains(&false) {
            Err(format!(
                "not each turn is trained on, and the template marks {} stretches for {} turns, so which are its own cannot be told",
                spans.len(),
                wanted.len()
            ))
        } else {
            Ok(Rendered { text, trained: spans, unstopped: 0 })
        };
    }
    let turns = messages.iter().filter(|message| is_assistant(message));
    let (mut trained, mut unstopped) = (Vec::new(), 0);
    for ((span, turn), _) in spans.into_iter().zip(turns).zip(wanted).filter(|(_, wanted)| **wanted)
    {
        let written = &text[span.clone()];
        let eos = !eos.is_empty() && written.trim_end().ends_with(eos);
        unstopped += usize::from(!eos && ends_with_words(written, turn));
        trained.push(span);
    }
    Ok(Rendered { text, trained, unstopped })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::error::SftError;
    use super::*;
    use ratdata_schemas::recipe::{Date, LossWithout};

    const CHATML: &str = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

    fn compile(template: &str) -> Result<ChatTemplate, SftError> {
        ChatTemplate::compile(template, "<s>", "</s>", Date::default())
    }

    fn trained(template: &str, messages: &Value) -> Vec<String> {
        let template = compile(template).unwrap();
        let rendered = template.render(messages.as_array().unwrap(), None).unwrap();
        rendered.trained.iter().map(|range| rendered.text[range.clone()].to_owned()).collect()
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
        assert_eq!(trained(CHATML, &talk()), [" one <|im_end|>", "two<|im_end|>"]);
    }

    #[test]
    fn a_template_that_says_what_is_trained_on_is_believed() {
        let template = "{% for m in messages %}{{ m.role }}:{%- if m.role == 'assistant' %}{% generation %}{{ m.content }}{% endgeneration %}{% else %}{{ m.content }}{% endif %};{% endfor %}";

        assert_eq!(trained(template, &talk()), [" one ", "two"]);
    }

    #[test]
    fn a_template_that_rewrites_old_turns_is_marked() {
        let template =
            "{{ messages | length }}{% for m in messages %}[{{ m.content | trim }}]{% endfor %}";

        assert_eq!(trained(template, &talk()), ["one", "two"]);
    }

    #[test]
    fn a_template_glued_to_its_turns_finds_them() {
        let template = "{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content.strip() }} [/INST]{% elif m.role == 'assistant' %}{{ ' ' + m.content.strip() + eos_token }}{% endif %}{% endfor %}";

        assert_eq!(trained(template, &talk()), ["one</s>", "two</s>"]);
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
            text.insert(rendered.trained[0].end, '>');
            text.insert(rendered.trained[0].start, '<');
            assert_eq!(text, expected, "{source}");
        }
    }

    #[test]
    fn white_space_that_ends_an_answer_is_trained_on_with_it() {
        let talk = json!([
            {"role": "user", "content": "u"}, {"role": "assistant", "content": "one\n"},
            {"role": "user", "content": "u"}, {"role": "assistant", "content": "two  "}
        ]);
        let bare = "{% for m in messages %}{{ m.role }}: {{ m.content }}{% endfor %}";
        let lines = "{% for m in messages %}{{ m.role }}: {{ m.content | trim }}\n{% endfor %}";

        assert_eq!(trained(bare, &talk), ["one\n", "two  "]);
        assert_eq!(trained(CHATML, &talk), ["one\n<|im_end|>", "two  <|im_end|>"]);
        assert_eq!(
            trained(lines, &talk),
            ["one", "two"],
            "a template's own line end is not trained on"
        );
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

    const TOOLS: &str = "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.content %}{{ m.content }}{% endif %}{% if m.tool_calls %}{% for t in m.tool_calls %}<tool_call>{{ t.function | tojson }}</tool_call>{% endfor %}{% endif %}<|im_end|>\n{% endfor %}";
    const INVITE: &str = "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

    #[test]
    fn a_turn_of_calls_is_trained_on_without_its_heading() {
        let calls = json!([{"type": "function", "function": {"name": "f", "arguments": {"x": 1}}}]);
        let call = "<tool_call>{\"name\": \"f\", \"arguments\": {\"x\": 1}}</tool_call><|im_end|>";
        for content in [json!({"content": ""}), json!({"content": null}), json!({})] {
            let mut turn = content;
            turn["role"] = "assistant".into();
            turn["tool_calls"] = calls.clone();
            let talk = json!([
                {"role": "user", "content": "w"}, turn, {"role": "tool", "content": "42"},
                {"role": "assistant", "content": "it is 42"}
            ]);
            for template in [TOOLS.to_owned(), format!("{TOOLS}{INVITE}")] {
                assert_eq!(trained(&template, &talk), [call, "it is 42<|im_end|>"]);
                let alone = json!([talk[0], talk[1]]);
                assert_eq!(trained(&template, &alone), [call]);
            }
        }
        let both = json!([
            {"role": "user", "content": "w"},
            {"role": "assistant", "content": "see", "tool_calls": calls}
        ]);
        assert_eq!(trained(TOOLS, &both), [format!("see{call}")]);
    }

    #[test]
    fn calls_right_behind_the_question_are_trained_on_whole() {
        let template = "{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }}[/INST]{% elif m.tool_calls %}[TOOL_CALLS] {{ m.tool_calls | tojson }}{{ eos_token }}{% else %} {{ m.content }}{{ eos_token }}{% endif %}{% endfor %}";
        let talk = json!([
            {"role": "user", "content": "w"},
            {"role": "assistant", "content": null, "tool_calls": [1]},
            {"role": "assistant", "content": "done"}
        ]);

        assert_eq!(trained(template, &talk), ["[TOOL_CALLS] [1]</s>", "done</s>"]);
    }

    #[test]
    fn thoughts_are_trained_on_where_they_are_written() {
        let template = "{% set ns = namespace(last=0) %}{% for m in messages %}{% if m.role == 'user' %}{% set ns.last = loop.index0 %}{% endif %}{% endfor %}{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' and loop.index0 < ns.last %}{{ m.content.split('</think>')[-1].lstrip('\\n') }}{% else %}{{ m.content }}{% endif %}<|im_end|>\n{% endfor %}";
        let talk = json!([
            {"role": "user", "content": "2+2?"},
            {"role": "assistant", "content": "<think>\nadd\n</think>\n\n4"},
            {"role": "user", "content": "3+3?"},
            {"role": "assistant", "content": "<think>\nadd more\n</think>\n\n6"}
        ]);

        for template in [template.to_owned(), format!("{template}{INVITE}")] {
            assert_eq!(
                trained(&template, &talk),
                ["4<|im_end|>", "<think>\nadd more\n</think>\n\n6<|im_end|>"]
            );
        }
    }

    #[test]
    fn an_empty_answer_learns_to_stop_and_no_heading() {
        let talk = json!([
            {"role": "user", "content": "u"}, {"role": "assistant", "content": ""},
            {"role": "user", "content": "u"}, {"role": "assistant", "content": "full"}
        ]);

        for template in [TOOLS.to_owned(), format!("{TOOLS}{INVITE}")] {
            assert_eq!(trained(&template, &talk), ["<|im_end|>", "full<|im_end|>"]);
        }
    }

    #[test]
    fn turns_that_are_flagged_are_left_out() {
        let mut talk = talk();
        talk[2]["weight"] = 0.into();
        let generation = "{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ m.content }}{% endgeneration %}{% endif %}{% endfor %}";

        assert_eq!(trained(CHATML, &talk), ["two<|im_end|>"]);
        assert_eq!(trained(generation, &talk), ["two"]);
        let once =
            "{% generation %}{% for m in messages %}{{ m.content }}{% endfor %}{% endgeneration %}";
        let refused =
            compile(once).unwrap().render(talk.as_array().unwrap(), None).unwrap_err().to_string();
        assert!(refused.contains("which are its own cannot be told"), "{refused}");
    }

    fn chosen(template: &str, talk: &Value, on: &str, without: &[LossWithout]) -> Vec<String> {
        let template = compile(template).unwrap().with_loss(on.parse().unwrap(), without);
        let rendered = template.render(talk.as_array().unwrap(), None).unwrap();
        rendered.trained.iter().map(|range| rendered.text[range.clone()].to_owned()).collect()
    }

    #[test]
    fn the_last_answer_alone_or_the_turns_of_other_roles_are_trained_on() {
        let invited = format!("{CHATML}{INVITE}");
        for template in [CHATML, &invited] {
            assert_eq!(chosen(template, &talk(), "last", &[]), ["two<|im_end|>"]);
            assert_eq!(chosen(template, &talk(), "user", &[]), ["u<|im_end|>", "one<|im_end|>"]);
            assert_eq!(
                chosen(template, &talk(), "system,assistant", &[]),
                ["s<|im_end|>", " one <|im_end|>", "two<|im_end|>"]
            );
        }
        let marks = "{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ m.content }}{% endgeneration %}{% endif %}{% endfor %}";
        assert_eq!(chosen(marks, &talk(), "last", &[]), ["two"]);
        let refused = compile(marks).unwrap().with_loss("user".parse().unwrap(), &[]);
        let refused = refused.render(talk().as_array().unwrap(), None).unwrap_err().to_string();
        assert!(refused.contains("marks the assistant's turns itself"), "{refused}");
    }

    #[test]
    fn thoughts_and_calls_are_left_out_by_choice() {
        let calls = json!([{"type": "function", "function": {"name": "f", "arguments": {"x": 1}}}]);
        let talk = json!([
            {"role": "user", "content": "w"},
            {"role": "assistant", "content": "<think>\nlook\n</think>\n\nsee", "tool_calls": calls},
            {"role": "tool", "content": "42"},
            {"role": "assistant", "content": "<think>\nso\n</think>\n\nit is 42"}
        ]);
        let call = "<tool_call>{\"name\": \"f\", \"arguments\": {\"x\": 1}}</tool_call>";

        assert_eq!(
            chosen(TOOLS, &talk, "all", &[LossWithout::Thoughts]),
            [format!("see{call}<|im_end|>"), "it is 42<|im_end|>".into()]
        );
        assert_eq!(
            chosen(TOOLS, &talk, "all", &[LossWithout::Thoughts, LossWithout::ToolCalls]),
            ["see", "<|im_end|>", "it is 42<|im_end|>"]
        );
        assert_eq!(
            chosen(TOOLS, &talk, "last", &[LossWithout::ToolCalls]),
            ["<think>\nso\n</think>\n\nit is 42<|im_end|>"]
        );
        // Calls that the template writes as bare JSON have no sign of where they end.
        let bare = TOOLS.replace("<tool_call>", "").replace("</tool_call>", "");
        let template = compile(&bare).unwrap().with_loss(LossOn::All, &[LossWithout::ToolCalls]);
        let refused = template.render(talk.as_array().unwrap(), None).unwrap_err().to_string();
        assert!(
            refused.contains("where the calls of tools are written cannot be told"),
            "{refused}"
        );
    }

    /// A family's marks are around what the search finds in its template without marks.
    #[test]
    fn the_marks_of_families_are_where_turns_are_found() {
        let calls = json!([{"type": "function", "function": {"name": "f", "arguments": {"x": 1}}}]);
        let tools = json!([{"type": "function", "function": {"name": "f", "parameters": {}}}]);
        let plain = json!([
            {"role": "user", "content": "u"}, {"role": "assistant", "content": "one"},
            {"role": "user", "content": "v"}, {"role": "assistant", "content": "two"}
        ]);
        let thoughts = json!([
            {"role": "user", "content": "2+2?"},
            {"role": "assistant", "content": "<think>\nadd\n</think>\n\n4"},
            {"role": "user", "content": "3+3?"},
            {"role": "assistant", "content": "<think>\nadd more\n</think>\n\n6"}
        ]);
        let called = json!([
            {"role": "user", "content": "w"},
            {"role": "assistant", "content": "", "tool_calls": calls},
            {"role": "tool", "content": "42"}, {"role": "assistant", "content": "it is 42"}
        ]);
        let cases = [
            (&plain, None, "chatml deepseek gemma llama-3 llama-3.1 mistral phi-4 qwen2.5 qwen3"),
            (&thoughts, None, "chatml gemma llama-3 phi-4 qwen2.5 qwen3"),
            (&called, Some(&tools), "llama-3.1 qwen2.5 qwen3"),
        ];
        for (talk, tools, names) in cases {
            for name in names.split(' ') {
                let source = super::super::families::chat_family(name).unwrap();
                let marked = compile(source).unwrap();
                let bare =
                    source.replace("{%- generation %}", "").replace("{%- endgeneration %}", "");
                let mut bare = compile(&bare).unwrap();
                let talk = talk.as_array().unwrap();
                let recognized = bare.render(talk, tools).unwrap();
                bare.families.clear();

                let found = bare.render(talk, tools).unwrap();

                assert_eq!(marked.render(talk, tools).unwrap(), found, "{name}");
                assert_eq!(recognized, found, "{name}");
            }
        }
    }

    #[test]
    fn another_wording_of_a_family_is_searched() {
        let other = CHATML.replace("{{ m.content }}", "{{ m.content }}!");

        assert_eq!(trained(&other, &talk()), [" one !<|im_end|>", "two!<|im_end|>"]);
    }

    #[test]
    fn a_turn_without_something_to_stop_at_is_counted() {
        let unstopped = |template: &str| {
            let talk = talk();
            compile(template).unwrap().render(talk.as_array().unwrap(), None).unwrap().unstopped
        };
        let glm = "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}{% endfor %}";
        let invited = format!("{glm}{{% if add_generation_prompt %}}<|assistant|>\n{{% endif %}}");
        let generation = "{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ m.content }}X{% endgeneration %}{% endif %}{% endfor %}";

        assert_eq!(unstopped(glm), 2);
        assert_eq!(unstopped(&invited), 2);
        assert_eq!(unstopped(&generation.replace("X{%", "{%")), 2);
        assert_eq!(unstopped(generation), 0);
        assert_eq!(unstopped(CHATML), 0);
        assert_eq!(unstopped(&glm.replace("{% endfor", "{{ eos_token }}{% endfor")), 0);
    }
}
