//! Fetches files of the Hugging Face hub, block by block, so that a broken connection costs a block.
//!
//! `hf-hub` speaks to the hub and knows its variables (`HF_TOKEN`, `HF_ENDPOINT`, `HF_HOME`). Its own
//! download begins anew when it breaks, so files are asked for in ranges here and appended to an
//! `.incomplete` file, which the next attempt, or the next run, goes on with. What Python's
//! `huggingface_hub` has cached already is used as it is.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hf_hub::repository::{RepoTreeEntry, RepoTypeDataset, RepoTypeModel};
use hf_hub::{HFClient, HFClientSync, HFError};

use super::error::HubError;

/// How much is asked for at a time.
const BLOCK: u64 = 32 << 20;

/// How often one block is asked for before giving up.
const ATTEMPTS: u32 = 5;

/// Hears how far a download is.
pub trait FetchProgress {
    /// `done` of `total` bytes of a file have arrived.
    fn fetched(&self, file: &str, done: u64, total: u64);
}

/// Hears nothing.
impl FetchProgress for () {
    fn fetched(&self, _: &str, _: u64, _: u64) {}
}

/// The kinds of repositories that are read.
#[derive(Clone, Copy, Debug)]
pub(super) enum RepoKind {
    Model,
    Dataset,
}

impl RepoKind {
    pub(super) fn folder(self) -> &'static str {
        match self {
            Self::Model => "models",
            Self::Dataset => "datasets",
        }
    }
}

/// The hub and the cache of what was fetched from it.
pub(super) struct Hub {
    client: HFClientSync,
    endpoint: String,
    cache: PathBuf,
    offline: bool,
}

/// Returns where fetched files are kept: `$HF_HOME/ratdata`, or its usual place.
pub fn cache_folder() -> PathBuf {
    let home = std::env::var_os("HF_HOME").map(PathBuf::from).or_else(|| {
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
        Some(cache.or_else(home)?.join("huggingface"))
    });
    home.unwrap_or_else(|| PathBuf::from(".cache/huggingface")).join("ratdata")
}

impl Hub {
    pub(super) fn new() -> Result<Self, HubError> {
        let unreachable = |wrong: HFError| HubError::Unreachable {
            what: "the hub".into(),
            endpoint: String::new(),
            reason: wrong.to_string(),
        };
        let client = HFClient::builder().retry_max_attempts(2).build().map_err(unreachable)?;
        let endpoint = client.endpoint().to_owned();
        let client = HFClientSync::from_inner(client).map_err(unreachable)?;
        let offline = std::env::var("HF_HUB_OFFLINE").is_ok_and(|value| {
            !matches!(value.to_ascii_lowercase().as_str(), "" | "0" | "false" | "no" | "off")
        });
        Ok(Self { client, endpoint, cache: cache_folder(), offline })
    }

    /// Fetches one file and returns where it lies.
    pub(super) fn fetch(
        &self,
        kind: RepoKind,
        id: &str,
        revision: &str,
        path: &str,
        progress: &dyn FetchProgress,
    ) -> Result<PathBuf, HubError> {
        let what = format!("{id}/{path}");
        let target = self.folder(kind, id, revision).join(path);
        if target.is_file() {
            return Ok(target);
        }
        if let Ok(cached) = self.cached_by_others(kind, id, revision, path) {
            return Ok(cached);
        }
        if self.offline {
            return Err(HubError::Offline { what, cache: self.cache.clone() });
        }
        let above = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let entries = self.list(kind, id, revision, above, false)?;
        let Some((_, bytes)) = entries.into_iter().find(|(name, _)| name == path) else {
            return Err(HubError::NotFound { what, endpoint: self.endpoint.clone() });
        };
        self.download(kind, id, revision, path, bytes, &target, progress)?;
        Ok(target)
    }

