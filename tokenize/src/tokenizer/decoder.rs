//! From ids to text: a table of what each id is written as, and how the parts are joined.
//!
//! Hugging Face's decoders make a string of each token, and lists of those for each step, which takes
//! some twenty bytes a byte of text. What the usual decoders do to a token does not depend on its
//! neighbours, so it is done once an id; the oracle decodes with the others.

use ratdata_schemas::{TokenId, Tokens};
use rustc_hash::FxHashMap as HashMap;
use serde_json::Value;

use super::json::byte_level::{byte_level_chars, byte_value};

/// The texts of all ids, and how they become one.
#[derive(Debug)]
pub(super) struct Decoder {
    /// What the ids are written as, one after the other.
    bytes: Vec<u8>,
    /// The end in `bytes` of each id's part.
    ends: Vec<usize>,
    joining: Joining,
}

/// How parts become a text.
#[derive(Debug)]
enum Joining {
    /// All parts are bytes of one text; what is no UTF-8 becomes U+FFFD, and so do other ids where
    /// the vocabulary's are all there is.
    Bytes { unknown: &'static str, strip: bool },
    /// Some ids stand for a byte each. Those that follow each other are a text, or as many U+FFFD.
    Fallback {
        kinds: Vec<PieceMeaning>,
        /// What is taken off the text's beginning, at most so often.
        strip: Option<(char, usize)>,
    },
}

/// What an id is to byte fallback.
#[derive(Clone, Copy, Debug)]
enum PieceMeaning {
    /// It stands for this byte.
    Byte(u8),
    /// It stands for its text.
    Text,
    /// The vocabulary has no such id, so that it does not even part the bytes around it.
    Missing,
}

impl Decoder {
    /// Makes a decoder that does as SentencePiece.
    pub(super) fn sentencepiece(pieces: &[String]) -> Self {
        let mut decoder = Self::empty(Joining::Bytes { unknown: "\u{fffd}", strip: true });
        for piece in pieces {
            match byte_value(piece) {
                Some(byte) => decoder.push(&[byte]),
                None => decoder.push(piece.replace('▁', " ").as_bytes()),
            }
        }
        decoder
    }

    /// Makes a decoder that takes the steps of a `tokenizer.json`, of the texts of all ids; none where
    /// the steps are of another kind.
    pub(super) fn of_steps(
        steps: &Value,
        texts: impl Iterator<Item = Option<String>>,
    ) -> Option<Self> {
        if steps["type"] == "ByteLevel" {
            Some(Self::byte_level(texts))
        } else {
            Some(Self::fallback(texts, &Steps::read(steps)?))
        }
    }

    /// Makes a decoder of texts with one character for each byte.
    pub(super) fn byte_level(texts: impl Iterator<Item = Option<String>>) -> Self {
        let byte_of: HashMap<char, u8> = byte_level_chars().into_iter().zip(0..=u8::MAX).collect();
        let mut decoder = Self::empty(Joining::Bytes { unknown: "", strip: false });
        for text in texts.map(Option::unwrap_or_default) {
            let spelt: Option<Vec<u8>> =
                text.chars().map(|letter| byte_of.get(&letter).copied()).collect();
            decoder.push(spelt.as_deref().unwrap_or(text.as_bytes()));
        }
        decoder
    }

    fn fallback(texts: impl Iterator<Item = Option<String>>, steps: &Steps) -> Self {
        let mut kinds = Vec::new();
        let mut decoder = Self::empty(Joining::Bytes { unknown: "", strip: false });
        for text in texts {
            let text = text.map(|text| match &steps.replace {
                Some((pattern, content)) => text.replace(pattern.as_str(), content),
                None => text,
            });
            let byte = text.as_deref().and_then(byte_value).filter(|_| steps.fallback);
            let kind = match (&text, byte) {
                (_, Some(byte)) => PieceMeaning::Byte(byte),
                (Some(_), None) => PieceMeaning::Text,
                (None, None) => PieceMeaning::Missing,
            };
            kinds.push(kind);
            decoder.push(match (kind, &text) {
                (PieceMeaning::Text, Some(text)) => text.as_bytes(),
                _ => b"",
            });
        }
        decoder.joining = Joining::Fallback { kinds, strip: steps.strip };
        decoder
    }

