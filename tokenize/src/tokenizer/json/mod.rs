//! Reads `tokenizer.json`: the vocabulary, and what the engine needs or why it does not cover the file.
//!
//! Hugging Face `tokenizers` reads the same file as the oracle, and serves every tokenizer that is not
//! covered here. So this reader is strict: it leaves to the oracle whatever it does not know.

mod added_ids;
pub(crate) mod byte_level;
mod compile;
pub(crate) mod file;
mod general;
mod sections;
mod style;

use std::fmt;

use ratdata_schemas::TokenId;

use super::added::token::AddedToken;
use crate::bounds::shown;
use crate::engine::compiled::Compiled;
use crate::stages::Stages;
use added_ids::{Added, Moved};
use file::{File, Vocabulary};

/// A tokenizer file, as far as it was understood.
pub(crate) struct JsonTokenizer {
    /// The vocabulary, by id; holes are empty.
    pub(crate) pieces: Vec<String>,
    /// The added tokens: special ones and others.
    pub(crate) added: Vec<AddedToken>,
    /// The name of the unknown token, where the model has one.
    pub(crate) unk: Option<String>,
    /// What encodes with the file, or why it is left to the oracle.
    pub(crate) compiled: Result<ReadyTo, String>,
    /// What the file says and is not done, in sentences that begin with the file's name.
    pub(crate) notes: Vec<String>,
}

/// What encodes with a tokenizer file.
pub(crate) enum ReadyTo {
    /// The engine.
    Merge(Box<Compiled>),
    /// The stages, since the engine does not cover it.
    Stage(Box<Stages>),
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
            compile::merges(model, vocab).map_err(JsonError::Part)?
        }
        _ => Vec::new(),
    };
    let added = added_ids::number(&file.added_tokens, model.vocab.as_ref());
    let compile = || match compile::compile(&file, &sections, &added.tokens, &merges) {
        Ok(compiled) => Ok(ReadyTo::Merge(Box::new(compiled))),
        Err(_) => general::stages(&file, &sections, &added.tokens, &merges, bytes.len())
            .map(|stages| ReadyTo::Stage(Box::new(stages))),
    };
    let (compiled, pieces) = rayon::join(compile, || pieces(&file, &added.tokens));
    Ok(JsonTokenizer {
        pieces,
        unk: model.unk_token.clone(),
        notes: notes(&file, &added),
        compiled,
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
            for ((piece, _), id) in list.iter().zip(0..) {
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

/// Returns what the file says and is not done.
fn notes(file: &File<'_>, added: &Added) -> Vec<String> {
    let mut notes = Vec::new();
    for (name, json) in [("truncation", file.truncation), ("padding", file.padding)] {
        if json.is_some_and(|json| json.get() != "null") {
            notes.push(format!("its `{name}` is ignored: each document is encoded whole"));
        }
    }
    if let Some(Moved { count, first: token, said }) = &added.moved {
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
