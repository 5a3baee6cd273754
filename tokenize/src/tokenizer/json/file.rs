//! The shape of a `tokenizer.json`, as far as it is looked at here, and the bounds of its parts.

use std::borrow::Cow;
use std::fmt;

use ratdata_schemas::TokenId;
use rustc_hash::FxHashMap as HashMap;
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use super::sections;
use crate::bounds::limits::{
    LONGEST_AFFIX, LONGEST_PIECE, LONGEST_SECTION, LONGEST_UNIGRAM_PIECE, LONGEST_WORD,
    MOST_ADDED_BYTES, MOST_MERGES, MOST_PIECES, MOST_UNIGRAM_BEGINNINGS, MOST_UNIGRAM_BYTES,
    PAST_LAST_ID,
};
use crate::bounds::shown;

/// The version of the file's form that `tokenizers` reads.
const VERSION: &str = "1.0";

/// A tokenizer file.
///
/// Hugging Face `tokenizers` refuses a file with a field of another name, or of another version.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File<'a> {
    #[serde(borrow, default)]
    version: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) model: Model<'a>,
    #[serde(default)]
    pub(crate) added_tokens: Vec<AddedEntry>,
    #[serde(borrow, default)]
    normalizer: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pre_tokenizer: Option<&'a RawValue>,
    #[serde(borrow, default)]
    post_processor: Option<&'a RawValue>,
    #[serde(borrow, default)]
    decoder: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(crate) truncation: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(crate) padding: Option<&'a RawValue>,
}

/// An added token as the file has it.
#[derive(Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "the file has five flags")]
pub(crate) struct AddedEntry {
    /// The id that the file gives it, which is ignored; see `added_ids.rs`.
    pub(crate) id: TokenId,
    pub(crate) content: String,
    #[serde(default)]
    pub(crate) single_word: bool,
    #[serde(default)]
    pub(crate) lstrip: bool,
    #[serde(default)]
    pub(crate) rstrip: bool,
    #[serde(default)]
    pub(crate) normalized: bool,
    #[serde(default)]
    pub(crate) special: bool,
}

/// The model, with the fields of all kinds.
#[derive(Deserialize)]
pub(crate) struct Model<'a> {
    #[serde(rename = "type", default)]
    pub(crate) kind: Option<String>,
    #[serde(borrow, default)]
    pub(crate) vocab: Option<Vocabulary<'a>>,
    #[serde(borrow, default)]
    pub(crate) merges: Merges<'a>,
    #[serde(default)]
    pub(crate) unk_token: Option<String>,
    #[serde(default)]
    pub(crate) byte_fallback: bool,
    #[serde(default)]
    pub(crate) fuse_unk: bool,
    #[serde(default)]
    pub(crate) ignore_merges: bool,
    #[serde(default)]
    pub(crate) dropout: Option<f64>,
    #[serde(default)]
    pub(crate) continuing_subword_prefix: Option<String>,
    #[serde(default)]
    pub(crate) end_of_word_suffix: Option<String>,
    #[serde(default)]
    pub(crate) max_input_chars_per_word: Option<u64>,
    #[serde(default)]
    pub(crate) unk_id: Option<u64>,
}

impl Model<'_> {
    /// Returns whether it is BPE; files of old do not say of what type they are.
    pub(crate) fn is_bpe(&self) -> bool {
        let by_content = || !self.merges.0.is_empty();
        self.kind.as_deref().map_or_else(by_content, |kind| kind == "BPE")
    }
}

/// The four parts around the model, as JSON.
pub(crate) struct Sections {
    pub(crate) normalizer: Value,
    pub(crate) pre_tokenizer: Value,
    pub(crate) post_processor: Value,
    pub(crate) decoder: Value,
}

impl File<'_> {
    /// Returns the parts around the model, or which of the file's parts is beyond its bound.
    pub(crate) fn check(&self) -> Result<Sections, String> {
        if let Some(Text(version)) = self.version.as_ref().filter(|version| version.0 != VERSION) {
            return Err(format!("its `version` is {version:?}, expected {VERSION:?}"));
        }
        if self.added_tokens.len() > MOST_PIECES {
            return Err(format!("it has more than {MOST_PIECES} added tokens"));
        }
        let mut added_bytes = 0;
        for token in &self.added_tokens {
            check_piece(&token.content)?;
            added_bytes += token.content.len();
        }
        if added_bytes > MOST_ADDED_BYTES {
            let most = MOST_ADDED_BYTES >> 20;
            return Err(format!("its added tokens have more than {most} MB together"));
        }
        for (name, affix) in [
            ("continuing_subword_prefix", &self.model.continuing_subword_prefix),
            ("end_of_word_suffix", &self.model.end_of_word_suffix),
        ] {
            if affix.as_ref().is_some_and(|affix| affix.len() > LONGEST_AFFIX) {
                return Err(format!("`model.{name}` has more than {LONGEST_AFFIX} bytes"));
            }
        }
        if let Some(most) = self.model.max_input_chars_per_word.filter(|most| *most > LONGEST_WORD)
        {
            return Err(format!(
                "`model.max_input_chars_per_word` is {most}, expected at most {LONGEST_WORD}"
            ));
        }
        let normalizer = section("normalizer", self.normalizer)?;
        let pre_tokenizer = section("pre_tokenizer", self.pre_tokenizer)?;
        let post_processor = section("post_processor", self.post_processor)?;
        let decoder = section("decoder", self.decoder)?;
        Ok(Sections { normalizer, pre_tokenizer, post_processor, decoder })
    }
}

