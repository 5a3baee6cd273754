//! Reads `tokenizer.json` for the engine: what it covers becomes a [`Compiled`], the rest a reason.
//!
//! Hugging Face `tokenizers` reads the same file as the oracle and serves every tokenizer that is
//! not covered here; so this reader is strict: whatever it does not know, it leaves to the oracle.

use std::fmt;

use ratdata_schemas::TokenId;
use rustc_hash::{FxHashMap as HashMap, FxHashSet as HashSet};
use serde_json::Value;

use super::added::{self, Added};
use super::json_file::{File, MergeEntry, Model, Sections, Text, Vocabulary};
use super::pattern::shown;
use crate::engine::MOST_IDS;
use crate::engine::bpe::{Alphabet, Bpe, Fallback, Merge, SPACE_PIECE};
use crate::engine::compiled::{AddedToken, Compiled, Prefix, Reading};
use crate::engine::cuts::Pattern;
use crate::engine::joins::Joins;
use crate::engine::pairs::PairTable;

/// A tokenizer file, as far as it was understood.
pub(crate) struct JsonTokenizer {
    /// The vocabulary, by id; holes are empty.
    pub(crate) pieces: Vec<String>,
    /// The added tokens: special ones and others.
    pub(crate) added: Vec<AddedToken>,
    /// The name of the unknown token, where the model has one.
    pub(crate) unk: Option<String>,
    /// What the engine needs, or why the engine leaves the file to the oracle.
    pub(crate) compiled: Result<Compiled, String>,
    /// What the file says and is done otherwise.
    pub(crate) notes: Vec<String>,
}

/// Why a file is no tokenizer that gives the same ids every time.
#[derive(Debug)]
pub(crate) enum JsonError {
    /// It is no JSON, or not of a tokenizer's shape.
    Shape(serde_json::Error),
    /// A part of it contradicts another, or is beyond its bound.
    Part(String),
    /// It drops merges at random.
    Dropout(f64),
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shape(wrong) if wrong.is_eof() => write!(f, "it ends early: {wrong}"),
            Self::Shape(wrong) if wrong.is_syntax() => write!(f, "it is no JSON: {wrong}"),
            Self::Shape(wrong) => wrong.fmt(f),
            Self::Part(wrong) => f.write_str(wrong),
            Self::Dropout(share) => write!(f, "`model.dropout` is {share}"),
        }
    }
}

/// Reads a tokenizer file.
///
/// # Errors
///
/// The bytes are not a tokenizer file at all, or are one that nothing can run.
pub(crate) fn read(bytes: &[u8]) -> Result<JsonTokenizer, JsonError> {
    let file: File<'_> = serde_json::from_slice(bytes).map_err(JsonError::Shape)?;
    let sections = file.check().map_err(JsonError::Part)?;
    let model = &file.model;
    if let Some(share) = model.dropout.filter(|share| *share != 0.0 && model.is_bpe()) {
        return Err(JsonError::Dropout(share));
    }
    let merges = match &model.vocab {
        Some(Vocabulary::Ids(vocab)) if model.is_bpe() => {
            merges(model, vocab).map_err(JsonError::Part)?
        }
        _ => Vec::new(),
    };
    let added = added::number(&file.added_tokens, model.vocab.as_ref());
    Ok(JsonTokenizer {
        pieces: pieces(&file, &added.tokens),
        unk: model.unk_token.clone(),
        notes: notes(&file, &added),
        compiled: compile(&file, &sections, &added.tokens, &merges),
        added: added.tokens,
    })
}

fn pieces(file: &File<'_>, added: &[AddedToken]) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut put = |id: TokenId, piece: &str| {
        let at = id as usize;
        if pieces.len() <= at {
            pieces.resize(at + 1, String::new());
        }
        piece.clone_into(&mut pieces[at]);
    };
    match &file.model.vocab {
        Some(Vocabulary::Ids(ids)) => ids.iter().for_each(|(piece, &id)| put(id, &piece.0)),
        Some(Vocabulary::Scored(list)) => {
            for (piece, id) in list.iter().zip(0..) {
                put(id, piece);
            }
        }
        None => {}
    }
    for token in added {
        put(token.id, &token.content);
    }
    pieces
}

