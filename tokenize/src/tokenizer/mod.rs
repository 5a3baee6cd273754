//! Tokenizers: loading a vocabulary, and the way from text to ids and back.
//!
//! A `tokenizer.json` has the semantics of Hugging Face `tokenizers`: merges by rank. A
//! SentencePiece `.model` has those of SentencePiece, through the legacy slow `LlamaTokenizer` that
//! the reference ran: merges by score, and a `▁` of its own for each stretch of text after a
//! special token. The two differ on runs of spaces; both are exact here.

mod align;
mod composed;
mod encoder;
mod ends;
mod error;
mod json;
mod sentencepiece;
pub mod sentencepiece_model;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use aho_corasick::{AhoCorasick, MatchKind};
use ratdata_schemas::{Checksum, Dtype, TokenId, TokenizerRecord, read_regular};

pub use crate::engine::width::IdWidth;
pub use align::Aligned;
pub use encoder::{Encoder, Oracle, SpecialInText};
pub use error::{EncodeError, TokenizerError};

use crate::engine::compiled::{AddedToken, Compiled};
use encoder::Piece;
use ends::{Ends, Named};
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
    fingerprint: Checksum,
    pieces: Vec<String>,
    added: Vec<AddedToken>,
    finder: Option<AhoCorasick>,
    unk: Option<TokenId>,
    ends: Ends,
    engine: Option<Arc<Engine>>,
    /// Whether text is composed before the engine encodes it.
    composes: bool,
    uncovered: Option<String>,
    /// The oracle of a JSON file; loaded when first needed, since that takes a while.
    oracle: OnceLock<Result<Box<tokenizers::Tokenizer>, String>>,
    /// The same, reading special tokens as plain text.
    plain_oracle: OnceLock<Result<Box<tokenizers::Tokenizer>, String>>,
}

impl Tokenizer {
    /// Loads a `tokenizer.json`, a SentencePiece `.model`, or the `tokenizer.json` of a folder.
    ///
    /// # Errors
    ///
    /// The file cannot be read, is no tokenizer, or is one that cannot be run.
    pub fn load(path: &Path) -> Result<Self, TokenizerError> {
        let path = if path.is_dir() {
            let file = path.join("tokenizer.json");
            if !file.is_file() {
                let has_model = path.join("tokenizer.model").is_file();
                return Err(TokenizerError::EmptyFolder { path: path.to_owned(), has_model });
            }
            file
        } else {
            path.to_owned()
        };
        // A device would have no end, and a pipe perhaps no beginning.
        let bytes = read_regular(&path)
            .map_err(|source| TokenizerError::Io { path: path.clone(), source })?;
        let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
        if first == Some(&b'{') {
            Self::from_json(path, &bytes)
        } else {
            Self::from_model(path, &bytes)
        }
    }

    fn from_json(path: PathBuf, bytes: &[u8]) -> Result<Self, TokenizerError> {
        let unknown = |reason: String| TokenizerError::UnknownKind { path: path.clone(), reason };
        let text = std::str::from_utf8(bytes).map_err(|wrong| unknown(wrong.to_string()))?;
        let read = json::read(text).map_err(|wrong| unknown(wrong.to_string()))?;
        let unk = read.unk.as_ref().and_then(|unk| id_of(&read.pieces, unk));
        let composes = read.compiled.as_ref().is_ok_and(Compiled::composes);
        let ends = Named::beside(&path)?.resolve(|text| id_of(&read.pieces, text), &read.added);
        let (engine, uncovered) = match read.compiled {
            Ok(compiled) => (Some(Arc::new(Engine::new(compiled))), None),
            Err(reason) => (None, Some(reason)),
        };
        let tokenizer = Self::assemble(
            Semantics::Json,
            bytes,
            Inner {
                path,
                semantics: Semantics::Json,
                fingerprint: Checksum::of(b""),
                pieces: read.pieces,
                added: read.added,
                finder: None,
                unk,
                engine,
                composes,
                uncovered,
                oracle: OnceLock::new(),
                plain_oracle: OnceLock::new(),
                ends,
            },
        );
        if tokenizer.inner.engine.is_none() {
            // The oracle serves it, so it has to load: tell now, not at the first document.
            tokenizer.inner.json_oracle().map_err(|reason| TokenizerError::Unsupported {
                path: tokenizer.inner.path.clone(),
                reason,
            })?;
        }
        Ok(tokenizer)
    }

    fn from_model(path: PathBuf, bytes: &[u8]) -> Result<Self, TokenizerError> {
        let model = SentencePieceModel::parse(bytes).map_err(|wrong| {
            TokenizerError::UnknownKind { path: path.clone(), reason: wrong.to_string() }
        })?;
        let compiled = sentencepiece::compile(&model)
            .map_err(|reason| TokenizerError::Unsupported { path: path.clone(), reason })?;
        let added = sentencepiece::added(&model);
        let unknown = model.pieces.iter().position(|piece| piece.kind == PieceKind::Unknown);
        let named = Named::beside(&path)?.and_model(&model);
        let pieces: Vec<String> = model.pieces.into_iter().map(|piece| piece.text).collect();
        let ends = named.resolve(|text| id_of(&pieces, text), &added);
        let inner = Inner {
            path,
            semantics: Semantics::SentencePiece,
            fingerprint: Checksum::of(b""),
            pieces,
            added,
            finder: None,
            unk: unknown.and_then(|id| TokenId::try_from(id).ok()),
            engine: Some(Arc::new(Engine::new(compiled))),
            composes: false,
            uncovered: None,
            oracle: OnceLock::new(),
            plain_oracle: OnceLock::new(),
            ends,
        };
        Ok(Self::assemble(Semantics::SentencePiece, bytes, inner))
    }

