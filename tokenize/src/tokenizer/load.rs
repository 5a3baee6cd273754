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
use super::sentencepiece;
use super::sentencepiece::model::{PieceKind, SentencePieceModel};
use super::vocabulary::{Vocabulary, id_of};
use crate::bounds::boundary::caught;
use crate::engine::{Engine, Level};

/// What a file of either kind says.
struct Read {
    pieces: Vec<String>,
    added: Vec<AddedToken>,
    model_unk: Option<TokenId>,
    bos_eos: BosEos,
    /// What encodes with the tokenizer, or why it is left to the oracle.
    compiled: Result<ReadyTo, String>,
    notes: Vec<String>,
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
    });
    let Read { pieces, added, model_unk, bos_eos, compiled, notes } =
        read.map_err(|broken| invalid(format!("it cannot be read: {broken}")))??;
    let (served, oracles) = match compiled {
        Ok(ReadyTo::Merge(compiled)) => {
            let is_nfc = compiled.is_nfc();
            let level = Level::of_machine().map_err(|found| TokenizerError::Level { found })?;
            let engine = Arc::new(Engine::new(*compiled, level));
            (Served::Engine { engine, is_nfc }, Oracles::default())
        }
        Ok(ReadyTo::Stage(stages)) => (Served::Stages(Arc::new(*stages)), Oracles::default()),
        Err(reason) => {
            // The oracle encodes instead, so it has to load. It fails now, not at the first document.
            let refused = |reason| TokenizerError::Refused { path: file.path.clone(), reason };
            let oracle = JsonOracle::parse(&bytes).map_err(refused)?;
            (Served::Oracle(reason), Oracles::of(oracle))
        }
    };
    let added = AddedTokens::new(added).map_err(|wrong| invalid(wrong.to_string()))?;
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
        compiled: read.compiled,
        notes: read.notes,
    })
}

fn read_model(path: &Path, bytes: &[u8]) -> Result<Read, TokenizerError> {
    let model = SentencePieceModel::parse(bytes).map_err(|wrong| {
        let reason = format!("it is no SentencePiece model: {wrong}");
        TokenizerError::Invalid { path: path.to_owned(), reason }
    })?;
    let compiled = sentencepiece::compile(&model)
        .map_err(|reason| TokenizerError::Unsupported { path: path.to_owned(), reason })?;
    let added = sentencepiece::added(&model);
    let unknown = model.pieces.iter().position(|piece| piece.kind == PieceKind::Unknown);
    let named = Named::next_to(path)?.and_model(&model);
    let pieces: Vec<String> = model.pieces.into_iter().map(|piece| piece.text).collect();
    Ok(Read {
        bos_eos: named.resolve(|text| id_of(&pieces, text), &added),
        model_unk: unknown.map(narrow),
        pieces,
        added,
        compiled: Ok(ReadyTo::Merge(Box::new(compiled))),
        notes: Vec::new(),
    })
}
