//! Tokenizers: loading a vocabulary, and the way from text to ids and back.
//!
//! A `tokenizer.json` has the semantics of Hugging Face `tokenizers`: merges by rank. A
//! SentencePiece `.model` has those of SentencePiece, through the legacy slow `LlamaTokenizer` that
//! the reference ran: merges by score, and a `▁` of its own for each stretch of text after a
//! special token. The two differ on runs of spaces; both are exact here.

mod added;
mod align;
mod boundary;
mod composed;
mod content;
mod decode;
mod encoder;
mod ends;
mod error;
mod finder;
mod json;
mod json_file;
mod limits;
mod oracle;
mod parts;
mod pattern;
mod sections;
mod sentencepiece;
pub mod sentencepiece_model;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use ratdata_schemas::{Checksum, Dtype, TokenId, TokenizerRecord, Tokens};
use rustc_hash::FxHashMap as HashMap;

pub use crate::engine::width::IdWidth;
pub use align::Aligned;
pub use boundary::Bound;
pub use encoder::{Encoder, Oracle, SpecialInText};
pub use error::{EncodeError, TokenizerError};

use crate::engine::compiled::{AddedToken, Compiled};
use content::{Foreign, Kind};
use decode::Decoder;
use encoder::Piece;
use ends::{Ends, Named};
use finder::Finder;
use json::JsonError;
use oracle::JsonOracle;
use sentencepiece_model::{PieceKind, SentencePieceModel};

use crate::engine::Engine;

/// Whose results the ids equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Semantics {
    /// Hugging Face `tokenizers`, from a `tokenizer.json`.
    Json,
    /// SentencePiece, from a `.model`.
    SentencePiece,
}

impl Semantics {
    /// Returns the name that manifests have.
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "tokenizers",
            Self::SentencePiece => "sentencepiece",
        }
    }
}

/// A loaded tokenizer; cheap to clone.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    semantics: Semantics,
    /// The checksum of the file's bytes.
    file: Checksum,
    fingerprint: Checksum,
    pieces: Vec<String>,
    added: Vec<AddedToken>,
    /// The ids of added tokens, and whether they are special.
    added_ids: HashMap<TokenId, bool>,
    finder: Finder,
    unk: Option<TokenId>,
    ends: Ends,
    engine: Option<Arc<Engine>>,
    /// Whether text is composed before the engine encodes it.
    composes: bool,
    uncovered: Option<String>,
    notes: Vec<String>,
    /// The oracle of a JSON file; loaded when first needed, since that takes a while.
    oracle: OnceLock<Result<JsonOracle, String>>,
    /// The same, reading special tokens as plain text.
    plain_oracle: OnceLock<Result<JsonOracle, String>>,
    /// What ids are written as; made when text is first wanted.
    decoder: OnceLock<Option<Decoder>>,
}

/// What the file of a tokenizer says, of either kind.
struct Loaded {
    pieces: Vec<String>,
    added: Vec<AddedToken>,
    unk: Option<TokenId>,
    ends: Ends,
    compiled: Result<Compiled, String>,
    notes: Vec<String>,
}

