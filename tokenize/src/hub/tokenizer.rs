//! Tokenizers by name: aliases and hub ids are fetched, paths are taken as they are.

use std::fs;
use std::path::{Path, PathBuf};

use ratdata_schemas::RelativePath;

use super::aliases::id_of_alias;
use super::download::{FetchProgress, Hub, cache_folder};
use super::error::HubError;
use super::repo::{Repo, RepoKind};
use crate::tokenizer::CONFIG_FILES;

/// A tokenizer file and what the user calls it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundTokenizer {
    /// Where the file is.
    pub path: PathBuf,
    /// Its name: the alias, the hub id's last part, or its folder.
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
    let alias = id_of_alias(wanted);
    let id = match alias {
        Some(id) => id,
        None if is_tokenizer_name(wanted) => wanted,
        None => return Err(HubError::UnknownTokenizer { wanted: wanted.to_owned() }),
    };
    let path = fetch_tokenizer(&Hub::new(progress)?, model(id))?;
    let name = alias.map_or_else(|| id.rsplit('/').next().unwrap_or(id), |_| wanted);
    Ok(FoundTokenizer { path, name: name.to_owned() })
}

fn model(id: &str) -> Repo<'_> {
    Repo { kind: RepoKind::Model, id, revision: "main" }
}

/// Fetches a `tokenizer.json` and, before it, the files next to it that name its BOS and EOS; a
/// repository need not have those.
fn fetch_tokenizer(hub: &Hub<'_>, repo: Repo<'_>) -> Result<PathBuf, HubError> {
    const FILE: &str = "tokenizer.json";
    if let Some(cached) = hub.cached(repo, FILE) {
        return Ok(cached);
    }
    for config in CONFIG_FILES {
        match hub.fetch(repo, config) {
            Ok(found) => {
                // The tokenizer is in our cache, and its config is read from the same folder.
                let target = hub.folder(repo).join(config);
                if found != target {
                    let cache = |source| HubError::Cache { path: target.clone(), source };
                    fs::create_dir_all(hub.folder(repo)).map_err(cache)?;
                    fs::copy(&found, &target).map_err(cache)?;
                }
            }
            Err(HubError::NotFound { .. } | HubError::Offline { .. }) => {}
            Err(wrong) => return Err(wrong),
        }
    }
    hub.fetch(repo, FILE)
}

/// Returns whether a text can name a tokenizer that is not on disk: an alias, or what looks like an
/// id on the hub.
pub fn is_tokenizer_name(wanted: &str) -> bool {
    let ending = Path::new(wanted).extension();
    let looks_like_id = wanted.split('/').count() == 2
        && !wanted.starts_with(['.', '/'])
        && RelativePath::new(wanted).is_ok()
        && ending.is_none_or(|ending| ending != "json" && ending != "model");
    looks_like_id || id_of_alias(wanted).is_some()
}

/// Returns the path of the `tokenizer.json` of an alias or hub id in the cache, if it was fetched.
pub fn cached_tokenizer(name: &str) -> Option<PathBuf> {
    let id = id_of_alias(name).unwrap_or(name);
    // The name is that of a manifest, and need not be one of the hub's.
    RelativePath::new(id).ok()?;
    let path = cache_folder().join(RepoKind::Model.folder()).join(id).join("main/tokenizer.json");
    path.is_file().then_some(path)
}

/// Fetches the `tokenizer_config.json` of a tokenizer named by alias or hub id to the folder where
/// its `tokenizer.json` is; of one on disk there is nothing to fetch.
///
/// # Errors
///
/// The hub has none, or cannot be reached.
pub fn fetch_tokenizer_config(wanted: &str, progress: &dyn FetchProgress) -> Result<(), HubError> {
    if Path::new(wanted).exists() {
        return Ok(());
    }
    let id = id_of_alias(wanted).unwrap_or(wanted);
    Hub::new(progress)?.fetch(model(id), "tokenizer_config.json").map(|_| ())
}

/// Names a tokenizer on disk after its folder, or after itself where its name says more.
fn name_of(path: &Path) -> String {
    let plain = path.is_file()
        && path.file_stem().is_some_and(|stem| stem.eq_ignore_ascii_case("tokenizer"));
    let absolute = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let named = if plain { absolute.parent().unwrap_or(&absolute) } else { &absolute };
    let name = if named.is_file() { named.file_stem() } else { named.file_name() };
    // Another spelling would be another tokenizer's name.
    name.and_then(|name| name.to_str()).unwrap_or("tokens").to_owned()
}
