//! Names become files: aliases, hub ids and `hf://` addresses are fetched, paths are taken as they are.

mod address;
mod aliases;
mod archive;
mod client;
mod download;
mod error;
mod inputs;
mod listing;
mod partial;
mod repo;
mod tokenizer;

pub use aliases::ALIASES;
pub use download::{FetchProgress, cache_folder};
pub use error::HubError;
pub use inputs::{DEFAULT_INPUT, resolve_inputs, resolve_sample, resolve_splits, resolve_until};
pub use tokenizer::{
    FoundTokenizer, cached_tokenizer, fetch_tokenizer_config, is_tokenizer_name, resolve_tokenizer,
};