/// Says what of the file is done otherwise than it says.
fn notes(file: &File<'_>, added: &Added) -> Vec<String> {
    let mut notes = Vec::new();
    for (name, json) in [("truncation", file.truncation), ("padding", file.padding)] {
        if json.is_some_and(|json| json.get() != "null") {
            notes.push(format!("its `{name}` is ignored: each document is encoded whole"));
        }
    }
    if let Some((count, token, said)) = &added.moved {
        let others = match count {
            1 => String::new(),
            more => format!(", and {} more have other ids, too", more - 1),
        };
        notes.push(format!(
            "it gives the id {said} to its added token `{}`, which has the id {} here, as in Hugging Face \
             `tokenizers`{others}",
            shown(&token.content),
            token.id
        ));
    }
    notes
}

fn compile(
    file: &File<'_>,
    sections: &Sections,
    added: &[AddedToken],
    merges: &[Merge],
) -> Result<Compiled, String> {
    let model = &file.model;
    if let Some(kind) = model.kind.as_deref().filter(|kind| *kind != "BPE") {
        return Err(format!("its model is {}, not BPE", shown(kind)));
    }
    let Some(Vocabulary::Ids(vocab)) = &model.vocab else {
        return Err("its vocabulary is no map from pieces to ids".into());
    };
    if merges.is_empty() {
        return Err("its model has no merges".into());
    }
    if model.continuing_subword_prefix.as_deref().is_some_and(|prefix| !prefix.is_empty())
        || model.end_of_word_suffix.as_deref().is_some_and(|suffix| !suffix.is_empty())
    {
        return Err("it marks pieces with a prefix or suffix".into());
    }
    if let Some(entry) = file.added_tokens.iter().find(|e| e.single_word || e.lstrip || e.rstrip) {
        let token = shown(&entry.content);
        return Err(format!("its added token `{token}` strips or wants whole words"));
    }
    if !sections.normalizer.is_null() && added.iter().any(|token| token.normalized) {
        return Err("its added tokens are looked for in normalized text".into());
    }
    let style = style(&sections.normalizer, &sections.pre_tokenizer)?;
    let num_ids = vocab.values().map(|&id| id + 1).max().unwrap_or(0);
    let bytes = byte_pieces(vocab);
    let byte_fallback = model.byte_fallback && bytes.is_some();
    if model.byte_fallback && bytes.is_none() {
        return Err("it falls back to bytes, and some byte has no piece".into());
    }
    if num_ids > MOST_IDS {
        return Err(format!("it has {num_ids} pieces, and the engine takes up to {MOST_IDS}"));
    }
    if merged_bytes(merges, vocab) {
        return Err("it merges byte pieces".into());
    }
    let alphabet = match style {
        Style::Spaces { .. } => Alphabet::of_chars(vocab.iter().filter_map(|(piece, &id)| {
            let mut characters = piece.0.chars();
            characters.next().filter(|_| characters.as_str().is_empty()).map(|first| (first, id))
        })),
        Style::ByteLevel { .. } => Alphabet::Bytes(byte_symbols(vocab)?),
    };
    let unk = model.unk_token.as_ref().and_then(|unk| vocab.get(unk.as_str()));
    let fallback = match (bytes, unk) {
        (Some(bytes), _) if byte_fallback => Fallback::Bytes(bytes),
        (_, Some(&id)) => Fallback::Unknown { id, fused: model.fuse_unk },
        (_, None) => Fallback::Nothing,
    };
    let whole_units = model.ignore_merges.then(|| whole_units(vocab, style));
    let pairs = PairTable::new(merges);
    let reading = match style {
        Style::ByteLevel { pattern, composed } => Reading::ByteLevel { pattern, composed },
        Style::Spaces { prefix, cut_at_spaces } => {
            let mut made = vec![false; num_ids as usize];
            for merge in merges {
                made[merge.becomes as usize] = true;
            }
            let texts =
                vocab.iter().filter(|(_, id)| made[**id as usize]).map(|(piece, _)| &*piece.0);
            Reading::Spaces {
                prefix,
                joins: Joins::new(texts, cut_at_spaces, &alphabet, &fallback, num_ids),
            }
        }
    };
    Ok(Compiled { bpe: Bpe { alphabet, pairs, fallback, num_ids, whole_units }, reading })
}

/// What the file's normalizer and pre-tokenizer do.
#[derive(Clone, Copy)]
enum Style {
    Spaces {
        prefix: Prefix,
        /// Whether a piece may have a `▁` only at its start (`Metaspace` that splits).
        cut_at_spaces: bool,
    },
    ByteLevel {
        pattern: Pattern,
        /// Whether the text is composed first (NFC).
        composed: bool,
    },
}

