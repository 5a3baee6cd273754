//! Compiles a `tokenizer.json` for the engine.

use ratdata_schemas::{TokenId, narrow};
use rayon::prelude::*;
use rustc_hash::{FxHashMap as HashMap, FxHashSet as HashSet};

use super::byte_level::{byte_level_chars, byte_value};
use super::file::{File, MergeEntry, Model, Sections, Text, Vocabulary};
use super::style::{Style, rewrites, style};
use crate::bounds::shown;
use crate::engine::MAX_IDS;
use crate::engine::bpe::pairs::{Merge, PairTable};
use crate::engine::bpe::vocabulary::{Alphabet, Bpe, Fallback, SPACE_PIECE};
use crate::engine::compiled::{Compiled, Prefix, Reading};
use crate::engine::pre_tokenizer::joins::Joins;
use crate::engine::runs::{RunTokens, Token};
use crate::tokenizer::added::token::AddedToken;

/// Compiles a file, or returns what in it the engine does not cover.
pub(super) fn compile(
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
    if rewrites(&sections.normalizer) && added.iter().any(|token| token.normalized) {
        return Err("its added tokens are looked for in normalized text".into());
    }
    let style = style(&sections.normalizer, &sections.pre_tokenizer)?;
    let num_ids = vocab.values().map(|&id| id + 1).max().unwrap_or(0);
    let bytes = byte_pieces(vocab);
    let byte_fallback = model.byte_fallback && bytes.is_some();
    if model.byte_fallback && bytes.is_none() {
        return Err("it falls back to bytes, and some byte has no piece".into());
    }
    if num_ids > MAX_IDS {
        return Err(format!("it has {num_ids} pieces, and the engine takes up to {MAX_IDS}"));
    }
    if merged_bytes(merges, vocab) {
        return Err("it merges byte pieces".into());
    }
    let alphabet = match &style {
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
    if let (Style::Spaces { .. }, Fallback::Nothing) = (&style, &fallback) {
        // They vanish before merging, so that their neighbours may merge.
        return Err("it has no unknown token, so that characters without a piece vanish".into());
    }
    let read = |style| match style {
        Style::ByteLevel { pattern, nfc } => Reading::ByteLevel { pattern, nfc },
        Style::Spaces { prefix, cut_at_spaces } => {
            let mut made = vec![false; num_ids as usize];
            for merge in merges {
                made[merge.becomes as usize] = true;
            }
            let texts =
                vocab.iter().filter(|(_, id)| made[**id as usize]).map(|(piece, _)| &*piece.0);
            let runs = match prefix {
                Prefix::Never => run_tokens(added),
                _ => RunTokens::default(),
            };
            let alone = runs.alone();
            let joins = Joins::new(texts, cut_at_spaces, &alphabet, &fallback, num_ids, alone);
            Reading::Spaces { prefix, joins, runs }
        }
    };
    let (pairs, (whole_units, reading)) = rayon::join(
        || PairTable::new(merges),
        || (model.ignore_merges.then(|| whole_units(vocab, &style)), read(style)),
    );
    Ok(Compiled { bpe: Bpe { alphabet, pairs, fallback, num_ids, whole_units }, reading })
}

/// Returns the added tokens that the engine can find itself.
fn run_tokens(added: &[AddedToken]) -> RunTokens {
    let tokens = added.iter().map(|token| Token {
        id: token.id,
        content: &token.content,
        is_plain: !token.special && !token.normalized && token.replaced.is_empty(),
    });
    RunTokens::of(&tokens.collect::<Vec<_>>())
}

/// Returns the merges in the order of their ranks.
///
/// # Errors
///
/// A merge is of or into what is no piece: `tokenizers` refuses the file, too.
pub(super) fn merges(
    model: &Model<'_>,
    vocab: &HashMap<Text<'_>, TokenId>,
) -> Result<Vec<Merge>, String> {
    let mut by_id = vec![""; vocab.len()];
    for (piece, &id) in vocab {
        if let Some(place) = by_id.get_mut(id as usize) {
            *place = &piece.0;
        }
    }
    let prefix = model.continuing_subword_prefix.as_deref().unwrap_or("");
    let names = Names { vocab, by_id: &by_id, prefix };
    let entries: Vec<_> =
        model.merges.0.iter().enumerate().filter(|(_, entry)| !entry.is_version()).collect();
    // Half a million look-ups of pieces take most of the time of loading a large vocabulary.
    let parts: Vec<_> = entries
        .par_chunks(MERGES_OF_A_THREAD)
        .enumerate()
        .map(|(part, entries)| names.merges(part * MERGES_OF_A_THREAD, entries))
        .collect();
    let mut merges = Vec::with_capacity(entries.len());
    for part in parts {
        merges.append(&mut part?);
    }
    Ok(merges)
}

/// How many merges a thread looks up at a time.
const MERGES_OF_A_THREAD: usize = 1 << 14;

/// The pieces that merges are of.
struct Names<'a> {
    vocab: &'a HashMap<Text<'a>, TokenId>,
    by_id: &'a [&'a str],
    /// What a right piece begins with and loses in a merge.
    prefix: &'a str,
}

