//! A loaded tokenizer, whole: its vocabulary, and what encodes and decodes with it.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use ratdata_schemas::recipe::SpecialInText;
use ratdata_schemas::{TokenId, Tokens};

use super::added::tokens::Stretch;
use super::decoder::Decoder;
use super::error::EncodeError;
use super::file::{Semantics, TokenizerFile};
use super::hugging_face::{JsonOracle, Oracles};
use super::nfc::nfc;
use super::ranks;
use super::ranks::oracle::RankOracle;
use super::sentencepiece::unigram::{self, Unigram};
use super::slow_paths::Counters;
use super::vocabulary::Vocabulary;
use crate::bounds::Bound;
use crate::bounds::boundary::Broken;
use crate::engine::{self, Engine};
use crate::stages::{self, Stages};

/// A loaded tokenizer.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) file: TokenizerFile,
    pub(super) vocabulary: Vocabulary,
    pub(super) served: Served,
    pub(super) notes: Vec<String>,
    pub(super) counters: Counters,
    oracles: Oracles,
    /// The oracle of a vocabulary with ranks, made on first use.
    ranks: OnceLock<Result<RankOracle, String>>,
    /// Made on first decode.
    decoder: OnceLock<Option<Decoder>>,
    /// Workers that no encoder has at the moment.
    spare: Mutex<Vec<Worker>>,
}

/// One thread's part of what encodes.
#[derive(Clone, Debug)]
pub(super) enum Worker {
    Engine(Box<engine::Worker>),
    Stages(Box<stages::Worker>),
    Unigram(Box<unigram::Worker>),
}

/// What encodes with a tokenizer.
#[derive(Debug)]
pub(super) enum Served {
    /// The engine.
    Engine {
        engine: Arc<Engine>,
        /// Whether text is normalized to NFC before the engine encodes it.
        is_nfc: bool,
    },
    /// The stages, since the engine does not cover the tokenizer.
    Stages(Arc<Stages>),
    /// A Unigram model of SentencePiece.
    Unigram(Arc<Unigram>),
    /// The oracle, for this reason.
    Oracle(String),
}