/// Reads how spaces are written and where units begin.
fn style(normalizer: &Value, pre_tokenizer: &Value) -> Result<Style, String> {
    let spaces = |prefix, cut_at_spaces| Ok(Style::Spaces { prefix, cut_at_spaces });
    let kind = |value: &Value| value["type"].as_str().unwrap_or("").to_owned();
    let steps = |value: &Value, list: &str| match value {
        Value::Null => Vec::new(),
        _ if kind(value) == "Sequence" => value[list].as_array().cloned().unwrap_or_default(),
        one => vec![one.clone()],
    };
    let normalizers = steps(normalizer, "normalizers");
    let pre_tokenizers = steps(pre_tokenizer, "pretokenizers");
    let is_prepend = |step: &Value| kind(step) == "Prepend" && step["prepend"] == "▁";
    let is_replace = |step: &Value| {
        kind(step) == "Replace" && step["pattern"]["String"] == " " && step["content"] == "▁"
    };
    // Gemma's file splits at spaces after its normalizer has replaced them all: it never splits.
    let splits_never = |step: &Value| kind(step) == "Split" && step["pattern"]["String"] == " ";
    // Qwen composes its text first; others of the byte-level kind leave it as it is.
    let is_composed = |steps: &[Value]| match steps {
        [] => Some(false),
        [one] if kind(one) == "NFC" => Some(true),
        _ => None,
    };
    let byte_level = |steps: &[Value], pattern| {
        Ok(Style::ByteLevel { pattern, composed: is_composed(steps).unwrap_or(false) })
    };
    match (normalizers.as_slice(), pre_tokenizers.as_slice()) {
        ([prepend, replace], []) if is_prepend(prepend) && is_replace(replace) => {
            spaces(Prefix::EachPiece, false)
        }
        ([replace], []) if is_replace(replace) => spaces(Prefix::Never, false),
        ([replace], [split]) if is_replace(replace) && splits_never(split) => {
            spaces(Prefix::Never, false)
        }
        ([], [step]) if kind(step) == "Metaspace" && step["replacement"] == "▁" => {
            let split = step["split"].as_bool().unwrap_or(true);
            let legacy = step["add_prefix_space"].as_bool();
            match (step["prepend_scheme"].as_str(), legacy) {
                (Some("never"), _) | (None, Some(false)) => spaces(Prefix::Never, split),
                (Some("first"), _) => spaces(Prefix::FirstUnlessSpace, split),
                (Some("always") | None, _) => spaces(Prefix::EachUnlessSpace, split),
                (Some(other), _) => Err(format!("its prepend scheme is `{other}`")),
            }
        }
        (texts, [step])
            if is_composed(texts).is_some()
                && kind(step) == "ByteLevel"
                && step["add_prefix_space"] == false
                && step["use_regex"] != false =>
        {
            byte_level(texts, Pattern::Gpt2)
        }
        (texts, [split, bytes])
            if is_composed(texts).is_some()
                && kind(split) == "Split"
                && kind(bytes) == "ByteLevel"
                && bytes["use_regex"] == false
                && bytes["add_prefix_space"] == false
                && split["invert"] == false =>
        {
            let regex = split["pattern"]["Regex"].as_str().unwrap_or("");
            match (Pattern::from_regex(regex), split["behavior"].as_str()) {
                (Some(pattern), Some("Isolated")) => byte_level(texts, pattern),
                _ => Err("its pre-tokenizer splits by a pattern of its own".into()),
            }
        }
        _ => Err("its normalizer or pre-tokenizer is of another kind".into()),
    }
}