    fn empty(joining: Joining) -> Self {
        Self { bytes: Vec::new(), ends: Vec::new(), joining }
    }

    fn push(&mut self, part: &[u8]) {
        self.bytes.extend_from_slice(part);
        self.ends.push(self.bytes.len());
    }

    /// Returns what an id is written as; none where the vocabulary has no such id.
    fn part(&self, id: TokenId) -> Option<&[u8]> {
        let place = id as usize;
        let end = *self.ends.get(place)?;
        let start = place.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.bytes.get(start..end)
    }

    /// Returns the text of ids.
    pub(super) fn decode(&self, tokens: Tokens<'_>) -> String {
        // Measured first: a text that grows as it is written takes twice its room.
        let room = tokens.iter().map(|id| self.part(id).map_or(3, |part| part.len().max(1))).sum();
        let mut bytes = Vec::with_capacity(room);
        match &self.joining {
            Joining::Bytes { unknown, strip } => {
                for id in tokens.iter() {
                    bytes.extend_from_slice(self.part(id).unwrap_or(unknown.as_bytes()));
                }
                stripped(text_of(bytes), strip.then_some((' ', 1)))
            }
            Joining::Fallback { kinds, strip } => {
                let mut held = Vec::new();
                for id in tokens.iter() {
                    match kinds.get(id as usize) {
                        Some(PieceMeaning::Byte(byte)) => held.push(*byte),
                        Some(PieceMeaning::Text) => {
                            flush(&mut held, &mut bytes);
                            bytes.extend_from_slice(self.part(id).unwrap_or_default());
                        }
                        Some(PieceMeaning::Missing) | None => {}
                    }
                }
                flush(&mut held, &mut bytes);
                stripped(text_of(bytes), *strip)
            }
        }
    }
}

/// What a decoder keeps of the ids of a text that comes piece by piece.
#[derive(Clone, Debug)]
pub(super) struct Partial {
    /// Bytes that later ones may change: the first ones of a letter, or a run of bytes.
    held: Vec<u8>,
    /// What is still taken off the text's beginning; none once there is text.
    strip: Option<(char, usize)>,
}

impl Decoder {
    /// Returns the bytes of one id within a text.
    pub(super) fn token_bytes(&self, id: TokenId) -> Vec<u8> {
        match &self.joining {
            Joining::Fallback { kinds, .. } => match kinds.get(id as usize) {
                Some(PieceMeaning::Byte(byte)) => vec![*byte],
                _ => self.part(id).unwrap_or_default().to_vec(),
            },
            Joining::Bytes { unknown, .. } => self.part(id).unwrap_or(unknown.as_bytes()).to_vec(),
        }
    }

    /// Begins a text piece by piece; where it continues another text, nothing is taken off its
    /// beginning.
    pub(super) fn begin(&self, continues: bool) -> Partial {
        let strip = match &self.joining {
            Joining::Bytes { strip, .. } => strip.then_some((' ', 1)),
            Joining::Fallback { strip, .. } => *strip,
        };
        Partial { held: Vec::new(), strip: strip.filter(|_| !continues) }
    }

    /// Decodes one more id, and appends to `text` what no later id changes.
    pub(super) fn decode_next(&self, partial: &mut Partial, id: TokenId, text: &mut String) {
        match &self.joining {
            Joining::Bytes { unknown, .. } => {
                let part = self.part(id).unwrap_or(unknown.as_bytes());
                partial.held.extend_from_slice(part);
                partial.settle_letters(text);
            }
            Joining::Fallback { kinds, .. } => match kinds.get(id as usize) {
                Some(PieceMeaning::Byte(byte)) => partial.held.push(*byte),
                Some(PieceMeaning::Text) => {
                    let mut bytes = Vec::new();
                    flush(&mut partial.held, &mut bytes);
                    bytes.extend_from_slice(self.part(id).unwrap_or_default());
                    partial.append(&text_of(bytes), text);
                }
                Some(PieceMeaning::Missing) | None => {}
            },
        }
    }