    /// Fetches every file below a path and returns the folder, or the file, that they lie in; where
    /// the last name of the path has a `*`, the files that match it, and the pattern itself.
    pub(super) fn fetch_below(
        &self,
        kind: RepoKind,
        id: &str,
        revision: &str,
        path: &str,
        progress: &dyn FetchProgress,
    ) -> Result<PathBuf, HubError> {
        let folder = self.folder(kind, id, revision).join(path);
        // A file that lists what belongs to a folder says that all of it was fetched.
        let listing = self.folder(kind, id, revision).join(format!(
            ".listing-{}",
            if path.is_empty() { "all".into() } else { path.replace('/', "-") }
        ));
        if let Ok(listed) = fs::read_to_string(&listing)
            && listed.lines().all(|name| self.folder(kind, id, revision).join(name).is_file())
        {
            return Ok(folder);
        }
        if self.offline {
            return Err(HubError::Offline {
                what: format!("{id}/{path}"),
                cache: self.cache.clone(),
            });
        }
        let is_file = Path::new(path).extension().is_some() && !path.contains('*');
        if is_file {
            return self.fetch(kind, id, revision, path, progress);
        }
        let is_pattern = path.rsplit('/').next().is_some_and(|name| name.contains('*'));
        let above =
            if is_pattern { path.rsplit_once('/').map_or("", |(above, _)| above) } else { path };
        let mut entries = self.list(kind, id, revision, above, true)?;
        if is_pattern {
            let glob = globset::Glob::new(path)
                .map_err(|_| HubError::Address { address: format!("{id}/{path}") })?
                .compile_matcher();
            entries.retain(|(name, _)| glob.is_match(name));
        }
        entries.retain(|(name, _)| !name.rsplit('/').next().unwrap_or(name).starts_with('.'));
        entries.retain(|(name, _)| {
            [".parquet", ".jsonl", ".gz", ".zst"].iter().any(|end| name.ends_with(end))
        });
        if entries.is_empty() {
            return Err(HubError::NotFound {
                what: format!("{id}/{path}"),
                endpoint: self.endpoint.clone(),
            });
        }
        for (name, bytes) in &entries {
            let target = self.folder(kind, id, revision).join(name);
            if !target.is_file() {
                self.download(kind, id, revision, name, *bytes, &target, progress)?;
            }
        }
        let names: Vec<&str> = entries.iter().map(|(name, _)| name.as_str()).collect();
        let cache = |source| HubError::Cache { path: listing.clone(), source };
        let mut file = File::create(&listing).map_err(cache)?;
        file.write_all(names.join("\n").as_bytes()).map_err(cache)?;
        Ok(folder)
    }

    fn folder(&self, kind: RepoKind, id: &str, revision: &str) -> PathBuf {
        self.cache.join(kind.folder()).join(id).join(revision)
    }

    /// Lists files below a path with their sizes.
    fn list(
        &self,
        kind: RepoKind,
        id: &str,
        revision: &str,
        path: &str,
        recursive: bool,
    ) -> Result<Vec<(String, u64)>, HubError> {
        let (owner, name) = hf_hub::split_id(id);
        let path = (!path.is_empty()).then(|| path.to_owned());
        let entries = match kind {
            RepoKind::Model => self
                .client
                .model(owner, name)
                .list_tree()
                .revision(revision)
                .maybe_path_in_repo(path)
                .recursive(recursive)
                .send(),
            RepoKind::Dataset => self
                .client
                .dataset(owner, name)
                .list_tree()
                .revision(revision)
                .maybe_path_in_repo(path)
                .recursive(recursive)
                .send(),
        };
        let entries = entries.map_err(|wrong| self.explain(id, &wrong))?;
        let mut files: Vec<_> = entries
            .into_iter()
            .filter_map(|entry| match entry {
                RepoTreeEntry::File { path, size, .. } => Some((path, size)),
                RepoTreeEntry::Directory { .. } => None,
            })
            .collect();
        files.sort();
        Ok(files)
    }

