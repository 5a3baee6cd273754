//! From a file to a tokenizer.

use std::path::Path;
use std::sync::Arc;

use ratdata_schemas::{TokenId, narrow};

use super::added::token::AddedToken;
use super::added::tokens::AddedTokens;
use super::bos_eos::{BosEos, Named};
use super::error::TokenizerError;
use super::file::{Semantics, TokenizerFile};
use super::hugging_face::{JsonOracle, Oracles};
use super::json::{self, JsonError, ReadyTo};
use super::loaded::{Loaded, Served};
use super::ranks::{self, RankedVocabulary};
use super::sentencepiece;
use super::sentencepiece::model::{PieceKind, SentencePieceModel};
use super::sentencepiece::unigram::Unigram;
use super::vocabulary::{Vocabulary, id_of};
use crate::bounds::boundary::caught;
use crate::engine::compiled::Compiled;
use crate::engine::{Engine, Level};
use crate::stages::Stages;

/// What a file of any kind says.
struct Read {
    pieces: Vec<String>,
    added: Vec<AddedToken>,
    model_unk: Option<TokenId>,
    bos_eos: BosEos,
    /// What encodes with the tokenizer, or why it is left to the oracle.
    compiled: Result<Ready, String>,
    notes: Vec<String>,
}

/// What encodes with a tokenizer.
enum Ready {
    Engine(Box<Compiled>),
    Stages(Box<Stages>),
    Unigram(Box<Unigram>),
}

/// Loads the tokenizer that a path names.
///
/// # Errors
///
/// The file cannot be read, is no tokenizer, is one that cannot be run, or gives other ids each time.
pub(super) fn load(path: &Path) -> Result<Loaded, TokenizerError> {
    let (file, bytes) = TokenizerFile::read(path)?;
    let invalid = |reason| TokenizerError::Invalid { path: file.path.clone(), reason };
    let read = caught(|| match file.semantics {
        Semantics::Json => read_json(&file.path, &bytes),
        Semantics::SentencePiece => read_model(&file.path, &bytes),
        Semantics::Tiktoken(encoding) => {
            let read = ranks::tiktoken::read(&bytes, encoding).map_err(invalid)?;
            read_ranks(&file.path, &read, None, "<|endoftext|>")
        }
        Semantics::Tekken => {
            let read = ranks::tekken::read(&bytes).map_err(invalid)?;
            read_ranks(&file.path, &read, Some("<s>"), "</s>")
        }
    });
    let Read { pieces, added, model_unk, bos_eos, compiled, notes } =
        read.map_err(|broken| invalid(format!("it cannot be read: {broken}")))??;
    let level = Level::of_machine().map_err(|found| TokenizerError::Level { found })?;
    let (served, oracles) = match compiled {
        Ok(Ready::Engine(compiled)) => {
            let is_nfc = compiled.is_nfc();
            let engine = Arc::new(Engine::new(*compiled, level));
            (Served::Engine { engine, is_nfc }, Oracles::default())
        }
        Ok(Ready::Stages(stages)) => (Served::Stages(Arc::new(*stages)), Oracles::default()),
        Ok(Ready::Unigram(unigram)) => (Served::Unigram(Arc::new(*unigram)), Oracles::default()),
        Err(reason) => {
            // The oracle encodes instead, so it has to load. It fails now, not at the first document.
            let refused = |reason| TokenizerError::Refused { path: file.path.clone(), reason };
            let oracle = JsonOracle::parse(&bytes).map_err(refused)?;
            (Served::Oracle(reason), Oracles::of(oracle))
        }
    };
    let alone = match &served {
        Served::Engine { engine, .. } => engine.runs().alone(),
        Served::Stages(_) | Served::Unigram(_) | Served::Oracle(_) => 0,
    };
    let added = AddedTokens::new(added, alone).map_err(|wrong| invalid(wrong.to_string()))?;
    let vocabulary = Vocabulary { pieces, added, bos_eos, model_unk };
    Ok(Loaded::new(file, vocabulary, served, oracles, notes))
}

fn read_json(path: &Path, bytes: &[u8]) -> Result<Read, TokenizerError> {
    let read = json::read(bytes).map_err(|wrong| match wrong {
        JsonError::Dropout(share) => TokenizerError::Dropout { path: path.to_owned(), share },
        wrong => TokenizerError::Invalid { path: path.to_owned(), reason: wrong.to_string() },
    })?;
    let named = Named::next_to(path)?;
    Ok(Read {
        model_unk: read.unk.as_ref().and_then(|unk| id_of(&read.pieces, unk)),
        bos_eos: named.resolve(|text| id_of(&read.pieces, text), &read.added),
        pieces: read.pieces,
        added: read.added,
        compiled: read.compiled.map(|ready| match ready {
            ReadyTo::Merge(compiled) => Ready::Engine(compiled),
            ReadyTo::Stage(stages) => Ready::Stages(stages),
        }),
        notes: read.notes,
    })
}

fn read_model(path: &Path, bytes: &[u8]) -> Result<Read, TokenizerError> {
    let model = SentencePieceModel::parse(bytes).map_err(|wrong| {
        let reason = format!("it is no SentencePiece model: {wrong}");
        TokenizerError::Invalid { path: path.to_owned(), reason }
    })?;
    let ready = if model.model_type == sentencepiece::UNIGRAM {
        Unigram::new(&model).map(|unigram| Ready::Unigram(Box::new(unigram)))
    } else {
        sentencepiece::compile(&model).map(|compiled| Ready::Engine(Box::new(compiled)))
    };
    let ready =
        ready.map_err(|reason| TokenizerError::Unsupported { path: path.to_owned(), reason })?;
    let added = sentencepiece::added(&model);
    let unknown = model.pieces.iter().position(|piece| piece.kind == PieceKind::Unknown);
    let named = Named::next_to(path)?.and_model(&model);
    let pieces: Vec<String> = model.pieces.into_iter().map(|piece| piece.text).collect();
    Ok(Read {
        bos_eos: named.resolve(|text| id_of(&pieces, text), &added),
        model_unk: unknown.map(narrow),
        pieces,
        added,
        compiled: Ok(ready),
        notes: Vec::new(),
    })
}

fn read_ranks(
    path: &Path,
    vocabulary: &RankedVocabulary,
    bos: Option<&str>,
    eos: &str,
) -> Result<Read, TokenizerError> {
    let compiled = vocabulary
        .compile()
        .map_err(|reason| TokenizerError::Invalid { path: path.to_owned(), reason })?;
    let (added, pieces) = (vocabulary.added(), vocabulary.texts());
    Ok(Read {
        bos_eos: Named::next_to(path)?.and(bos, eos).resolve(|text| id_of(&pieces, text), &added),
        model_unk: None,
        pieces,
        added,
        compiled: Ok(Ready::Engine(Box::new(compiled))),
        notes: Vec::new(),
    })
}
