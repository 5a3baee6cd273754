//! Names become files: aliases, hub ids and `hf://` addresses are fetched, paths are taken as they are.

mod archive;
mod download;
mod error;

use std::path::{Path, PathBuf};

pub use download::{FetchProgress, cache_folder};
pub use error::HubError;

use download::{Hub, RepoKind};

use crate::source::{SourceFile, find_inputs};

/// The dataset of the reference: what is tokenized where no input is named.
pub const DEFAULT_INPUT: &str = "hf://datasets/HuggingFaceFW/fineweb-edu/sample/100BT";

/// Tokenizers by the names that people use.
pub const ALIASES: [(&str, &str); 8] = [
    ("llama", "huggyllama/llama-7b"),
    ("llama3", "meta-llama/Meta-Llama-3-8B"),
    ("mistral", "mistralai/Mistral-7B-v0.1"),
    ("gpt2", "openai-community/gpt2"),
    ("gpt-neox", "EleutherAI/gpt-neox-20b"),
    ("olmo", "allenai/OLMo-1B-hf"),
    ("qwen2", "Qwen/Qwen2-0.5B"),
    ("smollm", "HuggingFaceTB/SmolLM-135M"),
];

/// A tokenizer file and what the user calls it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundTokenizer {
    /// Where the file lies.
    pub path: PathBuf,
    /// Its name: the alias, the hub id's last part, or the folder it lies in.
    pub name: String,
}

/// Finds a tokenizer by path, alias or hub id; the latter two are fetched, or taken from the cache.
///
/// # Errors
///
/// Nothing is there by that name, or it cannot be fetched.
pub fn resolve_tokenizer(
    wanted: &str,
    progress: &dyn FetchProgress,
) -> Result<FoundTokenizer, HubError> {
    let path = Path::new(wanted);
    if path.exists() {
        return Ok(FoundTokenizer { path: path.to_owned(), name: name_of(path) });
    }
    let alias = ALIASES.iter().find(|(alias, _)| *alias == wanted);
    let id = match alias {
        Some((_, id)) => *id,
        None if is_tokenizer_name(wanted) => wanted,
        None => return Err(HubError::UnknownTokenizer { wanted: wanted.to_owned() }),
    };
    let hub = Hub::new()?;
    let path = hub.fetch(RepoKind::Model, id, "main", "tokenizer.json", progress)?;
    let name = alias.map_or_else(|| id.rsplit('/').next().unwrap_or(id), |(alias, _)| alias);
    Ok(FoundTokenizer { path, name: name.to_owned() })
}

/// Returns whether a text can name a tokenizer that is not on disk: an alias, or what looks like an
/// id on the hub.
pub fn is_tokenizer_name(wanted: &str) -> bool {
    let ending = Path::new(wanted).extension();
    let looks_like_id = wanted.split('/').count() == 2
        && !wanted.starts_with(['.', '/'])
        && ending.is_none_or(|ending| ending != "json" && ending != "model");
    looks_like_id || ALIASES.iter().any(|(alias, _)| *alias == wanted)
}

/// Returns where the `tokenizer.json` of an alias or hub id lies in the cache, if it was fetched.
pub fn cached_tokenizer(name: &str) -> Option<PathBuf> {
    let id = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, id)| *id);
    let path = cache_folder().join(RepoKind::Model.folder()).join(id).join("main/tokenizer.json");
    path.is_file().then_some(path)
}

/// Fetches the `tokenizer_config.json` of a tokenizer named by alias or hub id to the folder where
/// its `tokenizer.json` lies; of one on disk there is nothing to fetch.
///
/// # Errors
///
/// The hub has none, or cannot be reached.
pub fn fetch_tokenizer_config(wanted: &str, progress: &dyn FetchProgress) -> Result<(), HubError> {
    if Path::new(wanted).exists() {
        return Ok(());
    }
    let id = ALIASES.iter().find(|(alias, _)| *alias == wanted).map_or(wanted, |(_, id)| *id);
    Hub::new()?.fetch(RepoKind::Model, id, "main", "tokenizer_config.json", progress).map(|_| ())
}

/// Names a tokenizer on disk after its folder, or after itself where its name says more.
fn name_of(path: &Path) -> String {
    let plain = path.is_file()
        && path.file_stem().is_some_and(|stem| stem.eq_ignore_ascii_case("tokenizer"));
    let absolute = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let named = if plain { absolute.parent().unwrap_or(&absolute) } else { &absolute };
    let name = if named.is_file() { named.file_stem() } else { named.file_name() };
    name.map_or_else(|| "tokens".into(), |name| name.to_string_lossy().into_owned())
}

/// Finds the input files; `hf://` addresses are fetched, or taken from the cache.
///
/// # Errors
///
/// An input matches nothing, or cannot be read or fetched.
pub fn resolve_inputs(
    inputs: &[String],
    progress: &dyn FetchProgress,
) -> Result<Vec<SourceFile>, HubError> {
    let default = [DEFAULT_INPUT.to_owned()];
    let inputs = if inputs.is_empty() { &default[..] } else { inputs };
    let mut local = Vec::new();
    for input in inputs {
        match input.strip_prefix("hf://") {
            Some(address) => local.push(fetch_dataset(input, address, progress)?),
            None => local.push(input.clone()),
        }
    }
    Ok(find_inputs(&local)?)
}

/// Fetches all files of a dataset below a path, and returns the folder or file they lie in.
///
/// `…/data.zip!inner/file.jsonl` names a file within an archive.
fn fetch_dataset(
    input: &str,
    address: &str,
    progress: &dyn FetchProgress,
) -> Result<String, HubError> {
    let malformed = || HubError::Address { address: input.to_owned() };
    let rest = address.strip_prefix("datasets/").ok_or_else(malformed)?;
    let mut parts = rest.splitn(3, '/');
    let (Some(owner), Some(name)) = (parts.next(), parts.next()) else { return Err(malformed()) };
    let (name, revision) = name.split_once('@').unwrap_or((name, "main"));
    let path = parts.next().unwrap_or("").trim_end_matches('/');
    let (path, inner) =
        path.split_once('!').map_or((path, None), |(path, inner)| (path, Some(inner)));
    if owner.is_empty() || name.is_empty() || revision.is_empty() {
        return Err(malformed());
    }
    let hub = Hub::new()?;
    let id = format!("{owner}/{name}");
    let fetched = hub.fetch_below(RepoKind::Dataset, &id, revision, path, progress)?;
    let found = match inner {
        None => fetched,
        Some(inner) => archive::member(&fetched, inner)?,
    };
    Ok(found.display().to_string())
}
