//! The store: results by fingerprint, a lock each, and the records of runs.
//!
//! ```text
//! STORE/KIND-NAME-FINGERPRINT/           a result, whole and never changed
//! STORE/.staging-KIND-NAME-FINGERPRINT/  one that is being made; kept between attempts
//! STORE/.shares-KIND-NAME-FINGERPRINT/   shares of one, made by tasks of an array
//! STORE/.locks/                          one lock a result
//! STORE/.recipes/NAME.json               what the step was last made from
//! STORE/.pipelines/HASH.json             what a pipeline referred to when it last ran
//! STORE/runs/RUN/                        events, the resolved pipeline, a log a step
//! ```

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ratdata_schemas::artifact::sync_folder_of;
use ratdata_schemas::{ArtifactError, Checksum, DirLock, StagedFile};
use ratdata_tokenize::Share;
use rustix::fs::{FlockOperation, flock};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

const STAGING: &str = ".staging-";
const SHARES: &str = ".shares-";

/// Where the folder of a result's shares says which of them are done.
pub(crate) const DONE: &str = "done";

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
        names(&self.root)
            .into_iter()
            .filter(|name| !name.starts_with('.') && name != "runs")
            .collect()
    }

    /// Returns the names of the steps that were made before, read in one go.
    pub(crate) fn remembered(&self) -> BTreeSet<String> {
        let names = names(&self.root.join(".recipes"));
        names.iter().filter_map(|name| name.strip_suffix(".json").map(Into::into)).collect()
    }

    /// Returns what a step was last made from.
    pub(crate) fn last<R: DeserializeOwned>(&self, step: &str) -> Option<R> {
        let text = fs::read(self.root.join(".recipes").join(format!("{step}.json"))).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Makes the folder of a new run, whose names sort by time.
    pub(crate) fn new_run(&self) -> io::Result<PathBuf> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let run = self.root.join("runs").join(format!("{now:014}-{}", std::process::id()));
        fs::create_dir_all(run.join("steps"))?;
        Ok(run)
    }

    /// Returns the folders of the runs, the newest first.
    pub(crate) fn runs(&self) -> Vec<PathBuf> {
        let runs = self.root.join("runs");
        names(&runs).into_iter().rev().map(|name| runs.join(name)).collect()
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
        let folder = self.root.join(".locks");
        fs::create_dir_all(&folder)?;
        let path = folder.join(object);
        let file =
            File::options().create(true).truncate(false).read(true).write(true).open(path)?;
        let mut told = false;
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Some(file)),
                Err(rustix::io::Errno::WOULDBLOCK) => {}
                Err(other) => return Err(other.into()),
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
        let lock = staging.join(DirLock::FILE);
        if lock.exists() {
            fs::remove_file(&lock).map_err(refused(&lock))?;
        }
        fs::rename(&staging, &whole).map_err(refused(&whole))?;
        sync_folder_of(&whole)?;
        remove(&self.shares(object))
    }

    /// Records that a result is what the step now stands for.
    pub(crate) fn remember<R: Serialize + DeserializeOwned + PartialEq>(
        &self,
        step: &str,
        object: &str,
        recipe: &R,
        publish: Option<&Path>,
    ) -> Result<(), ArtifactError> {
        if self.last(step).as_ref() != Some(recipe) {
            let path = self.root.join(".recipes").join(format!("{step}.json"));
            Self::write(&path, recipe)?;
        }
        publish.map_or(Ok(()), |path| self.link(path, object))
    }

    /// Records what a pipeline refers to, for [`Store::unused`]; where only some of its steps were
    /// planned, beside what it referred to before.
    pub(crate) fn refer(
        &self,
        pipeline: &Path,
        mut objects: BTreeSet<String>,
        whole: bool,
    ) -> Result<(), ArtifactError> {
        let pipeline = pipeline.canonicalize().unwrap_or_else(|_| pipeline.to_owned());
        let name = Checksum::of(pipeline.as_os_str().as_encoded_bytes());
        let path = self.root.join(".pipelines").join(format!("{:.16}.json", name.as_str()));
        if !whole {
            let before = fs::read(&path).ok();
            let before: Option<PipelineRecord> =
                before.and_then(|text| serde_json::from_slice(&text).ok());
            objects.extend(before.into_iter().flat_map(|record| record.objects));
        }
        Self::write(&path, &PipelineRecord { pipeline, objects })
    }

    /// Writes a file that several runs may write at the same time: each its own, then a rename.
    fn write<T: Serialize>(path: &Path, value: &T) -> Result<(), ArtifactError> {
        let own = path.with_extension(format!("{}.json", unique()));
        let mut file = StagedFile::create(&own)?;
        file.write_json(value)?;
        file.commit()?;
        fs::rename(&own, path).map_err(refused(path))
    }

    fn link(&self, path: &Path, object: &str) -> Result<(), ArtifactError> {
        let target = self.object(object);
        if fs::read_link(path).is_ok_and(|old| old == target) {
            return Ok(());
        }
        if path.exists() && !path.is_symlink() {
            let source = io::Error::new(io::ErrorKind::AlreadyExists, "something else is there");
            return Err(refused(path)(source));
        }
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(refused(folder))?;
        }
        let mut staged = path.as_os_str().to_owned();
        staged.push(format!(".{}.{}", unique(), StagedFile::ENDING));
        std::os::unix::fs::symlink(&target, &staged).map_err(refused(path))?;
        fs::rename(&staged, path).map_err(refused(path))
    }

    /// Returns what is staged, shared or finished, not being made, and referred to by no pipeline
    /// that is still there, nor among `kept`; pipelines with a name of `built_in` are always there.
    pub(crate) fn unused(
        &self,
        kept: &BTreeSet<String>,
        built_in: &dyn Fn(&str) -> bool,
    ) -> io::Result<Vec<Unused>> {
        let mut kept = kept.clone();
        let records = self.root.join(".pipelines");
        for name in names(&records) {
            let text = fs::read(records.join(name))?;
            let Ok(record) = serde_json::from_slice::<PipelineRecord>(&text) else { continue };
            if built_in(&record.pipeline.to_string_lossy()) || record.pipeline.exists() {
                kept.extend(record.objects);
            }
        }
        let mut found = Vec::new();
        for name in names(&self.root) {
            let prefix = [STAGING, SHARES].into_iter().find(|prefix| name.starts_with(prefix));
            let object = name.trim_start_matches(prefix.unwrap_or_default());
            let ours = prefix.is_some() || (!name.starts_with('.') && name != "runs");
            if ours && !kept.contains(object) && !self.is_locked(object) {
                let path = self.root.join(&name);
                found.push(Unused { bytes: size(&path)?, path });
            }
        }
        Ok(found)
    }
}

/// A word that no other process and no other thread uses at the same time.
fn unique() -> String {
    use std::sync::atomic::AtomicU64;
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// The names in a folder, sorted; none where it is missing.
fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

fn refused(path: &Path) -> impl Fn(io::Error) -> ArtifactError + use<> {
    let path = path.to_owned();
    move |source| ArtifactError::Io { path: path.clone(), source }
}

/// Removes a folder and all in it, where it is there.
pub(crate) fn remove(folder: &Path) -> Result<(), ArtifactError> {
    match fs::remove_dir_all(folder) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(refused(folder)(source)),
        _ => Ok(()),
    }
}

/// Returns how many bytes the files of a folder have.
pub(crate) fn size(path: &Path) -> io::Result<u64> {
    let metadata = path.symlink_metadata()?;
    if !metadata.is_dir() {
        return Ok(metadata.len());
    }
    fs::read_dir(path)?.map(|entry| size(&entry?.path())).sum()
}
