//! Names become files: aliases, hub ids and `hf://` addresses are fetched, paths are taken as they are.

mod archive;
mod client;
mod download;
mod error;
mod listing;
mod partial;

use std::fs;
use std::path::{Path, PathBuf};

pub use download::{FetchProgress, cache_folder};
pub use error::HubError;

use download::{Entry, Hub, Repo, RepoKind};
use listing::{Listing, name_below};

use ratdata_schemas::RelativePath;

use crate::source::{
    Found, FoundFile, LeftOut, SampleFile, SourceError, SourceFile, SplitFiles, find_files, gather,
};

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
    let path = fetch_tokenizer(&Hub::new(progress)?, model(id))?;
    let name = alias.map_or_else(|| id.rsplit('/').next().unwrap_or(id), |(alias, _)| alias);
    Ok(FoundTokenizer { path, name: name.to_owned() })
}

fn model(id: &str) -> Repo<'_> {
    Repo { kind: RepoKind::Model, id, revision: "main" }
}

/// Fetches a `tokenizer.json` and, before it, the files beside it that say which of its tokens
/// begins and ends a document; a repository need not have them.
fn fetch_tokenizer(hub: &Hub<'_>, repo: Repo<'_>) -> Result<PathBuf, HubError> {
    const FILE: &str = "tokenizer.json";
    if let Some(cached) = hub.cached(repo, FILE) {
        return Ok(cached);
    }
    for beside in ["tokenizer_config.json", "special_tokens_map.json"] {
        match hub.fetch(repo, beside) {
            Ok(found) => {
                // They are looked for beside the tokenizer, which lies in our cache.
                let target = hub.folder(repo).join(beside);
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
    looks_like_id || ALIASES.iter().any(|(alias, _)| *alias == wanted)
}

/// Returns where the `tokenizer.json` of an alias or hub id lies in the cache, if it was fetched.
pub fn cached_tokenizer(name: &str) -> Option<PathBuf> {
    let id = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, id)| *id);
    // The name is that of a manifest, and need not be one of the hub's.
    RelativePath::new(id).ok()?;
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

/// Finds the input files, whatever split they are of; `hf://` addresses are fetched, or taken from
/// the cache.
///
/// # Errors
///
/// An input matches nothing, or cannot be read or fetched.
pub fn resolve_inputs(
    inputs: &[String],
    progress: &dyn FetchProgress,
) -> Result<Vec<SourceFile>, HubError> {
    resolve_splits(inputs, SplitFiles::All, progress).map(|found| found.files)
}

/// Finds the input files as [`resolve_inputs`] does, but of folders and data sets those whose names
/// say that they are of the splits in `take`; tells what was left out.
///
/// # Errors
///
/// As of [`resolve_inputs`], and where a folder has no file of those splits.
pub fn resolve_splits(
    inputs: &[String],
    take: SplitFiles,
    progress: &dyn FetchProgress,
) -> Result<Found<SourceFile>, HubError> {
    let (mut files, mut left) = (Vec::new(), LeftOut::default());
    for input in with_default(inputs) {
        let Some(address) = Address::read(&input)? else {
            let found = find_files(&input, take)?;
            files.extend(found.files);
            left.add(found.left);
            continue;
        };
        let hub = Hub::new(progress)?;
        let listing = address.list(&hub, take)?;
        for entry in &listing.entries {
            files.push(address.fetch(&hub, entry)?);
        }
        hub.record_listing(address.repo(), &address.path, &listing)?;
        left.add(listing.left);
    }
    Ok(Found { files: gather(files)?, left })
}

/// Finds the input files as [`resolve_splits`] does, but of each `hf://` address only as many as
/// have `limit` documents together; `count` counts those of a file up to a number.
///
/// # Errors
///
/// As of [`resolve_splits`].
pub fn resolve_until(
    inputs: &[String],
    take: SplitFiles,
    limit: u64,
    count: &dyn Fn(&SourceFile, u64) -> Result<u64, SourceError>,
    progress: &dyn FetchProgress,
) -> Result<Found<SourceFile>, HubError> {
    let (mut files, mut left_out) = (Vec::new(), LeftOut::default());
    for input in with_default(inputs) {
        let Some(address) = Address::read(&input)? else {
            let found = find_files(&input, take)?;
            files.extend(found.files);
            left_out.add(found.left);
            continue;
        };
        let hub = Hub::new(progress)?;
        let mut left = limit;
        let listing = address.list(&hub, take)?;
        for entry in listing.entries {
            if left == 0 {
                break;
            }
            let file = address.fetch(&hub, &entry)?;
            for file in gather(vec![file.clone()])? {
                left -= count(&file, left)?.min(left);
            }
            files.push(file);
        }
        left_out.add(listing.left);
    }
    Ok(Found { files: gather(files)?, left: left_out })
}

/// Finds input files for an estimate: of each `hf://` address a few, evenly spread over what the
/// hub lists, each of which stands for those around it.
///
/// # Errors
///
/// As of [`resolve_splits`].
pub fn resolve_sample(
    inputs: &[String],
    take: SplitFiles,
    progress: &dyn FetchProgress,
) -> Result<Found<SampleFile>, HubError> {
    let (mut files, mut left) = (Vec::new(), LeftOut::default());
    let mut local = Vec::new();
    for input in with_default(inputs) {
        let Some(address) = Address::read(&input)? else {
            let found = find_files(&input, take)?;
            local.extend(found.files);
            left.add(found.left);
            continue;
        };
        let hub = Hub::new(progress)?;
        let Listing { entries, left: of_address, .. } = address.list(&hub, take)?;
        left.add(of_address);
        let wanted = sample_size(&entries);
        for number in 0..wanted {
            let around =
                &entries[number * entries.len() / wanted..(number + 1) * entries.len() / wanted];
            let file = address.fetch(&hub, &around[around.len() / 2])?;
            let bytes = around.iter().map(|entry| entry.bytes).sum();
            let count = around.len();
            let found = gather(vec![file])?.into_iter();
            files.extend(found.map(|file| SampleFile { file, files: count, bytes }));
        }
    }
    if !local.is_empty() {
        files.extend(gather(local)?.into_iter().map(SampleFile::from));
    }
    Ok(Found { files, left })
}

/// How many bytes an estimate fetches of one address, about, unless two files have more.
const SAMPLE_BYTES: u64 = 512 << 20;

/// How many files an estimate fetches of one address, at most and at least.
const SAMPLE_FILES: (usize, usize) = (8, 2);

/// Returns how many of the files are looked at.
fn sample_size(entries: &[Entry]) -> usize {
    let total: u64 = entries.iter().map(|entry| entry.bytes).sum();
    let mean = (total / entries.len().max(1) as u64).max(1);
    let fitting = usize::try_from(SAMPLE_BYTES / mean).unwrap_or(usize::MAX);
    fitting.clamp(SAMPLE_FILES.1, SAMPLE_FILES.0).min(entries.len())
}

/// What addresses of the hub begin with.
const SCHEME: &str = "hf://";

fn with_default(inputs: &[String]) -> Vec<String> {
    if inputs.is_empty() { vec![DEFAULT_INPUT.to_owned()] } else { inputs.to_vec() }
}

/// What `hf://datasets/OWNER/NAME[@REVISION]/PATH` names.
struct Address {
    input: String,
    id: String,
    revision: String,
    path: String,
    /// `…/data.zip!inner/file.jsonl` names a file within an archive.
    inner: Option<String>,
}

impl Address {
    /// Reads an address; none where the input is a path.
    fn read(input: &str) -> Result<Option<Self>, HubError> {
        let malformed = || HubError::Address { address: input.to_owned() };
        let Some(address) = input.strip_prefix(SCHEME) else { return Ok(None) };
        let rest = address.strip_prefix("datasets/").ok_or_else(malformed)?;
        let mut parts = rest.splitn(3, '/');
        let (Some(owner), Some(name)) = (parts.next(), parts.next()) else {
            return Err(malformed());
        };
        let (name, revision) = name.split_once('@').unwrap_or((name, "main"));
        let path = parts.next().unwrap_or("").trim_end_matches('/');
        let (path, inner) =
            path.split_once('!').map_or((path, None), |(path, inner)| (path, Some(inner)));
        // Each becomes a path in the cache.
        let stays = |part: &str| RelativePath::new(part).is_ok();
        if ![owner, name, revision].into_iter().all(stays) || !(path.is_empty() || stays(path)) {
            return Err(malformed());
        }
        Ok(Some(Self {
            input: input.to_owned(),
            id: format!("{owner}/{name}"),
            revision: revision.to_owned(),
            path: path.to_owned(),
            inner: inner.map(str::to_owned),
        }))
    }

    fn repo(&self) -> Repo<'_> {
        Repo { kind: RepoKind::Dataset, id: &self.id, revision: &self.revision }
    }

    fn list(&self, hub: &Hub<'_>, take: SplitFiles) -> Result<Listing, HubError> {
        hub.list_below(self.repo(), &self.path, take)
    }

    /// Fetches a file, and names it as a file below a local folder would be.
    fn fetch(&self, hub: &Hub<'_>, entry: &Entry) -> Result<FoundFile, HubError> {
        let path = hub.fetch_entry(self.repo(), entry)?;
        if let Some(inner) = &self.inner {
            let path = archive::member(&path, inner)?;
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            return Ok(FoundFile { name, path });
        }
        let name = name_below(&self.path, &entry.path);
        if name.is_empty() {
            return Err(HubError::Address { address: self.input.clone() });
        }
        Ok(FoundFile { name, path })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_repository_a_revision_and_a_path() {
        let read = |input: &str| Address::read(input);

        let address = read("hf://datasets/a/b@v1/c/d.zip!e/f.jsonl").unwrap().unwrap();
        assert_eq!((address.id.as_str(), address.revision.as_str()), ("a/b", "v1"));
        assert_eq!(
            (address.path.as_str(), address.inner.as_deref()),
            ("c/d.zip", Some("e/f.jsonl"))
        );
        assert!(read("corpus/a.jsonl").unwrap().is_none());
        for wrong in [
            "hf://models/a/b",
            "hf://datasets/a",
            "hf://datasets//b/c",
            "hf://datasets/a/b@/c",
            "hf://datasets/../b/c",
            "hf://datasets/a/b@../c",
            "hf://datasets/a/b/../../c",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
