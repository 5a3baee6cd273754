//! Chat templates of the families that people tune, with marks around what the assistant writes.
//!
//! A model's own template decides the text. If a family's template writes the same text for a
//! conversation, its marks say what of it is trained on, and nothing has to be searched for.

/// A family of models with one way to write conversations.
#[derive(Clone, Copy, Debug)]
pub struct ChatFamily {
    /// Its name on the command line.
    pub name: &'static str,
    /// Its template.
    pub template: &'static str,
    /// What every template of the family has in it.
    sign: &'static str,
}

macro_rules! family {
    ($name:literal, $sign:literal) => {
        ChatFamily {
            name: $name,
            template: include_str!(concat!("../../../configs/chat/", $name, ".jinja")),
            sign: $sign,
        }
    };
}

/// The families whose templates are compiled in.
pub const CHAT_FAMILIES: [ChatFamily; 12] = [
    family!("chatml", "<|im_start|>"),
    family!("deepseek", "<｜Assistant｜>"),
    family!("gemma", "<start_of_turn>"),
    family!("glm-4.5", "[gMASK]"),
    family!("gpt-oss", "<|channel|>"),
    family!("llama-3", "<|start_header_id|>"),
    family!("llama-3.1", "<|start_header_id|>"),
    family!("mistral", "[/SYSTEM_PROMPT]"),
    family!("phi-3", "<|end|>"),
    family!("phi-4", "<|im_sep|>"),
    family!("qwen2.5", "<|im_start|>"),
    family!("qwen3", "<|im_start|>"),
];

/// Returns the template of the family called `name`.
pub fn chat_family(name: &str) -> Option<&'static str> {
    CHAT_FAMILIES.iter().find(|family| family.name == name).map(|family| family.template)
}

/// Returns the templates of the families that a template may be of.
pub(super) fn families_like(template: &str) -> impl Iterator<Item = &'static str> {
    CHAT_FAMILIES
        .iter()
        .filter(move |family| template.contains(family.sign))
        .map(|family| family.template)
}

#[cfg(test)]
mod tests {
    use ratdata_schemas::recipe::{Date, LossOn, LossWithout};
    use serde_json::{Value, json};

    use super::super::chat_template::ChatTemplate;
    use super::*;

    /// What is trained on of a conversation, and how many turns have nothing to stop at.
    fn trained(
        name: &str,
        talk: &Value,
        (on, without): (LossOn, &[LossWithout]),
    ) -> (Vec<String>, usize) {
        let source = chat_family(name).unwrap();
        let template = ChatTemplate::compile(source, "<s>", "</s>", Date::default()).unwrap();
        let template = template.with_loss(on, without);
        let rendered = template.render(talk.as_array().unwrap(), None).unwrap();
        let text = |span: &std::ops::Range<usize>| rendered.text[span.clone()].to_owned();
        (rendered.trained.iter().map(text).collect(), rendered.unstopped)
    }

    fn all(name: &str, talk: &Value) -> Vec<String> {
        trained(name, talk, (LossOn::All, &[])).0
    }

    fn called(content: &Value, arguments: &Value, result: &str) -> Value {
        let call = json!({"type": "function", "id": "abcdefghi",
            "function": {"name": "f", "arguments": arguments}});
        json!([
            {"role": "user", "content": "w"},
            {"role": "assistant", "content": content, "thinking": "so", "tool_calls": [call]},
            {"role": "tool", "content": result, "tool_call_id": "abcdefghi"},
            {"role": "assistant", "content": "it is 42"}, {"role": "user", "content": "v"},
            {"role": "assistant", "content": "two", "thinking": "well"}
        ])
    }

    #[test]
    fn what_ends_an_answer_of_glm_is_the_marker_of_the_next_turn() {
        let talk = called(&json!("see"), &json!({"x": 1, "y": "z"}), "42");

        let (found, unstopped) = trained("glm-4.5", &talk, (LossOn::All, &[]));

        let call = "\n<tool_call>f\n<arg_key>x</arg_key>\n<arg_value>1</arg_value>\n<arg_key>y</arg_key>\n<arg_value>z</arg_value>\n</tool_call>";
        assert_eq!(
            found,
            [
                format!("\n<think></think>\nsee{call}<|observation|>"),
                "\n<think></think>\nit is 42<|user|>".into(),
                "\n<think></think>\ntwo".into()
            ]
        );
        assert_eq!(unstopped, 1, "nothing is behind the last answer");
        let (found, _) = trained("glm-4.5", &talk, (LossOn::Last, &[]));
        assert_eq!(found, ["\n<think></think>\ntwo"]);
    }

    #[test]
    fn a_turn_of_gpt_oss_has_its_channels() {
        let talk = called(&json!(""), &json!({"x": 1}), "42");

        assert_eq!(
            all("gpt-oss", &talk),
            [
                " to=functions.f<|channel|>commentary json<|message|>{\"x\": 1}<|call|>",
                "<|channel|>final<|message|>it is 42<|end|>",
                "<|channel|>analysis<|message|>well<|end|><|start|>assistant<|channel|>final<|message|>two<|return|>"
            ]
        );
        let chosen = (LossOn::Last, &[LossWithout::Thoughts][..]);
        assert_eq!(
            trained("gpt-oss", &talk, chosen).0,
            ["<|start|>assistant<|channel|>final<|message|>two<|return|>"]
        );
    }

    #[test]
    fn calls_of_deepseek_are_trained_on_and_can_be_left_out() {
        let talk = called(&Value::Null, &json!("{}"), "42");
        let call = "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>f\n```json\n{}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>";

        let end = "<｜end▁of▁sentence｜>";
        let answers = ["it is 42", "two"].map(|answer| format!("{answer}{end}"));
        let expected = [&[format!("{call}{end}")], &answers[..]].concat();
        assert_eq!(all("deepseek", &talk), expected);
        let chosen = (LossOn::All, &[LossWithout::ToolCalls][..]);
        assert_eq!(
            trained("deepseek", &talk, chosen).0,
            [&[end.to_owned()], &answers[..]].concat()
        );
    }

    #[test]
    fn answers_of_mistral_end_with_eos() {
        let talk = json!([
            {"role": "system", "content": "s"}, {"role": "user", "content": "u"},
            {"role": "assistant", "content": "one"}, {"role": "user", "content": "v"},
            {"role": "assistant", "content": "two"}
        ]);

        assert_eq!(all("mistral", &talk), ["one</s>", "two</s>"]);
    }
}