fn section(name: &str, json: Option<&RawValue>) -> Result<Value, String> {
    let Some(json) = json else { return Ok(Value::Null) };
    if json.get().len() > LONGEST_SECTION {
        return Err(format!("`{name}` has more than {} MB", LONGEST_SECTION >> 20));
    }
    let value = serde_json::from_str(json.get()).map_err(|wrong| format!("`{name}`: {wrong}"))?;
    sections::check(&value).map_err(|wrong| format!("`{name}`: {wrong}"))?;
    Ok(value)
}

fn check_piece(piece: &str) -> Result<(), String> {
    if piece.len() > LONGEST_PIECE {
        let begins = shown(piece);
        return Err(format!(
            "the piece `{begins}` has {} bytes, expected at most {LONGEST_PIECE}",
            piece.len()
        ));
    }
    Ok(())
}

/// The pieces of a model.
pub(crate) enum Vocabulary<'a> {
    Ids(HashMap<Text<'a>, TokenId>),
    /// Unigram models list pieces with scores.
    Scored(Vec<(String, f64)>),
}

impl Vocabulary<'_> {
    /// Returns how many pieces `tokenizers` counts, which is where the ids of added tokens begin.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Ids(ids) => ids.len(),
            Self::Scored(list) => list.len(),
        }
    }
}

// The first character says which of the two it is; reading them through a buffer of any JSON, as a
// derived untagged enum does, would take most of the time of loading a tokenizer.
impl<'de: 'a, 'a> Deserialize<'de> for Vocabulary<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Vocabulary<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map from pieces to ids, or a list of pieces with scores")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut ids = HashMap::default();
                while let Some((piece, id)) = map.next_entry::<Text<'de>, TokenId>()? {
                    check_piece(&piece.0).map_err(A::Error::custom)?;
                    if id >= PAST_LAST_ID {
                        let piece = shown(&piece.0);
                        return Err(A::Error::custom(format!(
                            "the piece `{piece}` has the id {id}, expected less than {PAST_LAST_ID}"
                        )));
                    }
                    ids.insert(piece, id);
                    check_count::<A::Error>(ids.len())?;
                }
                Ok(Vocabulary::Ids(ids))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut pieces = Vec::new();
                let mut bytes = 0;
                while let Some((piece, score)) = list.next_element::<(String, f64)>()? {
                    bytes += piece.len();
                    if piece.len() > LONGEST_UNIGRAM_PIECE || bytes > MOST_UNIGRAM_BYTES {
                        let begins = shown(&piece);
                        return Err(A::Error::custom(format!(
                            "with the piece `{begins}` the pieces are too long: expected at most \
                             {LONGEST_UNIGRAM_PIECE} bytes each and {} MB together",
                            MOST_UNIGRAM_BYTES >> 20
                        )));
                    }
                    pieces.push((piece, score));
                    check_count::<A::Error>(pieces.len())?;
                }
                if beginnings(&pieces) > MOST_UNIGRAM_BEGINNINGS {
                    return Err(A::Error::custom(format!(
                        "the pieces have more than {MOST_UNIGRAM_BEGINNINGS} distinct beginnings"
                    )));
                }
                Ok(Vocabulary::Scored(pieces))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// Returns how many texts some piece begins with.
fn beginnings(pieces: &[(String, f64)]) -> usize {
    let mut sorted: Vec<&[u8]> = pieces.iter().map(|(piece, _)| piece.as_bytes()).collect();
    sorted.sort_unstable();
    let mut before: &[u8] = &[];
    let mut count = 0;
    for piece in sorted {
        count += piece.len() - piece.iter().zip(before).take_while(|(a, b)| a == b).count();
        before = piece;
    }
    count
}

fn check_count<E: Error>(pieces: usize) -> Result<(), E> {
    if pieces > MOST_PIECES {
        return Err(E::custom(format!("the vocabulary has more than {MOST_PIECES} pieces")));
    }
    Ok(())
}

/// The merges of a BPE model, in the order of their ranks.
#[derive(Default)]
pub(crate) struct Merges<'a>(pub(crate) Vec<MergeEntry<'a>>);

/// One merge.
pub(crate) enum MergeEntry<'a> {
    Joined(Text<'a>),
    Pair(Text<'a>, Text<'a>),
}

impl MergeEntry<'_> {
    /// Returns whether it is no merge but the version that lists of old begin with.
    pub(crate) fn is_version(&self) -> bool {
        matches!(self, Self::Joined(text) if text.0.starts_with("#version"))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Merges<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Merges<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of merges")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut merges = Vec::new();
                while let Some(merge) = list.next_element()? {
                    merges.push(merge);
                    if merges.len() > MOST_MERGES {
                        let wrong = format!("the model has more than {MOST_MERGES} merges");
                        return Err(A::Error::custom(wrong));
                    }
                }
                Ok(Merges(merges))
            }
        }
        deserializer.deserialize_seq(List)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for MergeEntry<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = MergeEntry<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a merge: two pieces")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(MergeEntry::Joined(Text(Cow::Borrowed(text))))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(MergeEntry::Joined(Text(Cow::Owned(text.to_owned()))))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
                let pair = serde::de::value::SeqAccessDeserializer::new(list);
                let (left, right) = Deserialize::deserialize(pair)?;
                Ok(MergeEntry::Pair(left, right))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// A string of the file, borrowed from it unless it was written with escapes.
#[derive(Deserialize, PartialEq, Eq, Hash)]
#[serde(transparent)]
pub(crate) struct Text<'a>(#[serde(borrow)] pub(crate) Cow<'a, str>);

impl std::borrow::Borrow<str> for Text<'_> {
    fn borrow(&self) -> &str {
        &self.0
    }
}
