//! Tokenizers: loading a vocabulary, and the way from text to ids and back.
//!
//! A `tokenizer.json` has the semantics of Hugging Face `tokenizers`: merges by rank. A
//! SentencePiece `.model` has those of SentencePiece, through the legacy slow `LlamaTokenizer` that
//! the reference ran: merges by score, and a `▁` of its own for each stretch of text after a
//! special token. The two differ on runs of spaces; both are exact here. A `.tiktoken` file and a
//! `tekken.json` have ranks in place of merges, and the semantics of `tiktoken`.

mod added;
mod align;
mod aligned_ids;
mod bos_eos;

mod decoder;
mod encoder;
mod encoding;
mod error;
mod file;
mod file_kind;
mod hugging_face;
mod json;

mod load;
mod loaded;
mod nfc;
mod oracle;
mod oracle_rate;
mod ranks;
mod sentencepiece;
mod slow_paths;
mod stopping_text;
mod token_stream;

mod vocabulary;

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use ratdata_schemas::{Checksum, TokenId, TokenizerRecord, Tokens};

pub use crate::bounds::Bound;
pub use crate::engine::id_width::IdWidth;
pub use aligned_ids::AlignedIds;
pub use bos_eos::CONFIG_FILES;
pub use encoder::Encoder;
pub use encoding::Encoding;
pub use error::{EncodeError, TokenizerError};
pub use file::Semantics;
pub use oracle::Oracle;
pub use ratdata_schemas::recipe::SpecialInText;
pub use slow_paths::{SlowPath, SlowPaths};
pub use stopping_text::StoppingText;
pub use token_stream::TokenStream;

use file::TokenizerFile;
use json::byte_level::byte_value;
use loaded::{Loaded, Served};

/// A loaded tokenizer; cheap to clone.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    loaded: Arc<Loaded>,
}

