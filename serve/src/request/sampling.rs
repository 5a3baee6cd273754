//! The fields that completions and chat completions share.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use ratdata_schemas::{Sampling, TokenId};
use serde_json::Value;

use super::Delivery;
use super::fields::{Fields, wrong};
use crate::api_error::ApiError;
use crate::model::ServedModel;

/// How many texts may end an answer.
const MOST_STOPS: usize = 64;

/// The most answers to one prompt.
const MOST_COPIES: usize = 128;

/// How answers are generated.
pub(super) struct Wanted {
    pub(super) copies: usize,
    sampling: Sampling,
    pub(super) stops: Arc<[String]>,
    pub(super) ends: Vec<TokenId>,
    pub(super) delivery: Delivery,
}

impl Wanted {
    /// Reads the fields.
    pub(super) fn read(fields: &Fields, model: &ServedModel) -> Result<Self, ApiError> {
        let at_rest = |value: &Value| value.as_f64() == Some(0.0);
        fields.only("presence_penalty", at_rest)?;
        fields.only("frequency_penalty", at_rest)?;
        fields.only("min_p", at_rest)?;
        fields
            .only("logit_bias", |value| value.as_object().is_some_and(serde_json::Map::is_empty))?;
        let stops = fields.texts("stop")?;
        if stops.len() > MOST_STOPS {
            let message = format!("`stop`: found {} texts, expected {MOST_STOPS}", stops.len());
            return Err(ApiError::of_field("stop", message));
        }
        if stops.iter().any(String::is_empty) {
            return Err(ApiError::of_field("stop", "`stop`: an empty text stops nothing"));
        }
        Ok(Self {
            copies: fields.whole("n", 1..=MOST_COPIES)?.unwrap_or(1),
            sampling: sampling(fields)?,
            stops: stops.into(),
            ends: ends(fields, model)?,
            delivery: delivery(fields)?,
        })
    }

    /// Returns how the tokens of a copy are chosen: it does not depend on the other rows.
    pub(super) fn sampling(&self, copy: usize) -> Sampling {
        Sampling { stream: copy as u64, ..self.sampling }
    }
}

fn sampling(fields: &Fields) -> Result<Sampling, ApiError> {
    let positive = |value: f64| value > 0.0;
    let temperature =
        fields.number("temperature", |value| value >= 0.0, "0 or a positive number")?;
    let top_p = fields.number(
        "top_p",
        |value| value > 0.0 && value <= 1.0,
        "a number above 0 and up to 1",
    )?;
    let seed = match fields.get("seed") {
        // A new one each time; it is not needed for the most likely tokens.
        None => RandomState::new().build_hasher().finish(),
        Some(value) => {
            // Some clients send negative ones.
            let seed = value.as_u64().or_else(|| value.as_i64().map(i64::cast_unsigned));
            seed.ok_or_else(|| wrong("seed", value, "a whole number"))?
        }
    };
    // vLLM writes -1 for all.
    let top_k = match fields.get("top_k") {
        Some(value) if value.as_i64() == Some(-1) => 0,
        _ => fields.whole("top_k", 0..=usize::MAX)?.unwrap_or(0),
    };
    let penalty = fields.number("repetition_penalty", positive, "a positive number")?;
    Ok(Sampling {
        temperature: temperature.unwrap_or(1.0),
        top_k,
        top_p: top_p.unwrap_or(1.0),
        repetition_penalty: penalty.unwrap_or(1.0),
        seed,
        stream: 0,
    })
}

fn ends(fields: &Fields, model: &ServedModel) -> Result<Vec<TokenId>, ApiError> {
    let mut ends = if fields.flag("ignore_eos")? { Vec::new() } else { model.ends() };
    if let Some(value) = fields.get("stop_token_ids") {
        let refused = || wrong("stop_token_ids", value, "a list of ids");
        for id in value.as_array().ok_or_else(refused)? {
            let id = id.as_u64().and_then(|id| TokenId::try_from(id).ok());
            ends.push(id.ok_or_else(refused)?);
        }
    }
    Ok(ends)
}

fn delivery(fields: &Fields) -> Result<Delivery, ApiError> {
    if !fields.flag("stream")? {
        return Ok(Delivery::Whole);
    }
    let usage = match fields.get("stream_options") {
        None => false,
        Some(options) => options["include_usage"].as_bool().unwrap_or(false),
    };
    Ok(Delivery::Stream { usage })
}