    /// Returns the file from the cache that Python's `huggingface_hub` shares.
    fn cached_by_others(
        &self,
        kind: RepoKind,
        id: &str,
        revision: &str,
        path: &str,
    ) -> Result<PathBuf, HFError> {
        let (owner, name) = hf_hub::split_id(id);
        match kind {
            RepoKind::Model => {
                let repo: hf_hub::HFRepositorySync<RepoTypeModel> = self.client.model(owner, name);
                repo.download_file().filename(path).revision(revision).local_files_only(true).send()
            }
            RepoKind::Dataset => {
                let repo: hf_hub::HFRepositorySync<RepoTypeDataset> =
                    self.client.dataset(owner, name);
                repo.download_file().filename(path).revision(revision).local_files_only(true).send()
            }
        }
    }

    /// Fetches a file in blocks, going on with what an earlier attempt has left.
    #[expect(
        clippy::too_many_arguments,
        reason = "an address has four parts, a download three more"
    )]
    fn download(
        &self,
        kind: RepoKind,
        id: &str,
        revision: &str,
        path: &str,
        bytes: u64,
        target: &Path,
        progress: &dyn FetchProgress,
    ) -> Result<(), HubError> {
        let cache = |source| HubError::Cache { path: target.to_owned(), source };
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder).map_err(cache)?;
        }
        let mut incomplete = target.as_os_str().to_owned();
        incomplete.push(".incomplete");
        let incomplete = PathBuf::from(incomplete);
        let mut file =
            File::options().create(true).append(true).open(&incomplete).map_err(cache)?;
        let mut done = file.metadata().map_err(cache)?.len();
        if done > bytes {
            file.set_len(0).map_err(cache)?;
            done = 0;
        }
        let mut attempts = 0;
        while done < bytes {
            progress.fetched(path, done, bytes);
            let range = done..bytes.min(done + BLOCK);
            match self.block(kind, id, revision, path, range) {
                Ok(block) if !block.is_empty() => {
                    let wanted = usize::try_from(bytes - done).unwrap_or(usize::MAX);
                    let block = &block[..block.len().min(wanted)];
                    file.write_all(block).map_err(cache)?;
                    done += block.len() as u64;
                    attempts = 0;
                }
                failed => {
                    attempts += 1;
                    let lasting = failed.as_ref().is_err_and(|wrong| {
                        !matches!(self.explain(id, wrong), HubError::Unreachable { .. })
                    });
                    if attempts == ATTEMPTS || lasting {
                        let what = format!("{id}/{path}");
                        return Err(match failed {
                            Err(wrong) => self.explain(&what, &wrong),
                            Ok(_) => HubError::Unreachable {
                                what,
                                endpoint: self.endpoint.clone(),
                                reason: "the hub sends nothing more".into(),
                            },
                        });
                    }
                    std::thread::sleep(Duration::from_millis(200) * 2_u32.pow(attempts));
                }
            }
        }
        progress.fetched(path, done, bytes);
        file.sync_all().map_err(cache)?;
        fs::rename(&incomplete, target).map_err(cache)
    }

    fn block(
        &self,
        kind: RepoKind,
        id: &str,
        revision: &str,
        path: &str,
        range: std::ops::Range<u64>,
    ) -> Result<bytes::Bytes, HFError> {
        let (owner, name) = hf_hub::split_id(id);
        match kind {
            RepoKind::Model => self
                .client
                .model(owner, name)
                .download_file_to_bytes()
                .filename(path)
                .revision(revision)
                .range(range)
                .send(),
            RepoKind::Dataset => self
                .client
                .dataset(owner, name)
                .download_file_to_bytes()
                .filename(path)
                .revision(revision)
                .range(range)
                .send(),
        }
    }

    fn explain(&self, what: &str, wrong: &HFError) -> HubError {
        let (what, endpoint) = (what.to_owned(), self.endpoint.clone());
        let status = match wrong {
            HFError::AuthRequired { .. } | HFError::Forbidden { .. } => 403,
            HFError::RepoNotFound { .. }
            | HFError::EntryNotFound { .. }
            | HFError::RevisionNotFound { .. } => 404,
            HFError::Http { context } => context.status.as_u16(),
            _ => 0,
        };
        match (status, wrong) {
            (401 | 403, _) => HubError::Refused { what, endpoint },
            (404, _) => HubError::NotFound { what, endpoint },
            (_, other) => HubError::Unreachable { what, endpoint, reason: other.to_string() },
        }
    }
}
