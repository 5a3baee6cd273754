//! The store: results by fingerprint, a lock each, and the records of runs.
//!
//! ```text
//! STORE/KIND-NAME-FINGERPRINT/           a result, whole and never changed
//! STORE/.staging-KIND-NAME-FINGERPRINT/  one that is being made; kept between attempts
//! STORE/.shares-KIND-NAME-FINGERPRINT/   shares of one, made by tasks of an array
//! STORE/.locks/                          one lock a result
//! STORE/.known.json                      checksums of files that were read, while nothing touches them
//! STORE/.recipes/HASH/NAME.json          what a pipeline's step was last made from
//! STORE/.pipelines/HASH.json             what a pipeline referred to when it last ran
//! STORE/runs/RUN/                        events, the resolved pipeline, a log a step
//! ```

pub(crate) mod runs;
mod shared_file;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ratdata_schemas::{
    ArtifactError, Checksum, DirLock, Known, StagedFile, remove_file_if_exists,
    remove_folder_if_exists, sync_folder_of,
};
use ratdata_tokenize::Share;
use rustix::fs::{FlockOperation, flock};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

const STAGING: &str = ".staging-";
const SHARES: &str = ".shares-";

/// The folder of the records of runs.
const RUNS: &str = "runs";

/// Folders that only a store has.
const OWN: [&str; 3] = [".locks", ".pipelines", ".recipes"];

/// How many characters of a fingerprint end the name of a result.
pub(crate) const SHORT: usize = 16;

/// The folder, among a result's shares, of the markers of those that are done.
pub(crate) const DONE: &str = "done";

/// The file with what is known of files outside the store.
const KNOWN: &str = ".known.json";

/// A folder of results that pipelines share.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    root: PathBuf,
}

/// A folder that no pipeline refers to.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Unused {
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
}

/// What a pipeline referred to when it last ran.
#[derive(Debug, Serialize, Deserialize)]
struct PipelineRecord {
    pipeline: PathBuf,
    objects: BTreeSet<String>,
}

