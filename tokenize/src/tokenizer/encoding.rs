//! The encodings of `tiktoken`: what a rank file does not say, which is its pattern and its special
//! tokens.

use std::path::Path;

use ratdata_schemas::TokenId;

use crate::engine::pre_tokenizer::gpt2::GPT2;

/// An encoding of `tiktoken`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// GPT-2 and GPT-3.
    R50kBase,
    /// Codex.
    P50kBase,
    /// GPT-3.5 and GPT-4.
    Cl100kBase,
    /// GPT-4o.
    O200kBase,
    /// gpt-oss, with the ranks of `o200k_base`.
    O200kHarmony,
}

/// `tiktoken` writes a `+` after `{1,3}`, which gives nothing back there and repeats the whole in Oniguruma.
pub(super) const CL100K: &str = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s";

const O200K: &str = concat!(
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|",
    r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
);

/// The tokens of `o200k_harmony` that have a name of their own; the others are `<|reserved_ID|>`.
const HARMONY: [(&str, TokenId); 10] = [
    ("<|startoftext|>", 199_998),
    ("<|endoftext|>", 199_999),
    ("<|return|>", 200_002),
    ("<|constrain|>", 200_003),
    ("<|channel|>", 200_005),
    ("<|start|>", 200_006),
    ("<|end|>", 200_007),
    ("<|message|>", 200_008),
    ("<|call|>", 200_012),
    ("<|endofprompt|>", 200_018),
];

/// The ids of `o200k_harmony` end before this one.
const HARMONY_END: TokenId = 201_088;

impl Encoding {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::R50kBase, Self::P50kBase, Self::Cl100kBase, Self::O200kBase, Self::O200kHarmony];

    /// Returns the name that `tiktoken` has for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::R50kBase => "r50k_base",
            Self::P50kBase => "p50k_base",
            Self::Cl100kBase => "cl100k_base",
            Self::O200kBase => "o200k_base",
            Self::O200kHarmony => "o200k_harmony",
        }
    }

    /// Returns the encoding that a file is named after.
    pub(crate) fn of_file(path: &Path) -> Option<Self> {
        let stem = path.file_stem()?;
        Self::ALL.into_iter().find(|encoding| stem == encoding.name())
    }

    /// Returns what cuts a text into units.
    pub(crate) fn pattern(self) -> &'static str {
        match self {
            // `tiktoken` writes it otherwise, with the same matches.
            Self::R50kBase | Self::P50kBase => GPT2,
            Self::Cl100kBase => CL100K,
            Self::O200kBase | Self::O200kHarmony => O200K,
        }
    }

    /// Returns the special tokens.
    pub(crate) fn specials(self) -> Vec<(String, TokenId)> {
        let named = |tokens: &[(&str, TokenId)]| {
            tokens.iter().map(|(token, id)| ((*token).to_owned(), *id)).collect::<Vec<_>>()
        };
        match self {
            Self::R50kBase | Self::P50kBase => named(&[("<|endoftext|>", 50_256)]),
            Self::Cl100kBase => named(&[
                ("<|endoftext|>", 100_257),
                ("<|fim_prefix|>", 100_258),
                ("<|fim_middle|>", 100_259),
                ("<|fim_suffix|>", 100_260),
                ("<|endofprompt|>", 100_276),
            ]),
            Self::O200kBase => named(&[("<|endoftext|>", 199_999), ("<|endofprompt|>", 200_018)]),
            Self::O200kHarmony => {
                let mut tokens = named(&HARMONY);
                // 200018 has two names.
                let is_reserved =
                    |id: &TokenId| !HARMONY.iter().any(|(_, named)| named == id) || *id == 200_018;
                let reserved = (200_000..HARMONY_END).filter(is_reserved);
                tokens.extend(reserved.map(|id| (format!("<|reserved_{id}|>"), id)));
                tokens
            }
        }
    }
}
