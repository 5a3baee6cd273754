//! The HTTP server of a trained model, as other programs expect it: OpenAI's completions and chat
//! completions, whole or streamed, and what lm-evaluation-harness asks for.
//!
//! This crate has the text and the wire. The model runs in another process, which knows ids alone:
//! [`ModelLink`] is the way to it.
//!
//! ```text
//! server.rs       connections, one task each, and how the server ends
//!   -> timed_stream.rs   a connection that does not wait for a client for ever
//!   -> routes.rs         paths, the key, errors as answers
//!        -> body.rs        bodies of requests and answers
//!        -> request/       JSON -> what is wanted, with limits
//!        -> answer/        tokens -> text, log-probabilities, JSON or a stream
//! engine.rs       rows of all requests to the model's process, and its events back to them
//! model.rs        what is served: the tokenizer, the chat template, the lengths
//! settings.rs     limits and the key      metrics.rs   counters      api_error.rs  errors on the wire
//! ```

mod answer;
mod api_error;
mod body;
mod engine;
mod metrics;
mod model;
mod request;
mod routes;
mod server;
mod settings;
mod timed_stream;

pub use engine::ModelLink;
pub use model::ServedModel;
pub use server::{ServeError, Server};
pub use settings::{ApiKey, Limits, Settings};
