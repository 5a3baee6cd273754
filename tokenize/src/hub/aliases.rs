//! Short names of tokenizers on the hub.

/// Tokenizers by the names that people use.
pub const ALIASES: [(&str, &str); 8] = [
    ("llama", "huggyllama/llama-7b"),
    ("llama3", "meta-llama/Meta-Llama-3-8B"),
    ("mistral", "mistralai/Mistral-7B-v0.1"),
    ("gpt2", "openai-community/gpt2"),
    ("gpt-neox", "EleutherAI/gpt-neox-20b"),
    ("olmo", "allenai/OLMo-1B-hf"),
    ("qwen2", "Qwen/Qwen2-0.5B"),
    ("smollm", "HuggingFaceTB/SmolLM-135M"),
];

/// Returns the id on the hub that an alias stands for.
pub(super) fn id_of_alias(name: &str) -> Option<&'static str> {
    ALIASES.iter().find(|(alias, _)| *alias == name).map(|(_, id)| *id)
}
