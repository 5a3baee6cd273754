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
pub const CHAT_FAMILIES: [ChatFamily; 9] = [
    family!("chatml", "<|im_start|>"),
    family!("deepseek", "<｜Assistant｜>"),
    family!("gemma", "<start_of_turn>"),
    family!("llama-3", "<|start_header_id|>"),
    family!("llama-3.1", "<|start_header_id|>"),
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