    /// Returns the text of the bytes that are held, as if no id followed.
    pub(super) fn unsettled(&self, partial: &Partial) -> String {
        let mut held = partial.held.clone();
        let mut text = String::new();
        if held.is_empty() {
            return text;
        }
        if matches!(self.joining, Joining::Fallback { .. }) {
            let mut bytes = Vec::new();
            flush(&mut held, &mut bytes);
            held = bytes;
        }
        partial.clone().append(&text_of(held), &mut text);
        text
    }
}

impl Partial {
    /// Appends the letters that are whole, and a U+FFFD for bytes that no later ones make a letter.
    fn settle_letters(&mut self, text: &mut String) {
        let held = std::mem::take(&mut self.held);
        let mut rest = held.as_slice();
        loop {
            match std::str::from_utf8(rest) {
                Ok(valid) => return self.append(valid, text),
                Err(wrong) => {
                    let (valid, after) = rest.split_at(wrong.valid_up_to());
                    self.append(&String::from_utf8_lossy(valid), text);
                    let Some(len) = wrong.error_len() else {
                        self.held = after.to_vec();
                        return;
                    };
                    self.append("\u{fffd}", text);
                    rest = &after[len..];
                }
            }
        }
    }

    /// Appends a text, without what is taken off the beginning.
    fn append(&mut self, new: &str, text: &mut String) {
        let mut new = new;
        while let Some((content, left)) = self.strip {
            match new.strip_prefix(content) {
                Some(rest) if left > 0 => {
                    new = rest;
                    self.strip = Some((content, left - 1));
                }
                _ if new.is_empty() => return,
                _ => self.strip = None,
            }
        }
        text.push_str(new);
    }
}

/// Writes the bytes that were held: as the text that they are, or a U+FFFD each.
fn flush(held: &mut Vec<u8>, bytes: &mut Vec<u8>) {
    if std::str::from_utf8(held).is_ok() {
        bytes.extend_from_slice(held);
    } else {
        bytes.extend_from_slice("\u{fffd}".repeat(held.len()).as_bytes());
    }
    held.clear();
}

/// Takes bytes as a text; what is no UTF-8 becomes U+FFFD.
fn text_of(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|wrong| String::from_utf8_lossy(wrong.as_bytes()).into_owned())
}

fn stripped(mut text: String, strip: Option<(char, usize)>) -> String {
    if let Some((content, most)) = strip {
        let count = text.chars().take(most).take_while(|&letter| letter == content).count();
        text.drain(..count * content.len_utf8());
    }
    text
}

/// The steps of a decoder for byte fallback.
struct Steps {
    replace: Option<(String, String)>,
    fallback: bool,
    strip: Option<(char, usize)>,
}

