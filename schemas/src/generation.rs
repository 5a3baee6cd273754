//! What `ratdata` asks of the process that runs a model, and what that reports: JSON lines on its
//! stdin and stdout.
//!
//! The one program has text and no model, the other has a model and no text. So ids go both ways.

use serde::{Deserialize, Serialize};

use crate::token::TokenId;

/// A line to the process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case", deny_unknown_fields)]
pub enum GenerationAsk {
    /// Continue a prompt.
    Generate(GenerationRequest),
    /// Report nothing more of a request.
    Cancel {
        /// The request.
        id: u64,
    },
}

/// A prompt, and how it is continued.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenerationRequest {
    /// The name of the request in events; no other request has it.
    pub id: u64,
    /// The prompt.
    pub prompt: Vec<TokenId>,
    /// How many tokens are generated, at most.
    pub max_new: usize,
    /// The ids that end the text; they are not reported.
    pub ends: Vec<TokenId>,
    /// How a token is chosen.
    pub sampling: Sampling,
    /// Which log-probabilities are reported; without this none are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<WantedLogprobs>,
}

/// The log-probabilities that a request asks for. They are natural logarithms of the model's own
/// probabilities: before the temperature, the penalty and the choice of likely tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantedLogprobs {
    /// How many of the most likely tokens are reported at each position.
    pub top: usize,
    /// Whether the tokens of the prompt are reported, too.
    pub prompt: bool,
}

/// The log-probability of a token after the tokens before it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenLogprob {
    /// The token.
    pub token: TokenId,
    /// Its log-probability.
    pub logprob: f64,
    /// The most likely tokens of the position with theirs, most likely first, of equal ones the lowest
    /// id first. Where the token is one of them, it has the same number here.
    pub top: Vec<(TokenId, f64)>,
}

/// How a token is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sampling {
    /// What logits are divided by; at 0 the most likely token is taken, and of several the lowest id.
    pub temperature: f64,
    /// How many of the most likely tokens are considered; at 0 all are.
    pub top_k: usize,
    /// The probability of the tokens that are considered: the fewest that have as much.
    pub top_p: f64,
    /// What the logits of generated tokens are divided by, or multiplied with where they are negative.
    pub repetition_penalty: f64,
    /// The seed of the draws.
    pub seed: u64,
    /// Which of the seed's independent streams is drawn from.
    pub stream: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { temperature: 0.0, top_k: 0, top_p: 1.0, repetition_penalty: 1.0, seed: 0, stream: 0 }
    }
}

/// A line of the process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case", deny_unknown_fields)]
pub enum GenerationEvent {
    /// The model is loaded.
    Ready {
        /// How many tokens a prompt and its continuation have together, at most.
        longest: usize,
        /// The ids are below this number.
        vocab_size: usize,
    },
    /// New tokens, each with the request that it belongs to.
    Tokens {
        /// Requests and their tokens.
        tokens: Vec<(u64, TokenId)>,
    },
    /// What the model says of the tokens of a prompt, before the first new token.
    PromptLogprobs {
        /// The request.
        id: u64,
        /// All tokens of the prompt but the first, which nothing is before.
        logprobs: Vec<TokenLogprob>,
    },
    /// New tokens of requests that ask for log-probabilities, in place of [`GenerationEvent::Tokens`]. A
    /// token that ends a text is reported, too.
    TokenLogprobs {
        /// Requests and their tokens.
        logprobs: Vec<(u64, TokenLogprob)>,
    },
    /// A request is done.
    Ended {
        /// The request.
        id: u64,
        /// Why.
        why: EndReason,
    },
    /// A request cannot be done.
    Refused {
        /// The request.
        id: u64,
        /// What was found and what was expected.
        reason: String,
        /// What the user can do about it.
        hint: Option<String>,
    },
}

/// Why a text ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// One of the ids that end it was generated.
    Eos,
    /// It has as many tokens as were asked for.
    Length,
    /// It was cancelled.
    Cancelled,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_reads_back_as_itself() {
        let sampling = Sampling { temperature: 0.7, ..Sampling::default() };
        let request = GenerationRequest {
            id: 3,
            prompt: vec![1, 2],
            max_new: 4,
            ends: vec![2],
            sampling,
            logprobs: Some(WantedLogprobs { top: 1, prompt: true }),
        };
        let event = GenerationEvent::Tokens { tokens: vec![(3, 7)] };

        let ask = serde_json::to_string(&GenerationAsk::Generate(request.clone())).unwrap();
        let told = serde_json::to_string(&event).unwrap();

        assert_eq!(
            serde_json::from_str::<GenerationAsk>(&ask).unwrap(),
            GenerationAsk::Generate(request)
        );
        assert_eq!(told, "{\"event\":\"tokens\",\"tokens\":[[3,7]]}");
        assert_eq!(serde_json::from_str::<GenerationEvent>(&told).unwrap(), event);
    }
}
