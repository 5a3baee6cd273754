//! Delivers an artifact to an object store: each file when it is whole, receipts after their shards, and the manifest
//! last.
//!
//! The job works in a folder of this machine, where it is as any other job. What the store has is what counts: the
//! folder's notes are taken from there, so that the same command continues on another machine, too. A shard that has
//! arrived is removed from the folder, which so holds few of them at a time.
//!
//! ```text
//! s3://BUCKET/OUT/shards/…            appear whole or not at all
//! s3://BUCKET/OUT/.job/done/STEM.json after the file's shards
//! s3://BUCKET/OUT/manifest.json       last; then .job is removed
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::Builder;

use ratdata_objects::{Address, Object, ObjectError, list, put, remove, upload};
use ratdata_schemas::{
    ArtifactError, Checksum, FileRecord, JOB_FOLDER, MANIFEST_FILE, Manifest, RelativePath,
    remove_file_if_exists, write_bytes,
};

use super::error::JobError;
use crate::hub::cache_folder;

/// The folder, within the cache, of artifacts that are on their way to a store.
const OUTGOING: &str = "outgoing";

/// How many objects are written at once.
const AT_ONCE: usize = 8;

/// An artifact in an object store, and the folder in which it is made.
#[derive(Debug)]
pub(super) struct Delivery {
    root: Address,
    folder: PathBuf,
    /// The objects below the root by their names there, with their sizes.
    there: Mutex<BTreeMap<String, u64>>,
}

impl Delivery {
    /// Returns the delivery to an output; none where it is a folder of this machine.
    ///
    /// # Errors
    ///
    /// It is no right address, or one that cannot be written to.
    pub(super) fn to(out: &Path) -> Result<Option<Self>, JobError> {
        let read = out.to_str().map_or(Ok(None), Address::read).map_err(ObjectError::from)?;
        let Some(root) = read else { return Ok(None) };
        if !root.scheme().is_store() {
            return Err(ObjectError::NoStore { address: root }.into());
        }
        let hash = Checksum::of(root.to_string().as_bytes());
        let folder = cache_folder().join(OUTGOING).join(format!("{:.16}", hash.as_str()));
        Ok(Some(Self { root, folder, there: Mutex::default() }))
    }

    /// Returns the folder in which the artifact is made.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the address that it is delivered to, as a path.
    pub(super) fn called(&self) -> PathBuf {
        self.root.path()
    }

    /// Looks at what is in the store, and takes its manifest and receipts into the folder, which is locked.
    ///
    /// # Errors
    ///
    /// The store cannot be read, or the folder cannot be written.
    pub(super) fn take_up(&self) -> Result<(), JobError> {
        remove_file_if_exists(&self.folder.join(MANIFEST_FILE))?;
        let mut there = BTreeMap::new();
        for (address, state) in list(&self.root)? {
            let Some(name) = self.root.below(&address) else { continue };
            if (name == MANIFEST_FILE || is_note(name))
                && let Ok(path) = RelativePath::new(name)
            {
                let bytes = Object::open(&address)?.read()?;
                write_bytes(&path.below(&self.folder), &bytes)?;
            }
            there.insert(name.to_owned(), state.bytes);
        }
        *self.lock() = there;
        Ok(())
    }

    /// Returns whether a file is in the store, with the size that was recorded.
    pub(super) fn has(&self, record: &FileRecord) -> bool {
        self.lock().get(record.path.as_str()) == Some(&record.bytes)
    }

    /// Returns whether a note of the job is in the store.
    pub(super) fn has_note(&self, path: &Path) -> bool {
        self.name_of(path).is_some_and(|name| self.lock().contains_key(&name))
    }

    /// Delivers a file that is whole, and removes it from the folder; one that has arrived stays as it is.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or the store refuses it.
    pub(super) fn deliver(&self, record: &FileRecord) -> Result<(), JobError> {
        if !record.is_whole(&self.folder) {
            return Ok(());
        }
        let name = record.path.as_str();
        upload(&record.place(&self.folder), &self.root.join(name))?;
        self.lock().insert(name.to_owned(), record.bytes);
        Ok(record.remove(&self.folder)?)
    }