impl Steps {
    /// Reads `Replace`, `ByteFallback`, `Fuse` and `Strip`, of which all but `Fuse` may be missing.
    fn read(decoder: &Value) -> Option<Self> {
        let mut steps = decoder["decoders"].as_array()?.iter().peekable();
        let mut next = |kind: &str| steps.next_if(|step| step["type"] == kind);
        let replace = match next("Replace") {
            Some(step) => {
                let pattern = step["pattern"]["String"].as_str().filter(|text| !text.is_empty())?;
                Some((pattern.to_owned(), step["content"].as_str()?.to_owned()))
            }
            None => None,
        };
        let fallback = next("ByteFallback").is_some();
        next("Fuse")?;
        let strip = match next("Strip") {
            Some(step) if step["stop"] == 0 => {
                let most = usize::try_from(step["start"].as_u64()?).ok()?;
                Some((step["content"].as_str()?.chars().next()?, most))
            }
            Some(_) => return None,
            None => None,
        };
        steps.next().is_none().then_some(Self { replace, fallback, strip })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;
    use tokenizers::Tokenizer;

    use super::*;

    /// Pieces that decoders treat apart: bytes, parts of letters, spaces, what looks like a byte.
    const PIECES: [&str; 16] = [
        "▁", "▁▁", "the", "▁cat", "<0x0A>", "<0xE4>", "<0xBD>", "<0xA0>", "<0xFF>", "<0xG0>", " ",
        "é", "Ġ", "Ċ", "Ä", "½",
    ];

    /// More ids than there are pieces: some have no text.
    const COUNT: u32 = 20;

    fn oracle(decoder: &Value) -> Tokenizer {
        let mut vocabulary = serde_json::Map::new();
        for (piece, id) in PIECES.iter().zip(0..) {
            // A hole, which stands for no text and parts no bytes.
            vocabulary.insert((*piece).to_owned(), json!(if id > 7 { id + 1 } else { id }));
        }
        let special = json!({
            "id": 18, "content": "<s> x", "special": true, "normalized": false,
            "single_word": false, "lstrip": false, "rstrip": false,
        });
        let file = json!({
            "version": "1.0", "truncation": null, "padding": null, "added_tokens": [special],
            "normalizer": null, "pre_tokenizer": null, "post_processor": null, "decoder": decoder,
            "model": { "type": "BPE", "vocab": vocabulary, "merges": [] },
        });
        Tokenizer::from_bytes(file.to_string()).unwrap()
    }

    fn kinds() -> Vec<Value> {
        let replace = json!({"type": "Replace", "pattern": {"String": "▁"}, "content": " "});
        let fallback = json!({"type": "ByteFallback"});
        let fuse = json!({"type": "Fuse"});
        let strip = json!({"type": "Strip", "content": " ", "start": 1, "stop": 0});
        let sequence = |steps: &[&Value]| json!({"type": "Sequence", "decoders": steps});
        vec![
            json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true}),
            sequence(&[&replace, &fallback, &fuse, &strip]),
            sequence(&[&replace, &fallback, &fuse]),
            sequence(&[&replace, &fuse]),
            sequence(&[&fuse, &strip]),
        ]
    }

    fn table(oracle: &Tokenizer) -> Option<Decoder> {
        let steps = serde_json::to_value(oracle.get_decoder()?).unwrap();
        Decoder::of_steps(&steps, (0..COUNT).map(|id| oracle.id_to_token(id)))
    }

    proptest! {
        /// The table decodes as Hugging Face's code does, whatever the ids.
        #[test]
        fn a_table_decodes_as_the_oracle(ids in proptest::collection::vec(0..COUNT + 3, 0..24)) {
            for kind in kinds() {
                let oracle = oracle(&kind);
                let decoder = table(&oracle).unwrap();

                let expected = oracle.decode(&ids, false).unwrap();
                prop_assert_eq!(decoder.decode(Tokens::U32(&ids)), expected, "{}", kind);
            }
        }
    }

    proptest! {
        /// Id by id, what is settled and what is not are the text of all ids so far, and what was
        /// settled stays.
        #[test]
        fn piece_by_piece_is_the_whole(ids in proptest::collection::vec(0..COUNT + 3, 0..24)) {
            for kind in kinds() {
                let decoder = table(&oracle(&kind)).unwrap();
                let mut partial = decoder.begin(false);
                let mut settled = String::new();
                for (count, id) in (1..).zip(&ids) {
                    let before = settled.clone();
                    decoder.decode_next(&mut partial, *id, &mut settled);

                    let whole = settled.clone() + &decoder.unsettled(&partial);
                    prop_assert!(settled.starts_with(&before));
                    prop_assert_eq!(whole, decoder.decode(Tokens::U32(&ids[..count])), "{}", kind);
                }
            }
        }

        /// A text that continues another is what it adds to it.
        #[test]
        fn a_continuation_is_what_it_adds(
            first in proptest::collection::vec(0..8_u32, 1..6),
            ids in proptest::collection::vec(0..COUNT, 0..12),
        ) {
            for kind in kinds() {
                let decoder = table(&oracle(&kind)).unwrap();
                let before = decoder.decode(Tokens::U32(&first));
                let whole = decoder.decode(Tokens::U32(&[first.clone(), ids.clone()].concat()));
                // A letter across both is neither's, and neither is what both are stripped of.
                prop_assume!(first.iter().any(|&id| id == 2 || id == 3));
                prop_assume!(matches!(first.last(), Some(2 | 3)));
                let mut partial = decoder.begin(true);
                let mut text = String::new();
                for &id in &ids {
                    decoder.decode_next(&mut partial, id, &mut text);
                }
                text.push_str(&decoder.unsettled(&partial));

                prop_assert_eq!(before + &text, whole, "{}", kind);
            }
        }
    }

    #[test]
    fn other_decoders_are_left_to_the_oracle() {
        let metaspace = json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": true});

        assert!(table(&oracle(&metaspace)).is_none());
    }
}