impl Names<'_> {
    /// Returns some of the merges, of which the first has the rank `first`.
    fn merges(
        &self,
        first: usize,
        entries: &[(usize, &MergeEntry<'_>)],
    ) -> Result<Vec<Merge>, String> {
        let mut merges: Vec<Merge> = Vec::with_capacity(entries.len());
        let mut joined = String::new();
        for (rank, (number, entry)) in (first..).zip(entries) {
            let wrong = |what: String| format!("merge {number} of `model.merges`: {what}");
            let (left, right) = match entry {
                MergeEntry::Pair(left, right) => (left.0.as_ref(), right.0.as_ref()),
                MergeEntry::Joined(text) => match text.0.split_once(' ') {
                    Some((left, right)) if !right.contains(' ') => (left, right),
                    _ => return Err(wrong(format!("`{}` is no pair of pieces", shown(&text.0)))),
                },
            };
            let Some(rest) = right.get(self.prefix.len()..) else {
                let right = shown(right);
                return Err(wrong(format!("`{right}` is shorter than the prefix of its model")));
            };
            let id = |piece: &str| {
                let missing = || wrong(format!("`{}` is no piece of the vocabulary", shown(piece)));
                self.vocab.get(piece).copied().ok_or_else(missing)
            };
            // What a merge makes mostly has the id after that of the merge before.
            let next = merges.last().map_or(0, |merge| merge.becomes.wrapping_add(1));
            let piece = self.by_id.get(next as usize);
            let becomes = if piece.and_then(|piece| piece.strip_prefix(left)) == Some(rest) {
                next
            } else {
                joined.clear();
                joined.push_str(left);
                joined.push_str(rest);
                id(&joined)?
            };
            merges.push(Merge { left: id(left)?, right: id(right)?, rank: narrow(rank), becomes });
        }
        Ok(merges)
    }
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

/// Returns the pieces of the bytes, such as `<0x0A>`, that characters without a piece fall back to.
///
/// Gemini's vocabulary has a piece for the tab and none for its byte: what is a character with a piece of its own
/// never falls back, so any id does for it.
fn byte_pieces(vocab: &HashMap<Text<'_>, TokenId>) -> Option<Box<[TokenId; 256]>> {
    let mut ids = Box::new([0; 256]);
    for (byte, id) in (0..=u8::MAX).zip(ids.iter_mut()) {
        let piece = vocab.get(format!("<0x{byte:02X}>").as_str());
        let as_text = || {
            let character = char::from(byte);
            let falls_back = !character.is_ascii() || character == ' ';
            vocab.get(character.encode_utf8(&mut [0; 4]) as &str).filter(|_| !falls_back)
        };
        *id = *piece.or_else(as_text)?;
    }
    Some(ids)
}

fn byte_symbols(vocab: &HashMap<Text<'_>, TokenId>) -> Result<Box<[u32; 256]>, String> {
    let mut symbols = Box::new([0; 256]);
    for (character, symbol) in byte_level_chars().into_iter().zip(symbols.iter_mut()) {
        let id = vocab.get(character.encode_utf8(&mut [0; 4]) as &str);
        *symbol = *id.ok_or_else(|| format!("its byte-level alphabet lacks `{character}`"))?;
    }
    Ok(symbols)
}

/// Returns the vocabulary as texts have it: with spaces, or as raw bytes.
fn whole_units(vocab: &HashMap<Text<'_>, TokenId>, style: &Style) -> HashMap<Box<[u8]>, TokenId> {
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
