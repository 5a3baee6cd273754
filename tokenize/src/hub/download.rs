//! Fetches files of the Hugging Face hub, block by block, so that a broken connection costs a block.
//!
//! Files are asked for in ranges and gathered in an `.incomplete` file, which the next attempt, or the
//! next run, continues. A file that Python's `huggingface_hub` has cached already is used from there.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use ratdata_schemas::RelativePath;
use ureq::http::StatusCode;

use super::client::{self, Client, Metadata, Refusal};
use super::error::HubError;
use super::partial::{Claim, Content, Partial};
use super::repo::{Entry, OwnedRepo, Repo};
use crate::source::Foreign;

/// How much is asked for at a time, at first and at most: more while the answers are quick, so that
/// little is lost on a slow line.
const BLOCKS: (u64, u64) = (1 << 20, 32 << 20);

/// An answer is quick that takes no longer.
const QUICK: Duration = Duration::from_secs(2);

/// How often one block is asked for before giving up.
const ATTEMPTS: u32 = 5;

/// How often a listing is asked for: a user without a network hears of it soon.
const LISTING_ATTEMPTS: u32 = 3;

/// How often anything is asked for of a hub that accepts requests and sends nothing.
const SILENT_ATTEMPTS: u32 = 2;

/// How often a wait looks whether the user has stopped it.
const TICK: Duration = Duration::from_millis(50);

/// Hears how far a download is.
pub trait FetchProgress {
    /// `done` of `total` bytes of a file have arrived.
    fn fetched(&self, file: &str, done: u64, total: u64);

    /// Returns whether the user has stopped the download.
    fn stopped(&self) -> bool {
        false
    }
}

/// Hears nothing.
impl FetchProgress for () {
    fn fetched(&self, _: &str, _: u64, _: u64) {}
}

/// The hub and the cache of what was fetched from it.
pub(super) struct Hub<'p> {
    client: Client,
    pub(super) cache: PathBuf,
    pub(super) offline: bool,
    progress: &'p dyn FetchProgress,
}

/// Returns where fetched files are kept: `$HF_HOME/ratdata`, or its usual place.
pub fn cache_folder() -> PathBuf {
    client::home().join("ratdata")
}

impl<'p> Hub<'p> {
    /// The hub that the environment names.
    ///
    /// # Errors
    ///
    /// A variable has no value that can be used.
    pub(super) fn new(progress: &'p dyn FetchProgress) -> Result<Self, HubError> {
        let offline = std::env::var("HF_HUB_OFFLINE").is_ok_and(|value| {
            !matches!(value.to_ascii_lowercase().as_str(), "" | "0" | "false" | "no" | "off")
        });
        Ok(Self { client: Client::from_env()?, cache: cache_folder(), offline, progress })
    }

    /// Returns the path of a file in a cache, ours or the shared one; none where neither has it.
    pub(super) fn cached(&self, repo: Repo<'_>, path: &str) -> Option<PathBuf> {
        let target = self.folder(repo).join(path);
        if target.is_file() {
            return Some(target);
        }
        client::shared_cache(repo, path)
    }

    /// Fetches one file and returns its path.
    pub(super) fn fetch(&self, repo: Repo<'_>, path: &str) -> Result<PathBuf, HubError> {
        let what = format!("{}/{path}", repo.id);
        if let Some(cached) = self.cached(repo, path) {
            return Ok(cached);
        }
        if self.offline {
            return Err(HubError::Offline { what, cache: self.cache.clone() });
        }
        match self.entry(repo, path)? {
            Some(entry) => self.fetch_entry(repo, &entry),
            None => Err(HubError::NotFound { what, endpoint: self.endpoint() }),
        }
    }

    /// Fetches a file that was listed, and returns its path.
    pub(super) fn fetch_entry(&self, repo: Repo<'_>, entry: &Entry) -> Result<PathBuf, HubError> {
        if let Some(cached) = self.cached(repo, &entry.path) {
            return Ok(cached);
        }
        let target = self.folder(repo).join(&entry.path);
        self.download(repo, entry, &target)?;
        Ok(target)
    }

    pub(super) fn folder(&self, repo: Repo<'_>) -> PathBuf {
        self.cache.join(repo.kind.folder()).join(repo.id).join(repo.revision)
    }

    /// Returns a file by its path; none where there is no file of that name.
    pub(super) fn entry(&self, repo: Repo<'_>, path: &str) -> Result<Option<Entry>, HubError> {
        let above = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let entries = self.list(repo, above, false)?;
        Ok(entries.into_iter().find(|entry| entry.path == path))
    }