impl Store {
    /// The store at `root`, which need not be there yet.
    pub(crate) fn at(root: &Path) -> Self {
        // Steps work in the pipeline's folder, so their paths are whole.
        Self { root: std::path::absolute(root).unwrap_or_else(|_| root.to_owned()) }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Returns whether the folder is a store, or nothing that could be taken for another thing: not
    /// there yet, or empty.
    ///
    /// # Errors
    ///
    /// It is no folder, or cannot be read.
    pub(crate) fn is_one(&self) -> io::Result<bool> {
        let entries = match fs::read_dir(&self.root) {
            Err(wrong) if wrong.kind() == io::ErrorKind::NotFound => return Ok(true),
            entries => entries?,
        };
        let mut others = false;
        for entry in entries {
            let name = entry?.file_name();
            if OWN.iter().any(|own| name == *own) {
                return Ok(true);
            }
            others |= name != RUNS;
        }
        Ok(!others)
    }

    /// Returns the folder of a finished result.
    pub(crate) fn object(&self, object: &str) -> PathBuf {
        self.root.join(object)
    }

    /// Returns the folder in which a result is made.
    pub(crate) fn staging(&self, object: &str) -> PathBuf {
        self.root.join(format!("{STAGING}{object}"))
    }

    /// Returns the folder of a result's shares.
    pub(crate) fn shares(&self, object: &str) -> PathBuf {
        self.root.join(format!("{SHARES}{object}"))
    }

    /// Returns the folder of one share of a result.
    pub(crate) fn share(&self, object: &str, share: Share) -> PathBuf {
        self.shares(object).join(share.name())
    }

    /// Returns whether a share of a result was made.
    pub(crate) fn is_shared(&self, object: &str, share: Share) -> bool {
        self.marker(object, share).exists()
    }

    /// Records that a share of a result was made.
    pub(crate) fn mark_shared(&self, object: &str, share: Share) -> Result<(), ArtifactError> {
        let mut marker = StagedFile::create(&self.marker(object, share))?;
        marker.write(b"done\n")?;
        marker.commit().map(drop)
    }

    fn marker(&self, object: &str, share: Share) -> PathBuf {
        self.shares(object).join(DONE).join(share.name())
    }

    /// Returns the names of the finished results, read in one go.
    pub(crate) fn objects(&self) -> BTreeSet<String> {
        names(&self.root).into_iter().filter(|name| is_object(name)).collect()
    }

    /// Returns the names of a pipeline's steps that were made before, read in one go.
    pub(crate) fn remembered(&self, pipeline: &Path) -> BTreeSet<String> {
        let names = names(&self.root.join(".recipes").join(key(pipeline)));
        names.iter().filter_map(|name| name.strip_suffix(".json").map(Into::into)).collect()
    }

    /// Returns what a pipeline's step was last made from.
    pub(crate) fn last<R: DeserializeOwned>(&self, pipeline: &Path, step: &str) -> Option<R> {
        let text = fs::read(self.recipe(pipeline, step)).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Returns what is known of files outside the store.
    pub(crate) fn known(&self) -> Known {
        Known::from_note(&fs::read(self.root.join(KNOWN)).unwrap_or_default())
    }

    /// Stores the known checksums of files, together with those that other runs have stored meanwhile.
    ///
    /// If that fails, as in a read-only store, files are read again next time.
    pub(crate) fn keep_known(&self, known: &Known) {
        let write = || -> Result<(), ArtifactError> {
            let mut file = shared_file::create(&self.root.join(KNOWN))?;
            // Read while no other run writes it, so that the facts of both are kept.
            let all = self.known();
            all.add(&known.facts());
            file.write(&all.to_note())?;
            file.commit().map(drop)
        };
        drop(write());
    }

    fn recipe(&self, pipeline: &Path, step: &str) -> PathBuf {
        self.root.join(".recipes").join(key(pipeline)).join(format!("{step}.json"))
    }

    /// Takes the lock of a result, waiting while another run has it; none when interrupted.
    ///
    /// The lock belongs to the open file. A step's process holds it as its stdin, so a step that
    /// outlives its run keeps others off until it ends.
    pub(crate) fn lock(
        &self,
        object: &str,
        stop: &AtomicBool,
        waiting: &mut dyn FnMut(),
    ) -> io::Result<Option<File>> {
        let mut told = false;
        loop {
            if let Some(file) = self.try_lock(object)? {
                return Ok(Some(file));
            }
            if stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
            if !std::mem::replace(&mut told, true) {
                waiting();
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Takes the lock of a result, or of a share of one; none while another run has it.
    pub(crate) fn try_lock(&self, object: &str) -> io::Result<Option<File>> {
        let folder = self.root.join(".locks");
        fs::create_dir_all(&folder)?;
        let mut options = File::options();
        let file = options.create(true).truncate(false).read(true).write(true);
        let file = file.open(folder.join(object))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(file)),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(other) => Err(other.into()),
        }
    }

    /// Returns whether a run makes a result, or a share of it, at this moment.
    pub(crate) fn is_locked(&self, object: &str) -> bool {
        let folder = self.root.join(".locks");
        let of_object = |name: &String| {
            name.strip_prefix(object).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        names(&folder).into_iter().filter(of_object).any(|name| {
            let Ok(file) = File::open(folder.join(name)) else { return false };
            flock(&file, FlockOperation::NonBlockingLockShared)
                .is_err_and(|wrong| wrong == rustix::io::Errno::WOULDBLOCK)
        })
    }

    /// Returns how many shares of a result are done.
    pub(crate) fn shares_done(&self, object: &str) -> usize {
        names(&self.shares(object).join(DONE)).len()
    }

    /// Makes a staged folder the step's result, in one rename.
    pub(crate) fn commit(&self, object: &str) -> Result<(), ArtifactError> {
        let (staging, whole) = (self.staging(object), self.object(object));
        remove_locks(&staging)?;
        fs::rename(&staging, &whole).map_err(ArtifactError::io(&whole))?;
        sync_folder_of(&whole)?;
        self.remove_shares(object)
    }

    /// Removes the shares of a result, except those that are being made: their process finds its
    /// folder where it was.
    fn remove_shares(&self, object: &str) -> Result<(), ArtifactError> {
        let folder = self.shares(object);
        let mut locks = Vec::new();
        for name in names(&folder).into_iter().filter(|name| name != DONE) {
            let lock =
                self.try_lock(&share_lock(object, &name)).map_err(ArtifactError::io(&folder))?;
            locks.extend(lock.map(|lock| (lock, name)));
        }
        for (_, name) in &locks {
            remove_folder_if_exists(&folder.join(name))?;
        }
        if names(&folder).iter().all(|name| name == DONE) {
            remove_folder_if_exists(&folder)
        } else {
            Ok(())
        }
    }

    /// Records that a result is what the step of a pipeline now stands for.
    pub(crate) fn remember<R: Serialize + DeserializeOwned + PartialEq>(
        &self,
        pipeline: &Path,
        step: &str,
        object: &str,
        recipe: &R,
        publish: Option<&Path>,
    ) -> Result<(), ArtifactError> {
        if self.last(pipeline, step).as_ref() != Some(recipe) {
            Self::write(&self.recipe(pipeline, step), recipe)?;
        }
        publish.map_or(Ok(()), |path| self.link(path, object))
    }

    /// Records what a pipeline refers to, for [`Store::unused`]; if only some of its steps were
    /// planned, together with what it referred to before.
    pub(crate) fn refer(
        &self,
        pipeline: &Path,
        mut objects: BTreeSet<String>,
        whole: bool,
    ) -> Result<(), ArtifactError> {
        let path = self.root.join(".pipelines").join(format!("{}.json", key(pipeline)));
        if !whole {
            let before = fs::read(&path).ok();
            let before: Option<PipelineRecord> =
                before.and_then(|text| serde_json::from_slice(&text).ok());
            objects.extend(before.into_iter().flat_map(|record| record.objects));
        }
        Self::write(&path, &PipelineRecord { pipeline: pipeline.to_owned(), objects })
    }

    fn write<T: Serialize>(path: &Path, value: &T) -> Result<(), ArtifactError> {
        let mut file = shared_file::create(path)?;
        file.write_json(value)?;
        file.commit().map(drop)
    }

    /// Checks that a link can be put at a path: nothing but a link is there, and it is not inside
    /// the store, whose results are never changed.
    pub(crate) fn check_link(&self, path: &Path) -> Result<(), ArtifactError> {
        let no = |kind, why| Err(ArtifactError::io(path)(io::Error::new(kind, why)));
        if path.exists() && !path.is_symlink() {
            return no(io::ErrorKind::AlreadyExists, "something else is there");
        }
        let above = path.ancestors().skip(1).find_map(|above| above.canonicalize().ok());
        let root = self.root.canonicalize().unwrap_or_else(|_| self.root.clone());
        if above.is_some_and(|above| above.starts_with(root)) {
            return no(io::ErrorKind::PermissionDenied, "a link cannot lie in the store");
        }
        Ok(())
    }

    fn link(&self, path: &Path, object: &str) -> Result<(), ArtifactError> {
        let target = self.object(object);
        self.check_link(path)?;
        if fs::read_link(path).is_ok_and(|old| old == target) {
            return Ok(());
        }
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(ArtifactError::io(folder))?;
        }
        let mut staged = path.as_os_str().to_owned();
        staged.push(format!(".{}", StagedFile::ENDING));
        let staged = PathBuf::from(staged);
        let put = || {
            std::os::unix::fs::symlink(&target, &staged)?;
            fs::rename(&staged, path)
        };
        if put().is_ok() {
            return Ok(());
        }
        // A run that was killed left its link; another file of this name stays.
        if staged.is_symlink() {
            remove_file_if_exists(&staged)?;
        }
        put().map_err(ArtifactError::io(path))
    }

    /// Returns what is staged, shared or finished, not being made, and referred to by no pipeline
    /// that is still there, nor among `kept`; and the records of runs that nobody needs. Pipelines
    /// with a name of `built_in` are always there.
    pub(crate) fn unused(
        &self,
        kept: &BTreeSet<String>,
        built_in: &dyn Fn(&str) -> bool,
    ) -> io::Result<Vec<Unused>> {
        let is_there = |pipeline: &str| built_in(pipeline) || Path::new(pipeline).exists();
        let mut kept = kept.clone();
        let records = self.root.join(".pipelines");
        for name in names(&records) {
            let text = fs::read(records.join(name))?;
            let Ok(record) = serde_json::from_slice::<PipelineRecord>(&text) else { continue };
            if is_there(&record.pipeline.to_string_lossy()) {
                kept.extend(record.objects);
            }
        }
        let mut found = Vec::new();
        for name in names(&self.root) {
            let prefix = [STAGING, SHARES].into_iter().find(|prefix| name.starts_with(prefix));
            let object = name.trim_start_matches(prefix.unwrap_or_default());
            // What led to a result is of no use once that is there.
            let needed =
                kept.contains(object) && (prefix.is_none() || !self.object(object).exists());
            if is_object(object) && !needed && !self.is_locked(object) {
                found.push(self.root.join(&name));
            }
        }
        found.extend(self.old_runs(&is_there));
        found.into_iter().map(|path| Ok(Unused { bytes: size(&path)?, path })).collect()
    }
}

/// Removes the locks in a folder and below: what they note is of this machine, and no result's.
fn remove_locks(folder: &Path) -> Result<(), ArtifactError> {
    for entry in fs::read_dir(folder).map_err(ArtifactError::io(folder))? {
        let path = entry.map_err(ArtifactError::io(folder))?.path();
        if path.is_dir() && !path.is_symlink() {
            remove_locks(&path)?;
        } else if path.ends_with(DirLock::FILE) {
            fs::remove_file(&path).map_err(ArtifactError::io(&path))?;
        }
    }
    Ok(())
}

/// Returns the name of the lock of a result's share.
pub(crate) fn share_lock(object: &str, share: &str) -> String {
    format!("{object}.{share}")
}

/// Returns whether a name is that of a result, `KIND-NAME-FINGERPRINT`: what else lies in the folder
/// is not ours.
fn is_object(name: &str) -> bool {
    let hex = |c: char| matches!(c, '0'..='9' | 'a'..='f');
    name.rsplit_once('-').is_some_and(|(before, fingerprint)| {
        let kind = before.split_once('-').map_or("", |(kind, _)| kind);
        !kind.is_empty()
            && kind.chars().all(|c| c.is_ascii_lowercase())
            && fingerprint.len() == SHORT
            && fingerprint.chars().all(hex)
    })
}

/// Returns what stands for a pipeline in the names of files.
fn key(pipeline: &Path) -> String {
    let name = Checksum::of(pipeline.as_os_str().as_encoded_bytes());
    format!("{:.16}", name.as_str())
}

/// The names in a folder, sorted; none where it is missing.
fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// Returns how many bytes the files of a folder have.
pub(crate) fn size(path: &Path) -> io::Result<u64> {
    let metadata = path.symlink_metadata()?;
    if !metadata.is_dir() {
        return Ok(metadata.len());
    }
    fs::read_dir(path)?.map(|entry| size(&entry?.path())).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_run_made_is_ever_unused() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::at(folder.path());
        let made = ["tokenize-a-0123456789abcdef", ".staging-pack-b-2-0123456789abcdef"];
        let others = [
            "photos",
            "a-b-c",
            "thesis-final-0123456789ABCDEF",
            "-a-0123456789abcdef",
            ".ssh",
            ".staging-x",
        ];
        for name in made.iter().chain(&others) {
            fs::create_dir(folder.path().join(name)).unwrap();
        }

        let unused = store.unused(&BTreeSet::new(), &|_| false).unwrap();

        let found: BTreeSet<_> = unused.iter().map(|unused| unused.path.as_path()).collect();
        let expected: Vec<_> = made.iter().map(|name| folder.path().join(name)).collect();
        assert_eq!(found, expected.iter().map(PathBuf::as_path).collect());
    }

    #[test]
    fn a_folder_of_other_things_is_no_store() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::at(folder.path());

        assert!(store.is_one().unwrap(), "an empty folder can become one");
        fs::create_dir(folder.path().join("runs")).unwrap();
        assert!(store.is_one().unwrap(), "a run that has only begun leaves this");
        fs::create_dir(folder.path().join("photos")).unwrap();
        assert!(!store.is_one().unwrap());
        fs::create_dir(folder.path().join(".locks")).unwrap();
        assert!(store.is_one().unwrap());
        assert!(Store::at(&folder.path().join("gone")).is_one().unwrap());
        assert!(Store::at(Path::new("/dev/full")).is_one().is_err());
    }
}