impl Tokenizer {
    /// Loads a `tokenizer.json`, a SentencePiece `.model`, a `.tiktoken` file that is named after its
    /// encoding, Mistral's `tekken.json`, or the `tokenizer.json` of a folder.
    ///
    /// # Errors
    ///
    /// The file cannot be read, is no tokenizer, is one that cannot be run, or gives other ids each
    /// time.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, TokenizerError> {
        Ok(Self { loaded: Arc::new(load::load(path.as_ref())?) })
    }

    /// Returns the ids of a text; neither BOS nor EOS is added, and special tokens in the text become
    /// their ids.
    ///
    /// It can be called on many threads at once. For many texts on one thread, an
    /// [`encoder`](Tokenizer::encoder) that appends to one buffer is faster.
    ///
    /// # Errors
    ///
    /// The text is longer than 2 GiB, or the tokenizer asks for more work than a text may cost.
    pub fn encode(&self, text: &str) -> Result<Vec<TokenId>, EncodeError> {
        let mut encoder = self.encoder(SpecialInText::Parse);
        let mut ids = Vec::new();
        encoder.encode_into(text, &mut ids)?;
        encoder.give_back();
        Ok(ids)
    }

    /// Returns the text of ids; special tokens appear as they are written.
    pub fn decode(&self, ids: &[TokenId]) -> String {
        self.decode_tokens(Tokens::U32(ids))
    }

    /// Returns the text of ids as a bin has them, as [`Tokenizer::decode`] does.
    pub fn decode_tokens(&self, tokens: Tokens<'_>) -> String {
        self.loaded.decode(tokens)
    }

    /// Returns what one token is written as within a text; a special token as the vocabulary writes it.
    ///
    /// Bytes that are no whole letter are written as `bytes:\xe4`, so that tokens with other bytes have
    /// other texts.
    pub fn token_text(&self, id: TokenId) -> String {
        let Some(decoder) = self.loaded.decoder() else { return self.decode(&[id]) };
        let bytes = decoder.token_bytes(id);
        String::from_utf8(bytes).unwrap_or_else(|wrong| {
            let hex = |byte: &u8| format!("\\x{byte:02x}");
            "bytes:".to_owned() + &wrong.as_bytes().iter().map(hex).collect::<String>()
        })
    }

    /// Begins to decode a text whose tokens come one by one.
    pub fn stream(&self) -> TokenStream {
        TokenStream::new(self.loaded.clone(), &[])
    }

    /// Begins to decode what continues the text of a prompt: a space at its beginning stays.
    pub fn stream_after(&self, prompt: &[TokenId]) -> TokenStream {
        TokenStream::new(self.loaded.clone(), prompt)
    }

    /// Makes an encoder for one thread.
    pub fn encoder(&self, specials: SpecialInText) -> Encoder {
        Encoder::new(self.loaded.clone(), specials)
    }

    /// Returns the slow twin that encoders are tested against.
    pub fn oracle(&self) -> Oracle {
        Oracle::new(self.loaded.clone())
    }

    /// Returns the ids of a text, and for each the bytes of the text that it stands for; `None` where
    /// nothing says which those are.
    ///
    /// # Errors
    ///
    /// As [`Encoder::encode_into`].
    pub fn encode_aligned(
        &self,
        text: &str,
        encoder: &mut Encoder,
    ) -> Result<Option<AlignedIds>, EncodeError> {
        align::encode_aligned(&self.loaded, text, encoder)
    }

    /// Returns, for every id of `text`, the bytes of the text that it stands for.
    ///
    /// A `▁` that was put before the text stands for no byte. `None` where the pieces of the ids do not
    /// spell the text: they are another text's, or one of them is the unknown id.
    pub fn align(&self, text: &str, ids: &[TokenId]) -> Option<Vec<Range<usize>>> {
        align::ranges_of(&self.loaded, text, ids)
    }

    /// Checks whether a text can be encoded, without doing so.
    ///
    /// # Errors
    ///
    /// As of [`Encoder::encode_into`], where the text itself is at fault.
    pub fn check(&self, text: &str, specials: SpecialInText) -> Result<(), EncodeError> {
        self.loaded.vocabulary.added.split(text, specials, |_| {})
    }

    /// Returns the first of these added tokens in a text, and the byte where it begins, as an encoder finds them.
    ///
    /// # Errors
    ///
    /// As of [`Encoder::encode_into`], where the text itself is at fault.
    pub fn first_of(
        &self,
        text: &str,
        specials: SpecialInText,
        wanted: &[TokenId],
    ) -> Result<Option<(usize, TokenId)>, EncodeError> {
        self.loaded.vocabulary.added.first_of(text, specials, wanted)
    }

    /// Returns whether a text may be encoded in two parts, cut between these characters, with the
    /// same ids; false where that is not known.
    ///
    /// It speaks of places within one stretch of text: the second part is then encoded without the
    /// `▁` that would be put before a text of its own.
    pub fn is_cut(&self, before: char, after: char) -> bool {
        self.loaded.engine().is_some_and(|engine| engine.is_cut(before, after))
            && !self.loaded.vocabulary.added.span(before, after)
    }

    /// Returns what [`Tokenizer::fingerprint`] would be of the tokenizer at a path, without loading it.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or is no tokenizer.
    pub fn fingerprint_of(path: &Path) -> Result<Checksum, TokenizerError> {
        Ok(TokenizerFile::read(path)?.0.fingerprint)
    }

    /// Returns the checksum of the tokenizer file and its semantics.
    pub fn fingerprint(&self) -> &Checksum {
        &self.loaded.file.fingerprint
    }

    /// Returns whose results the ids equal.
    pub fn semantics(&self) -> Semantics {
        self.loaded.file.semantics
    }

    /// Returns the file that was loaded.
    pub fn path(&self) -> &Path {
        &self.loaded.file.path
    }

    /// Returns the record of this tokenizer for a manifest; `name` is what the user called it.
    pub fn record(&self, name: &str) -> TokenizerRecord {
        TokenizerRecord {
            name: name.to_owned(),
            semantics: self.semantics().into(),
            fingerprint: self.fingerprint().clone(),
            vocab_size: self.vocab_size(),
            bos: self.bos(),
            eos: self.eos(),
            unk: self.unk(),
            pad: self.pad(),
        }
    }

    /// Returns the largest id plus one.
    pub fn vocab_size(&self) -> u32 {
        self.loaded.vocabulary.size()
    }

    /// Returns the id that begins a document: as the files next to the tokenizer say, or the model
    /// itself, or else by the names that vocabularies give it.
    pub fn bos(&self) -> Option<TokenId> {
        self.loaded.vocabulary.bos_eos.bos
    }

    /// Returns the id that ends a document, found as [`Tokenizer::bos`] is.
    pub fn eos(&self) -> Option<TokenId> {
        self.loaded.vocabulary.bos_eos.eos
    }

    /// Returns the EOS candidates, best guess first, where nothing names the EOS; empty otherwise.
    pub fn eos_guesses(&self) -> &[String] {
        &self.loaded.vocabulary.bos_eos.eos_guesses
    }

    /// Returns the id of text that cannot be spelt.
    pub fn unk(&self) -> Option<TokenId> {
        self.loaded.vocabulary.unk()
    }

    /// Returns the id that fills rows up.
    pub fn pad(&self) -> Option<TokenId> {
        self.loaded.vocabulary.pad()
    }

    /// Returns the texts of the special tokens, in the order of the vocabulary file.
    pub fn specials(&self) -> impl Iterator<Item = &str> {
        let special = self.loaded.vocabulary.added.iter().filter(|token| token.special);
        special.map(|token| token.content.as_str())
    }

    /// Returns the id of a piece or added token, by its text.
    pub fn id_of(&self, piece: &str) -> Option<TokenId> {
        self.loaded.vocabulary.id_of(piece)
    }

    /// Returns the id of an added token, by its text.
    pub fn added_id(&self, text: &str) -> Option<TokenId> {
        self.loaded
            .vocabulary
            .added
            .iter()
            .find(|token| token.content == text)
            .map(|token| token.id)
    }

    /// Returns the piece of an id as the vocabulary writes it, such as `▁the` or `<0x0A>`.
    pub fn piece(&self, id: TokenId) -> Option<&str> {
        self.loaded.vocabulary.piece(id)
    }

    /// Returns whether an id stands for one byte, as in `<0x0A>`.
    pub fn is_byte_piece(&self, id: TokenId) -> bool {
        self.piece(id).and_then(byte_value).is_some()
    }

    /// Returns whether an id is a special token.
    pub fn is_special(&self, id: TokenId) -> bool {
        self.loaded.vocabulary.added.is_special(id)
    }

    /// Returns why the engine leaves this tokenizer to Hugging Face `tokenizers`, if it does.
    pub fn uncovered(&self) -> Option<&str> {
        match &self.loaded.served {
            Served::Engine { .. } | Served::Stages(_) | Served::Unigram(_) => None,
            Served::Oracle(reason) => Some(reason),
        }
    }

    /// Returns why texts are left to Hugging Face `tokenizers`, if they are.
    pub fn left_to_oracle(&self, specials: SpecialInText) -> Option<&str> {
        oracle_rate::left_to_oracle(&self.loaded, specials)
    }

    /// Returns how many bytes a second the oracle encodes on one thread, measured on some 50 KB of text; none where
    /// it refuses that text.
    pub fn oracle_rate(&self, specials: SpecialInText) -> Option<f64> {
        oracle_rate::oracle_rate(&self.loaded, specials)
    }

    /// Returns how many units took slow paths since the tokenizer was loaded, and which.
    pub fn slow_paths(&self) -> SlowPaths {
        self.loaded.counters.slow_paths(self.loaded.engine().map(|engine| engine.long_units()))
    }

    /// Returns what the file says and is not done, such as truncation, in sentences that begin with the
    /// file's name.
    pub fn notes(&self) -> &[String] {
        &self.loaded.notes
    }

    /// Returns how much memory the tables take that all encoders share, in bytes.
    pub fn memory(&self) -> usize {
        match &self.loaded.served {
            Served::Engine { engine, .. } => engine.memory(),
            Served::Stages(stages) => stages.memory(),
            Served::Unigram(unigram) => unigram.memory(),
            Served::Oracle(_) => 0,
        }
    }
}