    /// Lists files below a path with their sizes.
    pub(super) fn list(
        &self,
        repo: Repo<'_>,
        path: &str,
        recursive: bool,
    ) -> Result<Vec<Entry>, HubError> {
        let mut attempts = 0;
        loop {
            let (asked, below) = (OwnedRepo::from(repo), path.to_owned());
            let listed =
                self.patiently(move |client| client.list(asked.as_repo(), &below, recursive))?;
            let failed = match listed {
                Ok(entries) => return within(repo, entries),
                Err(refusal) => self.explain(repo.id, refusal),
            };
            attempts += 1;
            self.try_again(failed, attempts, LISTING_ATTEMPTS)?;
        }
    }

    /// Fetches a file in blocks, after what an earlier attempt has left of the same content.
    fn download(&self, repo: Repo<'_>, entry: &Entry, target: &Path) -> Result<(), HubError> {
        let what = format!("{}/{}", repo.id, entry.path);
        let stopped = || self.progress.stopped();
        let metadata = self.metadata(repo, &entry.path)?;
        let tag = metadata.as_ref().map_or(&entry.oid, |metadata| &metadata.etag).clone();
        // Blocks are asked of one commit, so that a new one in between does not mix two contents.
        let commit = metadata.map(|metadata| metadata.commit).filter(|commit| commit.len() == 40);
        let pinned = Repo { revision: commit.as_deref().unwrap_or(repo.revision), ..repo };
        let content = Content { bytes: entry.bytes, tag };
        let mut partial = match Partial::claim(target, content, &stopped)? {
            Claim::Ours(partial) => partial,
            Claim::Fetched => return Ok(()),
        };
        let mut resumed = partial.done() > 0;
        loop {
            self.fill(pinned, entry, &mut partial)?;
            if partial.is_whole(&stopped)? {
                return partial.finish();
            }
            partial.restart()?;
            if !resumed {
                return Err(HubError::Damaged { what });
            }
            // What an earlier run had left was wrong: once more, from the beginning.
            resumed = false;
        }
    }

    /// Fetches what is missing of a file.
    fn fill(&self, repo: Repo<'_>, entry: &Entry, partial: &mut Partial) -> Result<(), HubError> {
        let what = format!("{}/{}", repo.id, entry.path);
        let mut size = BLOCKS.0;
        let mut attempts = 0;
        while partial.done() < entry.bytes {
            self.progress.fetched(&entry.path, partial.done(), entry.bytes);
            let range = partial.done()..entry.bytes.min(partial.done() + size);
            let asked = Instant::now();
            let failed = match self.block(repo, entry, range.clone())? {
                // A mirror without large files sends a pointer instead.
                Ok(block)
                    if partial.done() == 0 && Foreign::of(&block) == Some(Foreign::Pointer) =>
                {
                    return Err(HubError::Pointer { what });
                }
                Ok(block) => match cut(&block, &range, entry.bytes) {
                    Some(block) => {
                        partial.write(block)?;
                        attempts = 0;
                        let quick = asked.elapsed() < QUICK;
                        size = if quick { size * 2 } else { size / 2 }.clamp(BLOCKS.0, BLOCKS.1);
                        continue;
                    }
                    None => HubError::Unreachable {
                        what: what.clone(),
                        endpoint: self.endpoint(),
                        reason: "the hub sends nothing more, or other bytes than asked for".into(),
                    },
                },
                // The file ends before the hub's own list says.
                Err(Refusal::Status(StatusCode::RANGE_NOT_SATISFIABLE)) => {
                    partial.restart()?;
                    return Err(HubError::Damaged { what });
                }
                Err(refusal) => self.explain(&what, refusal),
            };
            attempts += 1;
            self.try_again(failed, attempts, ATTEMPTS)?;
            // What was lost of a large block is asked for in small ones.
            size = BLOCKS.0;
        }
        self.progress.fetched(&entry.path, partial.done(), entry.bytes);
        Ok(())
    }

    /// Asks what a file's content is; none where the hub does not say.
    fn metadata(&self, repo: Repo<'_>, path: &str) -> Result<Option<Metadata>, HubError> {
        let what = format!("{}/{path}", repo.id);
        let mut attempts = 0;
        loop {
            let (asked, of) = (OwnedRepo::from(repo), path.to_owned());
            match self.patiently(move |client| client.metadata(asked.as_repo(), &of))? {
                Ok(found) => return Ok(Some(found).filter(|found| !found.etag.is_empty())),
                Err(Refusal::Silent) => {
                    attempts += 1;
                    let failed = self.explain(&what, Refusal::Silent);
                    self.try_again(failed, attempts, SILENT_ATTEMPTS)?;
                }
                Err(_) => return Ok(None),
            }
        }
    }