impl Tokenizer {
    /// Loads a `tokenizer.json`, a SentencePiece `.model`, or the `tokenizer.json` of a folder.
    ///
    /// # Errors
    ///
    /// The file cannot be read, is no tokenizer, is one that cannot be run, or gives other ids each
    /// time.
    pub fn load(path: &Path) -> Result<Self, TokenizerError> {
        let (path, bytes, semantics) = read(path)?;
        let invalid = |reason| TokenizerError::Invalid { path: path.clone(), reason };
        let loaded = boundary::caught(|| match semantics {
            Semantics::Json => from_json(&path, &bytes),
            Semantics::SentencePiece => from_model(&path, &bytes),
        });
        let Loaded { pieces, added, unk, ends, compiled, notes } =
            loaded.map_err(|broken| invalid(format!("it cannot be read: {broken}")))??;
        let composes = compiled.as_ref().is_ok_and(Compiled::composes);
        let (engine, uncovered) = match compiled {
            Ok(compiled) => (Some(Arc::new(Engine::new(compiled))), None),
            Err(reason) => (None, Some(reason)),
        };
        // The oracle serves what the engine does not, so it has to load: tell now, not at the first
        // document.
        let oracle = OnceLock::new();
        if engine.is_none() {
            let parsed = JsonOracle::parse(&bytes);
            let parsed =
                parsed.map_err(|reason| TokenizerError::Refused { path: path.clone(), reason })?;
            drop(oracle.set(Ok(parsed)));
        }
        let finder = Finder::new(&added).map_err(|wrong| invalid(wrong.to_string()))?;
        let file = Checksum::of(&bytes);
        let inner = Inner {
            fingerprint: fingerprint(semantics, &file),
            file,
            path,
            semantics,
            pieces,
            added_ids: added.iter().map(|token| (token.id, token.special)).collect(),
            added,
            finder,
            unk,
            ends,
            engine,
            composes,
            uncovered,
            notes,
            oracle,
            plain_oracle: OnceLock::new(),
            decoder: OnceLock::new(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Returns what [`Tokenizer::fingerprint`] would be of the tokenizer at a path, without loading it.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or is no tokenizer.
    pub fn fingerprint_of(path: &Path) -> Result<Checksum, TokenizerError> {
        let (_, bytes, semantics) = read(path)?;
        Ok(fingerprint(semantics, &Checksum::of(&bytes)))
    }

    /// Returns the checksum of the tokenizer file and its semantics.
    pub fn fingerprint(&self) -> &Checksum {
        &self.inner.fingerprint
    }

    /// Returns whose results the ids equal.
    pub fn semantics(&self) -> Semantics {
        self.inner.semantics
    }

    /// Returns the file that was loaded.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Returns the largest id plus one.
    pub fn vocab_size(&self) -> u32 {
        u32::try_from(self.inner.pieces.len()).unwrap_or(u32::MAX)
    }

    /// Returns the id that begins a document: as the files beside the tokenizer say, or the model
    /// itself, or else by the names that vocabularies give it.
    pub fn bos(&self) -> Option<TokenId> {
        self.inner.ends.bos
    }

    /// Returns the id that ends a document, found as [`Tokenizer::bos`] is.
    pub fn eos(&self) -> Option<TokenId> {
        self.inner.ends.eos
    }

    /// Returns all special tokens that might end a document, the one that is taken to do so first,
    /// where nothing but its name says which it is; none where that is known.
    pub fn eos_guesses(&self) -> &[String] {
        &self.inner.ends.eos_guesses
    }

    /// Returns the texts of the special tokens, in the order of the vocabulary file.
    pub fn specials(&self) -> impl Iterator<Item = &str> {
        self.inner.added.iter().filter(|token| token.special).map(|token| token.content.as_str())
    }

    /// Returns the id of what cannot be spelt.
    pub fn unk(&self) -> Option<TokenId> {
        self.inner.unk.or_else(|| self.special(&["<unk>", "[UNK]"]))
    }

    /// Returns the id that fills rows up.
    pub fn pad(&self) -> Option<TokenId> {
        self.special(&["<pad>", "[PAD]", "<|pad|>"])
    }

    /// Returns the id of the first of `names` that is a special token.
    fn special(&self, names: &[&str]) -> Option<TokenId> {
        names.iter().find_map(|name| {
            self.inner
                .added
                .iter()
                .find(|token| token.special && token.content == *name)
                .map(|token| token.id)
        })
    }

    /// Tells whether a text can be encoded, without doing so.
    ///
    /// # Errors
    ///
    /// As of [`Encoder::encode_into`], for what the text itself is refused for.
    pub fn check(&self, text: &str, specials: SpecialInText) -> Result<(), EncodeError> {
        self.inner.for_each_piece(text, specials, |_| {})
    }

    /// Returns the id of a piece or added token, by its text.
    pub fn id_of(&self, piece: &str) -> Option<TokenId> {
        id_of(&self.inner.pieces, piece)
    }

    /// Returns the piece of an id as the vocabulary writes it, such as `▁the` or `<0x0A>`.
    pub fn piece(&self, id: TokenId) -> Option<&str> {
        self.inner.pieces.get(id as usize).map(String::as_str)
    }

    /// Returns whether an id stands for one byte, as in `<0x0A>`.
    pub fn is_byte_piece(&self, id: TokenId) -> bool {
        self.piece(id).and_then(json::byte_value).is_some()
    }

    /// Returns whether an id is a special token.
    pub fn is_special(&self, id: TokenId) -> bool {
        self.inner.added_ids.get(&id) == Some(&true)
    }

    /// Returns whether a text may be encoded in two parts, cut between these characters, with the
    /// same ids; false where that is not known.
    ///
    /// It speaks of places within one stretch of text: the second part is then encoded without the
    /// `▁` that would be put before a text of its own.
    pub fn is_cut(&self, before: char, after: char) -> bool {
        let spans = |token: &AddedToken| {
            let mut chars = token.content.chars();
            let next = chars.clone().skip(1);
            chars.by_ref().zip(next).any(|pair| pair == (before, after))
        };
        self.inner.engine.as_ref().is_some_and(|engine| engine.is_cut(before, after))
            && !self.inner.added.iter().any(spans)
    }

    /// Returns whether pieces spell bytes, one character each.
    pub(super) fn is_byte_level(&self) -> bool {
        self.inner.engine.as_ref().is_some_and(|engine| engine.is_byte_level())
    }

    /// Returns why the engine leaves this tokenizer to Hugging Face `tokenizers`, if it does.
    pub fn uncovered(&self) -> Option<&str> {
        self.inner.uncovered.as_deref()
    }

    /// Returns what the file says and is done otherwise, such as truncation, in sentences that go on
    /// from the file's name.
    pub fn notes(&self) -> &[String] {
        &self.inner.notes
    }

    /// Makes an encoder for one thread.
    pub fn encoder(&self, specials: SpecialInText) -> Encoder {
        Encoder::new(self.inner.clone(), specials)
    }

    /// Returns the slow twin that the encoders are held to.
    pub fn oracle(&self) -> Oracle {
        Oracle::new(self.inner.clone())
    }

    /// Returns the record of this tokenizer for a manifest; `name` is what the user called it.
    pub fn record(&self, name: &str) -> TokenizerRecord {
        TokenizerRecord {
            name: name.to_owned(),
            semantics: self.semantics().name().to_owned(),
            fingerprint: self.fingerprint().clone(),
            vocab_size: self.vocab_size(),
            bos: self.bos(),
            eos: self.eos(),
            unk: self.unk(),
            pad: self.pad(),
        }
    }

    /// Returns how much memory the tables take that all encoders share, in bytes.
    pub fn memory(&self) -> usize {
        self.inner.engine.as_ref().map_or(0, |engine| engine.memory())
    }

    /// Returns the text of ids; special tokens appear as they are written.
    pub fn decode(&self, ids: &[TokenId]) -> String {
        self.decode_tokens(Tokens::U32(ids))
    }

    /// Returns the text of ids as they are in a bin, as [`Tokenizer::decode`] does.
    pub fn decode_tokens(&self, tokens: Tokens<'_>) -> String {
        if let Some(decoder) = self.inner.decoder() {
            return decoder.decode(tokens);
        }
        // Decoders that the table does not cover; the oracle was loaded to find out.
        let oracle = self.inner.json_oracle();
        let text = oracle.ok().and_then(|oracle| oracle.decode(&tokens.to_vec()));
        text.unwrap_or_else(|| Decoder::sentencepiece(&self.inner.pieces).decode(tokens))
    }
}

/// Reads the file that a path names, and tells whose results it has.
fn read(path: &Path) -> Result<(PathBuf, Vec<u8>, Semantics), TokenizerError> {
    let mut path = path.to_owned();
    if path.is_dir() {
        let file = path.join("tokenizer.json");
        if !file.is_file() {
            let has_model = path.join("tokenizer.model").is_file();
            return Err(TokenizerError::EmptyFolder { path, has_model });
        }
        path = file;
    }
    let bytes = content::read(&path)?;
    match content::kind(&path, &bytes) {
        Ok(Kind::Json) => Ok((path, bytes, Semantics::Json)),
        Ok(Kind::Model) => Ok((path, bytes, Semantics::SentencePiece)),
        Err(Foreign { found, hint }) => Err(TokenizerError::Foreign { path, found, hint }),
    }
}

fn fingerprint(semantics: Semantics, file: &Checksum) -> Checksum {
    Checksum::of(format!("{} {file}", semantics.name()).as_bytes())
}

fn from_json(path: &Path, bytes: &[u8]) -> Result<Loaded, TokenizerError> {
    let read = json::read(bytes).map_err(|wrong| match wrong {
        JsonError::Dropout(share) => TokenizerError::Dropout { path: path.to_owned(), share },
        wrong => TokenizerError::Invalid { path: path.to_owned(), reason: wrong.to_string() },
    })?;
    let ends = Named::beside(path)?.resolve(|text| id_of(&read.pieces, text), &read.added);
    Ok(Loaded {
        unk: read.unk.as_ref().and_then(|unk| id_of(&read.pieces, unk)),
        ends,
        pieces: read.pieces,
        added: read.added,
        compiled: read.compiled,
        notes: read.notes,
    })
}

fn from_model(path: &Path, bytes: &[u8]) -> Result<Loaded, TokenizerError> {
    let model = SentencePieceModel::parse(bytes).map_err(|wrong| {
        let reason = format!("it is no SentencePiece model: {wrong}");
        TokenizerError::Invalid { path: path.to_owned(), reason }
    })?;
    let compiled = sentencepiece::compile(&model)
        .map_err(|reason| TokenizerError::Unsupported { path: path.to_owned(), reason })?;
    let added = sentencepiece::added(&model);
    let unknown = model.pieces.iter().position(|piece| piece.kind == PieceKind::Unknown);
    let named = Named::beside(path)?.and_model(&model);
    let pieces: Vec<String> = model.pieces.into_iter().map(|piece| piece.text).collect();
    Ok(Loaded {
        ends: named.resolve(|text| id_of(&pieces, text), &added),
        unk: unknown.and_then(|id| TokenId::try_from(id).ok()),
        pieces,
        added,
        compiled: Ok(compiled),
        notes: Vec::new(),
    })
}

fn id_of(pieces: &[String], piece: &str) -> Option<TokenId> {
    pieces.iter().position(|other| other == piece).and_then(|id| TokenId::try_from(id).ok())
}

impl Inner {
    /// Returns the table that decodes ids; none where only the oracle decodes them.
    fn decoder(&self) -> Option<&Decoder> {
        let make = || {
            let json = self.semantics == Semantics::Json;
            match json.then(|| self.json_oracle()) {
                Some(Ok(oracle)) => {
                    let count = u32::try_from(self.pieces.len()).unwrap_or(u32::MAX);
                    oracle.decoder(count)
                }
                // What the oracle cannot load is written as its pieces are.
                Some(Err(_)) | None => Some(Decoder::sentencepiece(&self.pieces)),
            }
        };
        self.decoder.get_or_init(make).as_ref()
    }

    fn check_width(&self, dtype: Dtype) -> Result<(), EncodeError> {
        let vocab_size = u32::try_from(self.pieces.len()).unwrap_or(u32::MAX);
        if dtype == Dtype::U16 && Dtype::for_vocab(vocab_size) != Dtype::U16 {
            return Err(EncodeError::Width { vocab_size, dtype });
        }
        Ok(())
    }

    /// Calls `each` for every stretch of text and every added token in it, in order.
    fn for_each_piece<'a>(
        &self,
        text: &'a str,
        specials: SpecialInText,
        mut each: impl FnMut(Piece<'a>),
    ) -> Result<(), EncodeError> {
        if text.len() >= crate::engine::MAX_TEXT {
            return Err(EncodeError::TooLong {
                bytes: text.len(),
                most: crate::engine::MAX_TEXT - 1,
            });
        }
        if specials == SpecialInText::Plain {
            if !text.is_empty() {
                each(Piece::Text { text, at_start: true });
            }
            return Ok(());
        }
        self.finder.each(text, |stretch, token| {
            let Some(token) = token.map(|place| &self.added[place]) else {
                each(Piece::Text { at_start: stretch.start == 0, text: &text[stretch] });
                return Ok(());
            };
            if specials == SpecialInText::Error && token.special {
                return Err(EncodeError::Special {
                    at: stretch.start,
                    token: token.content.clone(),
                });
            }
            each(Piece::Token(token.id));
            Ok(())
        })
    }
}