/// The slow twin of a tokenizer that is none of `tokenizers`.
enum OwnTwin<'a> {
    Bpe(&'a Engine),
    Unigram(&'a Unigram),
    Ranks(&'a RankOracle),
}

impl OwnTwin<'_> {
    /// Appends the ids of a text between special tokens.
    fn encode(&self, text: &str, at_start: bool, ids: &mut Vec<TokenId>) -> Result<(), Bound> {
        match self {
            Self::Bpe(engine) => ids.extend(engine.encode_uncut(text, at_start)),
            Self::Unigram(unigram) => ids.extend(unigram.encode_plainly(text)?),
            Self::Ranks(oracle) => oracle.encode(text, ids)?,
        }
        Ok(())
    }
}

impl Loaded {
    /// Puts the parts together.
    pub(super) fn new(
        file: TokenizerFile,
        vocabulary: Vocabulary,
        served: Served,
        oracles: Oracles,
        notes: Vec<String>,
    ) -> Self {
        let (ranks, decoder, spare) = (OnceLock::new(), OnceLock::new(), Mutex::default());
        let counters = Counters::default();
        Self { file, vocabulary, served, notes, counters, oracles, ranks, decoder, spare }
    }

    /// Returns the engine, where it covers the tokenizer.
    pub(super) fn engine(&self) -> Option<&Arc<Engine>> {
        match &self.served {
            Served::Engine { engine, .. } => Some(engine),
            Served::Stages(_) | Served::Unigram(_) | Served::Oracle(_) => None,
        }
    }

    /// Returns the text of ids.
    pub(super) fn decode(&self, tokens: Tokens<'_>) -> String {
        if let Some(decoder) = self.decoder() {
            return decoder.decode(tokens);
        }
        // A decoder that the table does not cover; the oracle was loaded to find out.
        let oracle = self.json_oracle();
        let text = oracle.ok().and_then(|oracle| oracle.decode(&tokens.to_vec()));
        text.unwrap_or_else(|| Decoder::sentencepiece(&self.vocabulary.pieces).decode(tokens))
    }

    /// Returns a stretch of text as the engine encodes it.
    pub(super) fn normalized<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match &self.served {
            Served::Engine { is_nfc: true, .. } => nfc(text),
            _ => Cow::Borrowed(text),
        }
    }

    /// Returns a worker of the engine or the stages, one that was used before where there is one; none where the
    /// oracle encodes.
    pub(super) fn worker(&self, specials: SpecialInText) -> Option<Worker> {
        let spare = || self.spare.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match &self.served {
            Served::Engine { engine, .. } => {
                // Only the oracle reads added tokens that are not special as plain text.
                let covered =
                    specials != SpecialInText::Plain || self.vocabulary.added.are_special();
                let new = || Worker::Engine(Box::new(engine::Worker::new(engine.clone())));
                covered.then(|| spare().unwrap_or_else(new))
            }
            Served::Stages(stages) => {
                let new = || Worker::Stages(Box::new(stages::Worker::new(stages.clone())));
                Some(spare().unwrap_or_else(new))
            }
            Served::Unigram(unigram) => {
                let new = || Worker::Unigram(Box::new(unigram::Worker::new(unigram.clone())));
                Some(spare().unwrap_or_else(new))
            }
            Served::Oracle(_) => None,
        }
    }

    /// Keeps a worker for the next encoder.
    pub(super) fn keep(&self, worker: Worker) {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner).push(worker);
    }

    /// Returns the table that decodes ids; none where only the oracle decodes them.
    pub(super) fn decoder(&self) -> Option<&Decoder> {
        let make = || {
            let as_pieces = || Some(Decoder::sentencepiece(&self.vocabulary.pieces));
            match self.file.semantics {
                Semantics::SentencePiece => as_pieces(),
                Semantics::Tiktoken(_) | Semantics::Tekken => {
                    Some(Decoder::byte_level(self.vocabulary.pieces.iter().cloned().map(Some)))
                }
                Semantics::Json => match self.json_oracle() {
                    Ok(oracle) => oracle.decoder(self.vocabulary.size()),
                    // A tokenizer that the oracle cannot load is written as its pieces are.
                    Err(_) => as_pieces(),
                },
            }
        };
        self.decoder.get_or_init(make).as_ref()
    }

    /// Returns the oracle of a JSON file.
    ///
    /// # Errors
    ///
    /// It cannot be loaded.
    pub(super) fn json_oracle(&self) -> Result<&JsonOracle, String> {
        self.oracles.parsed(&self.file)
    }

    /// Returns the oracle's ids of a text.
    ///
    /// # Errors
    ///
    /// The text is refused, or the oracle cannot be loaded.
    pub(super) fn oracle_encode(
        &self,
        text: &str,
        specials: SpecialInText,
    ) -> Result<Vec<TokenId>, EncodeError> {
        let added = &self.vocabulary.added;
        if specials == SpecialInText::Error {
            added.split(text, specials, |_| {})?;
        }
        if let Some(twin) = self.own_twin()? {
            let mut ids = Vec::new();
            let mut encoded = Ok(());
            added.split(text, specials, |stretch| match stretch {
                Stretch::Text { text, at_start } if encoded.is_ok() => {
                    encoded = twin.encode(text, at_start, &mut ids);
                }
                Stretch::Text { .. } => {}
                Stretch::Token(id) => ids.push(id),
            })?;
            return encoded.map(|()| ids).map_err(|met| self.bound(met));
        }
        let oracle = match specials {
            SpecialInText::Plain => self.oracles.plain(&self.file),
            SpecialInText::Parse | SpecialInText::Error => self.json_oracle(),
        };
        oracle.map_err(|reason| self.refused(reason))?.encode(&self.file.path, text)
    }

    /// Returns the slow twin of a tokenizer that is none of `tokenizers`.
    fn own_twin(&self) -> Result<Option<OwnTwin<'_>>, EncodeError> {
        Ok(match (self.file.semantics, &self.served) {
            (Semantics::Tiktoken(_) | Semantics::Tekken, _) => {
                let oracle = self.ranks.get_or_init(|| {
                    let bytes = self.file.read_again()?;
                    let vocabulary = match self.file.semantics {
                        Semantics::Tiktoken(encoding) => ranks::tiktoken::read(&bytes, encoding),
                        _ => ranks::tekken::read(&bytes),
                    };
                    RankOracle::new(vocabulary?)
                });
                Some(OwnTwin::Ranks(oracle.as_ref().map_err(|wrong| self.refused(wrong.clone()))?))
            }
            (Semantics::SentencePiece, Served::Engine { engine, .. }) => Some(OwnTwin::Bpe(engine)),
            (_, Served::Unigram(unigram)) => Some(OwnTwin::Unigram(unigram)),
            _ => None,
        })
    }

    /// Returns the error of a bound that a text has met.
    pub(super) fn bound(&self, bound: Bound) -> EncodeError {
        EncodeError::Bound { path: self.file.path.clone(), bound }
    }

    /// Returns the error of an encoding that broke off.
    pub(super) fn broken(&self, broken: &Broken) -> EncodeError {
        EncodeError::Broken { path: self.file.path.clone(), reason: broken.to_string() }
    }

    /// Returns the error of an oracle that cannot be loaded.
    pub(super) fn refused(&self, reason: String) -> EncodeError {
        EncodeError::Oracle { path: self.file.path.clone(), reason }
    }
}