    /// Delivers files that are whole, several at once.
    ///
    /// # Errors
    ///
    /// As of [`Delivery::deliver`].
    pub(super) fn deliver_all(&self, records: &[&FileRecord]) -> Result<(), JobError> {
        at_once(records, |record| self.deliver(record))
    }

    /// Delivers a note of the job: what it is, or a receipt.
    ///
    /// # Errors
    ///
    /// As of [`Delivery::deliver`].
    pub(super) fn note(&self, path: &Path) -> Result<(), JobError> {
        let Some(name) = self.name_of(path) else { return Ok(()) };
        let bytes = fs::read(path).map_err(ArtifactError::io(path))?;
        let length = bytes.len() as u64;
        put(&self.root.join(&name), bytes)?;
        self.lock().insert(name, length);
        Ok(())
    }

    /// Takes back a note that does not hold any more.
    ///
    /// # Errors
    ///
    /// The store refuses.
    pub(super) fn forget(&self, path: &Path) -> Result<(), JobError> {
        match self.name_of(path) {
            Some(name) => self.remove(&[name]),
            None => Ok(()),
        }
    }

    /// Takes the manifest back, so that what is in the store is no artifact while it is written.
    ///
    /// # Errors
    ///
    /// The store refuses.
    pub(super) fn withdraw(&self) -> Result<(), JobError> {
        self.remove(&[MANIFEST_FILE.to_owned()])
    }

    /// Removes what any job has left: the manifest first, then these files, then the notes.
    ///
    /// # Errors
    ///
    /// The store refuses.
    pub(super) fn clear(&self, files: &[FileRecord]) -> Result<(), JobError> {
        self.withdraw()?;
        let names: Vec<String> = files.iter().map(|file| file.path.to_string()).collect();
        self.remove(&names)?;
        self.remove_notes()
    }

    /// Makes what was delivered an artifact; what is left of the job is removed.
    ///
    /// # Errors
    ///
    /// The store refuses.
    pub(super) fn finish(&self, manifest: &Manifest) -> Result<(), JobError> {
        self.deliver_all(&manifest.files())?;
        self.note(&self.folder.join(MANIFEST_FILE))?;
        self.remove_notes()
    }

    fn remove_notes(&self) -> Result<(), JobError> {
        let notes: Vec<String> = self.lock().keys().filter(|name| is_note(name)).cloned().collect();
        self.remove(&notes)
    }

    /// Removes those of these objects that are there.
    fn remove(&self, names: &[String]) -> Result<(), JobError> {
        let there = names.iter().filter(|name| self.lock().remove(*name).is_some());
        let there: Vec<Address> = there.map(|name| self.root.join(name)).collect();
        Ok(remove(&there)?)
    }

