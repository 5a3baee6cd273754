//! Stored checksums of files: each is valid while the state of its file stays the same.
//!
//! The checksums are stored next to a result and not in it, because they are about the files of one
//! machine. A stored fact stays true: a file with this state had this content. So a fact that is lost,
//! torn or from another machine costs one read, and never gives a wrong answer.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::checksum::Checksum;
use crate::identity::{FileState, Identity};

/// Raised when the format changes; facts of another version are not read.
const VERSION: u32 = 1;

/// The content of a file that had this state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fact {
    identity: Identity,
    blake3: Checksum,
}

/// Facts by the absolute paths of files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Facts(BTreeMap<String, Fact>);

/// The stored form of facts.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    version: u32,
    files: Facts,
}

/// The known checksums, for use by many threads.
#[derive(Debug, Default)]
pub struct Known {
    facts: Mutex<Facts>,
    /// Whether facts of earlier runs are ignored.
    distrusts: bool,
    reads: AtomicUsize,
}

impl Known {
    /// Reads the facts that an earlier run stored; none if they are torn or of another version.
    pub fn from_note(note: &[u8]) -> Self {
        let note = serde_json::from_slice::<Note>(note).ok();
        let facts = note.filter(|note| note.version == VERSION).map(|note| note.files);
        Self { facts: Mutex::new(facts.unwrap_or_default()), ..Self::default() }
    }

    /// Ignores stored facts, so that every file is read.
    #[must_use]
    pub fn distrusting(self) -> Self {
        Self { distrusts: true, ..self }
    }

    /// Returns all facts in their stored form.
    pub fn to_note(&self) -> Vec<u8> {
        note_of(self.lock().clone())
    }

    /// Returns the facts of some files in their stored form.
    pub fn note_of<'a>(&self, paths: impl IntoIterator<Item = &'a PathBuf>) -> Vec<u8> {
        note_of(self.facts_of(paths))
    }

    /// Returns all facts.
    pub fn facts(&self) -> Facts {
        self.lock().clone()
    }

    /// Returns the facts of some files.
    pub fn facts_of<'a>(&self, paths: impl IntoIterator<Item = &'a PathBuf>) -> Facts {
        let facts = self.lock();
        let fact = |path: &PathBuf| {
            let key = key(path);
            facts.0.get(&key).cloned().map(|fact| (key, fact))
        };
        Facts(paths.into_iter().filter_map(fact).collect())
    }

    /// Adds facts; a given fact replaces the known one of the same file.
    pub fn add(&self, facts: &Facts) {
        let mut ours = self.lock();
        for (path, fact) in &facts.0 {
            ours.0.insert(path.clone(), fact.clone());
        }
    }

    /// Returns how many files were read.
    pub fn reads(&self) -> usize {
        self.reads.load(Ordering::Relaxed)
    }

    /// Returns whether the checksum of a file in this state is known.
    pub fn has(&self, path: &Path, state: &FileState) -> bool {
        self.recall(path, state).is_some()
    }

    /// Returns the checksum of a file in this state: the known one, or the result of reading the file,
    /// which is then known.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or its state has changed; or `stop` was set, which is
    /// [`io::ErrorKind::Interrupted`].
    pub fn checksum(
        &self,
        path: &Path,
        state: &FileState,
        stop: &AtomicBool,
    ) -> io::Result<Checksum> {
        if let Some(blake3) = self.recall(path, state) {
            return Ok(blake3);
        }
        let blake3 = Checksum::of_file(path, stop)?;
        self.reads.fetch_add(1, Ordering::Relaxed);
        if Identity::of(path)? != state.identity {
            return Err(io::Error::other(TOUCHED));
        }
        if state.certain {
            let fact = Fact { identity: state.identity, blake3: blake3.clone() };
            self.lock().0.insert(key(path), fact);
        }
        Ok(blake3)
    }

    fn recall(&self, path: &Path, state: &FileState) -> Option<Checksum> {
        if self.distrusts {
            return None;
        }
        let facts = self.lock();
        let fact = facts.0.get(&key(path)).filter(|fact| fact.identity == state.identity);
        fact.map(|fact| fact.blake3.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The message about a file whose state changed while it was read.
pub const TOUCHED: &str = "it was changed while it was read";

fn note_of(files: Facts) -> Vec<u8> {
    serde_json::to_vec(&Note { version: VERSION, files }).unwrap_or_default()
}

/// Returns the key of a file: its absolute path, with links, because its state is that of their target.
fn key(path: &Path) -> String {
    let whole = std::path::absolute(path);
    whole.as_deref().unwrap_or(path).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write;

    use super::*;

    static NO_STOP: AtomicBool = AtomicBool::new(false);

    fn put(path: &Path, text: &[u8]) {
        File::create(path).unwrap().write_all(text).unwrap();
    }

    fn ask(known: &Known, path: &Path) -> Checksum {
        known.checksum(path, &FileState::of(path).unwrap(), &NO_STOP).unwrap()
    }

    #[test]
    fn a_file_is_read_once_until_it_is_touched() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        put(&path, b"one");
        let known = Known::default();

        assert_eq!(ask(&known, &path), Checksum::of(b"one"));
        let later = Known::from_note(&known.to_note());
        assert_eq!((ask(&later, &path), later.reads()), (Checksum::of(b"one"), 0));

        // The same bytes, written again.
        put(&path, b"one");
        assert_eq!((ask(&later, &path), later.reads()), (Checksum::of(b"one"), 1));
        assert_eq!((ask(&later, &path), later.reads()), (Checksum::of(b"one"), 1));

        put(&path, b"two");
        assert_eq!((ask(&later, &path), later.reads()), (Checksum::of(b"two"), 2));
    }

    #[test]
    fn who_distrusts_reads_and_still_learns() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        put(&path, b"one");
        let state = FileState::of(&path).unwrap();
        let wrong = Fact { identity: state.identity, blake3: Checksum::of(b"not this") };
        let note = note_of(Facts([(key(&path), wrong)].into()));

        let distrusting = Known::from_note(&note).distrusting();

        assert_eq!(ask(&Known::from_note(&note), &path), Checksum::of(b"not this"));
        assert_eq!(ask(&distrusting, &path), Checksum::of(b"one"));
        assert_eq!(ask(&distrusting, &path), Checksum::of(b"one"));
        assert_eq!(distrusting.reads(), 2);
        assert_eq!(ask(&Known::from_note(&distrusting.to_note()), &path), Checksum::of(b"one"));
    }

    #[test]
    fn what_was_touched_since_it_was_seen_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        put(&path, b"one");
        let state = FileState::of(&path).unwrap();

        put(&path, b"two");

        let refused = Known::default().checksum(&path, &state, &NO_STOP).unwrap_err();
        assert_eq!(refused.to_string(), TOUCHED);
    }

    #[test]
    fn what_may_still_change_unseen_is_not_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        put(&path, b"one");
        let state = FileState { certain: false, ..FileState::of(&path).unwrap() };
        let known = Known::default();

        known.checksum(&path, &state, &NO_STOP).unwrap();

        assert!(!known.has(&path, &state));
    }

    #[test]
    fn a_note_that_is_torn_or_of_another_form_says_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        put(&path, b"one");
        let known = Known::default();
        ask(&known, &path);
        let note = known.to_note();
        let other =
            String::from_utf8(note.clone()).unwrap().replace("\"version\":1", "\"version\":9");

        for note in [&note[..note.len() - 1], b"", b"[]", b"\0\0\0", other.as_bytes()] {
            let known = Known::from_note(note);
            ask(&known, &path);
            assert_eq!(known.reads(), 1);
        }
    }
}