    /// Adds what both kinds have: the fingerprint and the finder of added tokens.
    fn assemble(semantics: Semantics, bytes: &[u8], mut inner: Inner) -> Self {
        let file = Checksum::of(bytes);
        inner.fingerprint = Checksum::of(format!("{} {file}", semantics.name()).as_bytes());
        if !inner.added.is_empty() {
            // Patterns this few and short always build; without a finder nothing is found.
            inner.finder = AhoCorasick::builder()
                .match_kind(MatchKind::LeftmostLongest)
                .build(inner.added.iter().map(|token| &token.content))
                .ok();
        }
        Self { inner: Arc::new(inner) }
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
        self.inner.added.iter().any(|token| token.id == id && token.special)
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
        if self.inner.semantics == Semantics::Json
            && let Ok(oracle) = self.inner.json_oracle()
            && let Ok(text) = oracle.decode(ids, false)
        {
            return text;
        }
        let mut bytes = Vec::new();
        for &id in ids {
            match self.piece(id) {
                Some(piece) => match json::byte_value(piece) {
                    Some(byte) => bytes.push(byte),
                    None => bytes.extend_from_slice(piece.replace('▁', " ").as_bytes()),
                },
                None => bytes.extend_from_slice("\u{fffd}".as_bytes()),
            }
        }
        let text = String::from_utf8_lossy(&bytes);
        text.strip_prefix(' ').unwrap_or(&text).to_owned()
    }
}

fn id_of(pieces: &[String], piece: &str) -> Option<TokenId> {
    pieces.iter().position(|other| other == piece).and_then(|id| TokenId::try_from(id).ok())
}

impl Inner {
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
        let mut done = 0;
        if let (Some(finder), true) = (&self.finder, specials != SpecialInText::Plain) {
            for found in finder.find_iter(text) {
                let token = &self.added[found.pattern().as_usize()];
                if specials == SpecialInText::Error && token.special {
                    return Err(EncodeError::Special {
                        at: found.start(),
                        token: token.content.clone(),
                    });
                }
                if found.start() > done {
                    each(Piece::Text { text: &text[done..found.start()], at_start: done == 0 });
                }
                each(Piece::Token(token.id));
                done = found.end();
            }
        }
        if done < text.len() {
            each(Piece::Text { text: &text[done..], at_start: done == 0 });
        }
        Ok(())
    }

    fn oracle_encode(
        &self,
        text: &str,
        specials: SpecialInText,
    ) -> Result<Vec<TokenId>, EncodeError> {
        if specials == SpecialInText::Error {
            self.for_each_piece(text, specials, |_| {})?;
        }
        if let (Semantics::SentencePiece, Some(engine)) = (self.semantics, &self.engine) {
            let mut ids = Vec::new();
            self.for_each_piece(text, specials, |piece| match piece {
                Piece::Text { text, at_start } => ids.extend(engine.encode_uncut(text, at_start)),
                Piece::Token(id) => ids.push(id),
            })?;
            return Ok(ids);
        }
        let oracle = match specials {
            SpecialInText::Plain => self.plain_oracle(),
            SpecialInText::Parse | SpecialInText::Error => self.json_oracle(),
        };
        let encoding = oracle
            .map_err(EncodeError::Oracle)?
            .encode_fast(text, false)
            .map_err(|wrong| EncodeError::Oracle(wrong.to_string()))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// Returns the oracle's ids with the bytes that each stands for, where the file is JSON.
    fn oracle_encode_aligned(&self, text: &str) -> Result<Option<Aligned>, EncodeError> {
        if self.semantics != Semantics::Json {
            return Ok(None);
        }
        let oracle = self.json_oracle().map_err(EncodeError::Oracle)?;
        let encoding =
            oracle.encode(text, false).map_err(|wrong| EncodeError::Oracle(wrong.to_string()))?;
        let places = encoding.get_offsets().iter().map(|&(start, end)| start..end);
        Ok(Some((encoding.get_ids().to_vec(), places.collect())))
    }

    /// Returns the oracle that reads special tokens as plain text.
    fn plain_oracle(&self) -> Result<&tokenizers::Tokenizer, String> {
        let loaded = self.plain_oracle.get_or_init(|| {
            let mut oracle = Box::new(self.json_oracle()?.clone());
            oracle.set_encode_special_tokens(true);
            Ok(oracle)
        });
        loaded.as_deref().map_err(Clone::clone)
    }

    fn json_oracle(&self) -> Result<&tokenizers::Tokenizer, String> {
        let loaded = self.oracle.get_or_init(|| {
            let mut oracle =
                tokenizers::Tokenizer::from_file(&self.path).map_err(|wrong| wrong.to_string())?;
            // A file may ask for truncation or padding; documents are encoded whole.
            oracle.with_truncation(None).map_err(|wrong| wrong.to_string())?;
            oracle.with_padding(None);
            // Without special tokens a post-processor does nothing but trim places in the text.
            oracle.with_post_processor(None::<tokenizers::PostProcessorWrapper>);
            Ok(Box::new(oracle))
        });
        loaded.as_deref().map_err(Clone::clone)
    }
}