    /// Returns the name below the root of a file in the folder.
    fn name_of(&self, path: &Path) -> Option<String> {
        Some(path.strip_prefix(&self.folder).ok()?.to_str()?.to_owned())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, u64>> {
        self.there.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Does the same with many things, several at once: each waits for the store, and for no other.
fn at_once<T: Sync>(
    things: &[T],
    work: impl Fn(&T) -> Result<(), JobError> + Sync,
) -> Result<(), JobError> {
    let next = AtomicUsize::new(0);
    let worker = || {
        while let Some(thing) = things.get(next.fetch_add(1, Ordering::Relaxed)) {
            work(thing)?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        // Where no thread can be started, this one does all.
        let others = (1..AT_ONCE.min(things.len()))
            .filter_map(|_| Builder::new().spawn_scoped(scope, worker).ok());
        let others: Vec<_> = others.collect();
        let own = worker();
        others
            .into_iter()
            .fold(own, |done, other| done.and(other.join().unwrap_or(Err(JobError::Panicked))))
    })
}

/// Returns whether an object is a note of a job that is not finished.
fn is_note(name: &str) -> bool {
    name.strip_prefix(JOB_FOLDER).is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    /// A delivery to a bucket of its own name, made in a folder of its own.
    fn delivery(bucket: &str) -> (Delivery, TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let root = Address::read(&format!("memory://{bucket}/out")).unwrap().unwrap();
        let delivery = Delivery { root, folder: folder.path().to_owned(), there: Mutex::default() };
        delivery.take_up().unwrap();
        (delivery, folder)
    }

    fn write(delivery: &Delivery, name: &str, text: &str) -> FileRecord {
        let path = RelativePath::new(name).unwrap();
        write_bytes(&path.below(&delivery.folder), text.as_bytes()).unwrap();
        FileRecord { path, bytes: text.len() as u64, blake3: Checksum::of(text.as_bytes()) }
    }

    #[test]
    fn a_file_that_has_arrived_leaves_the_folder_and_another_machine_finds_it() {
        let (first, _one) = delivery("delivery-arrives");
        let record = write(&first, "shards/x.bin", "tokens");
        let receipt = write(&first, ".job/done/x.json", "{}").place(&first.folder);

        first.deliver(&record).unwrap();
        first.note(&receipt).unwrap();
        let (second, _two) = delivery("delivery-arrives");

        assert!(first.has(&record) && !record.is_whole(&first.folder));
        assert!(second.has(&record) && !record.is_whole(&second.folder));
        assert_eq!(fs::read(second.folder.join(".job/done/x.json")).unwrap(), b"{}");
        assert!(second.has_note(&second.folder.join(".job/done/x.json")));
        let other = FileRecord { bytes: 7, ..record };
        assert!(!second.has(&other), "it has another size");
    }

    #[test]
    fn what_the_store_does_not_have_is_no_manifest_of_the_folder() {
        let (first, _one) = delivery("delivery-manifest");
        write(&first, MANIFEST_FILE, "{}");

        first.take_up().unwrap();
        assert!(!first.folder.join(MANIFEST_FILE).exists());
        first.note(&write(&first, MANIFEST_FILE, "{}").place(&first.folder)).unwrap();
        let (second, _two) = delivery("delivery-manifest");

        assert!(second.folder.join(MANIFEST_FILE).exists());
    }

    #[test]
    fn all_things_are_done_once_and_a_failure_is_reported() {
        let done = Mutex::new(Vec::new());
        let numbers: Vec<usize> = (0..100).collect();
        let work = |&number: &usize| {
            done.lock().unwrap().push(number);
            if number == 70 { Err(JobError::Interrupted) } else { Ok(()) }
        };

        at_once(&numbers[..70], work).unwrap();
        let mut all = std::mem::take(&mut *done.lock().unwrap());
        let failed = at_once(&numbers, work);

        all.sort_unstable();
        assert_eq!(all, numbers[..70]);
        assert!(matches!(failed, Err(JobError::Interrupted)));
        at_once(&[], work).unwrap();
    }

    #[test]
    fn a_job_is_cleared_without_the_files_of_others() {
        let (first, _one) = delivery("delivery-clear");
        let [own, theirs] = ["shards/x.bin", "theirs.txt"].map(|name| write(&first, name, "text"));
        let note = write(&first, ".job/done/x.json", "{}").place(&first.folder);
        for record in [&own, &theirs] {
            first.deliver(record).unwrap();
        }
        first.note(&note).unwrap();

        first.clear(std::slice::from_ref(&own)).unwrap();
        let (second, _two) = delivery("delivery-clear");

        assert!(!second.has(&own) && second.has(&theirs));
        assert!(!second.folder.join(".job").exists());
    }

    #[test]
    fn only_stores_are_delivered_to() {
        assert!(Delivery::to(Path::new("data/tokens")).unwrap().is_none());
        let web = Delivery::to(Path::new("https://example.org/tokens")).unwrap_err();
        let store = Delivery::to(Path::new("s3://bucket/tokens")).unwrap().unwrap();

        assert!(matches!(web, JobError::Object(ObjectError::NoStore { .. })), "{web}");
        assert_eq!(store.called(), PathBuf::from("s3://bucket/tokens"));
    }
}
