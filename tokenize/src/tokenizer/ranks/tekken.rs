//! Reads Mistral's `tekken.json`: a pattern, the bytes of each piece in Base64, and special tokens, whose
//! ids come before those of the pieces.

use std::borrow::Cow;

use ratdata_schemas::{TokenId, narrow};
use serde::Deserialize;
use serde::de::{IgnoredAny, MapAccess, Visitor};

use super::RankedVocabulary;
use crate::bounds::limits::{LONGEST_PATTERN, MOST_PIECES, PAST_LAST_ID};
use crate::bounds::shown;
use crate::stages::decode_base64;

/// The special tokens of files up to version 7 that list none.
const DEFAULT_SPECIALS: [&str; 20] = [
    "<unk>",
    "<s>",
    "</s>",
    "[INST]",
    "[/INST]",
    "[AVAILABLE_TOOLS]",
    "[/AVAILABLE_TOOLS]",
    "[TOOL_RESULTS]",
    "[/TOOL_RESULTS]",
    "[TOOL_CALLS]",
    "[IMG]",
    "<pad>",
    "[IMG_BREAK]",
    "[IMG_END]",
    "[PREFIX]",
    "[MIDDLE]",
    "[SUFFIX]",
    "[SYSTEM_PROMPT]",
    "[/SYSTEM_PROMPT]",
    "[TOOL_CONTENT]",
];

/// The versions of files that may list no special tokens.
const WITHOUT_SPECIALS: [&str; 4] = ["v1", "v2", "v3", "v7"];

#[derive(Deserialize)]
struct File<'a> {
    config: Config,
    #[serde(borrow)]
    vocab: Vec<Piece<'a>>,
    #[serde(default)]
    special_tokens: Option<Vec<Special>>,
}

#[derive(Deserialize)]
struct Config {
    pattern: String,
    default_vocab_size: usize,
    default_num_special_tokens: usize,
    version: String,
}

#[derive(Deserialize)]
struct Piece<'a> {
    rank: usize,
    #[serde(borrow)]
    token_bytes: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Special {
    rank: usize,
    token_str: String,
}

/// Returns whether a JSON object is a `tekken.json`: its first field is none of a `tokenizer.json`.
pub(crate) fn is_tekken(json: &[u8]) -> bool {
    struct FirstField<'a>(&'a mut bool);
    impl<'de> Visitor<'de> for FirstField<'_> {
        type Value = ();

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
            let field = map.next_key::<String>()?;
            *self.0 = field.is_some_and(|field| {
                ["config", "vocab", "special_tokens", "image", "audio", "multimodal"]
                    .contains(&field.as_str())
            });
            map.next_value::<IgnoredAny>().map(drop)
        }
    }
    let mut is_tekken = false;
    let mut json = serde_json::Deserializer::from_slice(json);
    // What follows the first field is read where the file is.
    drop(serde::Deserializer::deserialize_map(&mut json, FirstField(&mut is_tekken)));
    is_tekken
}

/// Reads a file.
///
/// # Errors
///
/// It is no JSON of that shape, or its parts contradict each other.
pub(crate) fn read(json: &[u8]) -> Result<RankedVocabulary, String> {
    let file: File<'_> = serde_json::from_slice(json).map_err(|wrong| wrong.to_string())?;
    let Config { pattern, default_vocab_size, default_num_special_tokens, version } = file.config;
    if pattern.len() > LONGEST_PATTERN {
        let len = pattern.len();
        return Err(format!("its pattern has {len} bytes, expected at most {LONGEST_PATTERN}"));
    }
    if default_num_special_tokens > MOST_PIECES || default_vocab_size >= PAST_LAST_ID as usize {
        return Err(format!(
            "it has {default_num_special_tokens} special tokens and {default_vocab_size} ids, expected at most \
             {MOST_PIECES} and {PAST_LAST_ID}"
        ));
    }
    let specials = specials(file.special_tokens, default_num_special_tokens, &version)?;
    let most = default_vocab_size.saturating_sub(default_num_special_tokens);
    if most > file.vocab.len() {
        return Err(format!(
            "`config.default_vocab_size` is {default_vocab_size} with {default_num_special_tokens} special tokens, \
             and `vocab` has {} pieces",
            file.vocab.len()
        ));
    }
    let mut pieces = Vec::with_capacity(most);
    for (place, piece) in file.vocab.into_iter().take(most).enumerate() {
        let Piece { rank, token_bytes } = piece;
        if rank != place {
            return Err(format!("piece {place} of `vocab` has the rank {rank}, expected {place}"));
        }
        let bytes = decode_base64(&*token_bytes).ok_or_else(|| {
            format!("`token_bytes` of piece {place} is `{}`, expected Base64", shown(&token_bytes))
        })?;
        if let Ok(byte) = u8::try_from(place)
            && bytes != [byte]
        {
            return Err(format!("piece {place} of `vocab` is {bytes:?}, expected the byte {byte}"));
        }
        pieces.push((bytes, narrow::<usize, TokenId>(place + default_num_special_tokens)));
    }
    Ok(RankedVocabulary { pattern, pieces, specials })
}

/// Returns the special tokens: those that are listed, and fillers for the ids that are left.
fn specials(
    listed: Option<Vec<Special>>,
    count: usize,
    version: &str,
) -> Result<Vec<(String, TokenId)>, String> {
    let listed = match listed {
        Some(listed) => listed,
        None if WITHOUT_SPECIALS.contains(&version) => {
            let names = DEFAULT_SPECIALS.iter().enumerate();
            names.map(|(rank, name)| Special { rank, token_str: (*name).to_owned() }).collect()
        }
        None => {
            return Err(format!(
                "its version is `{}`, and it has no `special_tokens`",
                shown(version)
            ));
        }
    };
    if listed.len() > count {
        return Err(format!(
            "it has {} special tokens, and `config.default_num_special_tokens` is {count}",
            listed.len()
        ));
    }
    let fillers =
        (listed.len()..count).map(|rank| Special { rank, token_str: format!("<SPECIAL_{rank}>") });
    let mut specials: Vec<(String, TokenId)> = Vec::with_capacity(count);
    let mut named = std::collections::HashSet::new();
    for Special { rank, token_str } in listed.into_iter().chain(fillers) {
        if rank >= count || token_str.is_empty() || !named.insert(token_str.clone()) {
            return Err(format!(
                "its special token `{}` of rank {rank} is empty, comes twice, or is beyond the {count} that it has",
                shown(&token_str)
            ));
        }
        specials.push((token_str, narrow(rank)));
    }
    Ok(specials)
}