    fn block(
        &self,
        repo: Repo<'_>,
        entry: &Entry,
        range: Range<u64>,
    ) -> Result<Result<Vec<u8>, Refusal>, HubError> {
        let (repo, entry) = (OwnedRepo::from(repo), entry.clone());
        self.patiently(move |client| client.block(repo.as_repo(), &entry.path, &range, entry.bytes))
    }

    /// Waits before the next attempt; fails where another attempt cannot help, or was the last.
    fn try_again(&self, failed: HubError, attempts: u32, most: u32) -> Result<(), HubError> {
        let most = match failed {
            HubError::Unreachable { .. } => most,
            HubError::Silent { .. } => SILENT_ATTEMPTS,
            _ => 0,
        };
        if attempts >= most {
            return Err(failed);
        }
        self.wait(Duration::from_millis(200) * 2_u32.pow(attempts))
    }

    pub(super) fn endpoint(&self) -> String {
        self.client.endpoint().to_owned()
    }

    /// Runs a request on a thread of its own, so that the user can stop the wait for it; the thread
    /// then ends with its request, or with the program.
    fn patiently<T: Send + 'static>(
        &self,
        request: impl FnOnce(Client) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<Result<T, Refusal>, HubError> {
        let client = self.client.clone();
        let (sender, receiver) = mpsc::channel();
        // Nobody hears an answer that comes after the wait was stopped.
        let ask = move || drop(sender.send(request(client)));
        std::thread::Builder::new().spawn(ask).map_err(|wrong| HubError::Unreachable {
            what: "the hub".into(),
            endpoint: self.endpoint(),
            reason: format!("no thread can be started: {wrong}"),
        })?;
        loop {
            if self.progress.stopped() {
                return Err(HubError::Interrupted);
            }
            match receiver.recv_timeout(TICK) {
                Ok(answer) => return Ok(answer),
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    return Err(HubError::Unreachable {
                        what: "the hub".into(),
                        endpoint: self.endpoint(),
                        reason: "the request ended without an answer".into(),
                    });
                }
            }
        }
    }

    /// Waits between two attempts.
    fn wait(&self, time: Duration) -> Result<(), HubError> {
        let until = Instant::now() + time;
        while Instant::now() < until {
            if self.progress.stopped() {
                return Err(HubError::Interrupted);
            }
            std::thread::sleep(TICK);
        }
        Ok(())
    }

    fn explain(&self, what: &str, refusal: Refusal) -> HubError {
        let (what, endpoint) = (what.to_owned(), self.endpoint());
        match refusal {
            Refusal::Status(StatusCode::UNAUTHORIZED) => {
                HubError::Unauthorized { what, endpoint, has_token: self.client.has_token() }
            }
            Refusal::Status(StatusCode::FORBIDDEN) => HubError::Refused { what, endpoint },
            Refusal::Status(StatusCode::NOT_FOUND) => HubError::NotFound { what, endpoint },
            Refusal::Status(status) => {
                HubError::Unreachable { what, endpoint, reason: format!("it answered {status}") }
            }
            Refusal::Silent => {
                let seconds = self.client.silence().as_secs_f64();
                HubError::Silent { what, endpoint, seconds }
            }
            Refusal::NoAnswer(reason) => HubError::Unreachable { what, endpoint, reason },
        }
    }
}

/// Takes the files that a hub lists: each becomes a path in the cache, and stays there.
fn within(repo: Repo<'_>, entries: Vec<Entry>) -> Result<Vec<Entry>, HubError> {
    match entries.iter().find(|entry| RelativePath::new(&entry.path).is_err()) {
        Some(entry) => {
            Err(HubError::Outside { what: repo.id.to_owned(), path: entry.path.clone() })
        }
        None => Ok(entries),
    }
}

/// Returns of an answer what was asked for; none where it holds no byte of it, or others.
///
/// A server that knows no ranges answers with the whole file.
fn cut<'a>(block: &'a [u8], range: &Range<u64>, whole: u64) -> Option<&'a [u8]> {
    let len = block.len() as u64;
    if len == 0 || len <= range.end - range.start {
        return (len > 0).then_some(block);
    }
    let from = usize::try_from(range.start).ok()?;
    (len == whole).then(|| &block[from..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_without_ranges_is_cut() {
        assert_eq!(cut(b"abcdef", &(2..4), 6), Some(&b"cdef"[..]));
        assert_eq!(cut(b"cd", &(2..4), 6), Some(&b"cd"[..]));
        assert_eq!(cut(b"c", &(2..4), 6), Some(&b"c"[..]));
        assert_eq!(cut(b"", &(2..4), 6), None);
        assert_eq!(cut(b"abcde", &(2..4), 6), None);
    }
}