/// Returns the merges in the order of their ranks.
///
/// # Errors
///
/// A merge is of or into what is no piece: `tokenizers` refuses the file, too.
fn merges(model: &Model<'_>, vocab: &HashMap<Text<'_>, TokenId>) -> Result<Vec<Merge>, String> {
    let prefix = model.continuing_subword_prefix.as_deref().unwrap_or("");
    let mut merges = Vec::with_capacity(model.merges.0.len());
    let mut joined = String::new();
    for (number, entry) in model.merges.0.iter().enumerate() {
        let wrong = |what: String| format!("merge {number} of `model.merges`: {what}");
        let (left, right) = match entry {
            MergeEntry::Pair(left, right) => (left.0.as_ref(), right.0.as_ref()),
            MergeEntry::Joined(text) if text.0.starts_with("#version") => continue,
            MergeEntry::Joined(text) => match text.0.split_once(' ') {
                Some((left, right)) if !right.contains(' ') => (left, right),
                _ => return Err(wrong(format!("`{}` is no pair of pieces", shown(&text.0)))),
            },
        };
        let Some(rest) = right.get(prefix.len()..) else {
            let right = shown(right);
            return Err(wrong(format!("`{right}` is shorter than the prefix of its model")));
        };
        joined.clear();
        joined.push_str(left);
        joined.push_str(rest);
        let id = |piece: &str| {
            let missing = || wrong(format!("`{}` is no piece of the vocabulary", shown(piece)));
            vocab.get(piece).copied().ok_or_else(missing)
        };
        let rank = u32::try_from(merges.len()).map_err(|_| wrong("too many".into()))?;
        merges.push(Merge { left: id(left)?, right: id(right)?, rank, becomes: id(&joined)? });
    }
    Ok(merges)
}

/// Returns whether a merge is of a piece such as `<0x0A>`.
fn merged_bytes(merges: &[Merge], vocab: &HashMap<Text<'_>, TokenId>) -> bool {
    let bytes: HashSet<TokenId> = vocab
        .iter()
        .filter(|(piece, _)| byte_value(&piece.0).is_some())
        .map(|(_, &id)| id)
        .collect();
    let is_byte = |id: TokenId| bytes.contains(&id);
    !bytes.is_empty() && merges.iter().any(|merge| is_byte(merge.left) || is_byte(merge.right))
}

fn byte_pieces(vocab: &HashMap<Text<'_>, TokenId>) -> Option<Box<[TokenId; 256]>> {
    let mut ids = Box::new([0; 256]);
    for (byte, id) in ids.iter_mut().enumerate() {
        *id = *vocab.get(format!("<0x{byte:02X}>").as_str())?;
    }
    Some(ids)
}

/// Returns the byte that a piece such as `<0x0A>` stands for.
pub(crate) fn byte_value(piece: &str) -> Option<u8> {
    let digits = piece.strip_prefix("<0x")?.strip_suffix('>')?;
    (digits.len() == 2).then(|| u8::from_str_radix(digits, 16).ok()).flatten()
}

/// Returns the character by which byte-level files write each byte.
///
/// Printable Latin-1 characters stand for themselves; the others are moved up past U+0100, in
/// their order, so that no piece has a space or control character.
pub(crate) fn byte_level_chars() -> [char; 256] {
    let mut moved = 0x100_u32;
    std::array::from_fn(|byte| {
        let character = u8::try_from(byte).map_or(SPACE_PIECE, char::from);
        let itself = matches!(character, '!'..='~' | '¡'..='¬' | '®'..='ÿ');
        if itself {
            return character;
        }
        let stand_in = char::from_u32(moved).unwrap_or(SPACE_PIECE);
        moved += 1;
        stand_in
    })
}

fn byte_symbols(vocab: &HashMap<Text<'_>, TokenId>) -> Result<Box<[u32; 256]>, String> {
    let mut symbols = Box::new([0; 256]);
    for (character, symbol) in byte_level_chars().into_iter().zip(symbols.iter_mut()) {
        let id = vocab.get(character.encode_utf8(&mut [0; 4]) as &str);
        *symbol = *id.ok_or_else(|| format!("its byte-level alphabet lacks `{character}`"))?;
    }
    Ok(symbols)
}

/// Returns the vocabulary as it lies in the text: with spaces, or as raw bytes.
fn whole_units(
    vocab: &HashMap<Text<'_>, TokenId>,
    style: Style,
) -> std::collections::HashMap<Box<[u8]>, TokenId> {
    let byte_of: HashMap<char, u8> = byte_level_chars().into_iter().zip(0..=u8::MAX).collect();
    vocab
        .iter()
        .filter_map(|(piece, &id)| {
            let unit: Vec<u8> = match style {
                Style::Spaces { .. } => piece.0.replace(SPACE_PIECE, " ").into_bytes(),
                Style::ByteLevel { .. } => {
                    piece.0.chars().map(|c| byte_of.get(&c).copied()).collect::<Option<_>>()?
                }
            };
            Some((unit.into_boxed_slice(), id))
        })
        .collect()
}
