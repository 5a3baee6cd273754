//! Files that appear whole or not at all, and the lock of a folder that is being written.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde::Serialize;

use crate::artifact_error::ArtifactError;
use crate::checksum::Checksum;
use crate::file_record::FileRecord;
use crate::narrow::narrow;
use crate::removal::remove_file_if_exists;

/// A file under a temporary name, hashed as it is written, that gets its own name when whole.
///
/// One process writes it at a time. Dropped before [`StagedFile::commit`] is done, it removes what
/// it wrote.
#[derive(Debug)]
pub struct StagedFile {
    path: PathBuf,
    staging: PathBuf,
    writer: Option<BufWriter<File>>,
    hasher: blake3::Hasher,
    bytes: u64,
}

impl StagedFile {
    /// The ending of a file that is not whole yet.
    pub const ENDING: &'static str = "partial";

    /// Creates the file that [`StagedFile::commit`] will name `path`, and the folders above it.
    ///
    /// # Errors
    ///
    /// The system refuses the folder or the file, or another run writes the same file.
    pub fn create(path: &Path) -> Result<Self, ArtifactError> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder).map_err(ArtifactError::io(folder))?;
        }
        let mut staging = path.as_os_str().to_owned();
        staging.push(".");
        staging.push(Self::ENDING);
        let staging = PathBuf::from(staging);
        let file = claim(&staging, path)?;
        Ok(Self {
            path: path.to_owned(),
            staging,
            writer: Some(BufWriter::with_capacity(1 << 18, file)),
            hasher: blake3::Hasher::new(),
            bytes: 0,
        })
    }

    /// Appends bytes.
    ///
    /// # Errors
    ///
    /// The system refuses the write, as on a full disk.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), ArtifactError> {
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
        match &mut self.writer {
            Some(writer) => writer.write_all(bytes).map_err(ArtifactError::io(&self.path)),
            None => Ok(()),
        }
    }

    /// Appends a value as indented JSON and a line end.
    ///
    /// # Errors
    ///
    /// As [`StagedFile::write`].
    pub fn write_json<T: Serialize>(&mut self, value: &T) -> Result<(), ArtifactError> {
        let mut text = serde_json::to_vec_pretty(value)
            .map_err(|wrong| ArtifactError::Io { path: self.path.clone(), source: wrong.into() })?;
        text.push(b'\n');
        self.write(&text)
    }

    /// Returns how many bytes were written so far.
    pub fn len(&self) -> u64 {
        self.bytes
    }

    /// Returns whether nothing was written yet.
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Makes the file durable, gives it its name, and returns its size and checksum.
    ///
    /// # Errors
    ///
    /// The system refuses one of the three.
    pub fn commit(mut self) -> Result<(u64, Checksum), ArtifactError> {
        if let Some(writer) = &mut self.writer {
            writer.flush().map_err(ArtifactError::io(&self.path))?;
            writer.get_ref().sync_all().map_err(ArtifactError::io(&self.path))?;
        }
        fs::rename(&self.staging, &self.path).map_err(ArtifactError::io(&self.path))?;
        // Closed only now, and with it unlocked: the temporary name is free.
        self.writer = None;
        sync_folder_of(&self.path)?;
        Ok((self.bytes, self.hasher.finalize().into()))
    }

    /// Commits the file and returns its record in the artifact folder `root`.
    ///
    /// # Errors
    ///
    /// As [`StagedFile::commit`]; or the file lies elsewhere, or at a path that is not UTF-8.
    pub fn commit_record(self, root: &Path) -> Result<FileRecord, ArtifactError> {
        let path = FileRecord::relative(root, &self.path)?;
        let (bytes, blake3) = self.commit()?;
        Ok(FileRecord { path, bytes, blake3 })
    }
}

impl Write for StagedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match Self::write(self, bytes) {
            Ok(()) => Ok(bytes.len()),
            Err(ArtifactError::Io { source, .. }) => Err(source),
            Err(other) => Err(io::Error::other(other)),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        if let Some(writer) = self.writer.take() {
            // Nothing can be told from a drop; a left-over partial file is overwritten next time.
            drop(fs::remove_file(&self.staging));
            // What was not written yet is of no use, and only now another run may begin the file.
            drop(writer.into_parts());
        }
    }
}

/// Returns how many bytes the file system of a folder has left for this user; none where it does
/// not say.
pub fn free_space(folder: &Path) -> Option<u64> {
    let system = rustix::fs::statvfs(folder).ok()?;
    system.f_bavail.checked_mul(system.f_frsize)
}

/// Creates an empty file in the place of an existing one, which may be a link or a second name of
/// another file, whose content must not change.
pub(crate) fn create_new_file(path: &Path) -> Result<File, ArtifactError> {
    remove_file_if_exists(path)?;
    File::options().write(true).create_new(true).open(path).map_err(ArtifactError::io(path))
}

/// Opens the temporary file of `path`, empty and locked, so that two runs do not mix their bytes.
///
/// What has that name may be a link, or a second name of another file: it is replaced, and never
/// written through.
fn claim(staging: &Path, path: &Path) -> Result<File, ArtifactError> {
    loop {
        let foreign = |there: fs::Metadata| !there.is_file() || there.nlink() > 1;
        if fs::symlink_metadata(staging).is_ok_and(foreign) {
            remove_file_if_exists(staging)?;
        }
        let mut options = File::options();
        let options = options.create(true).truncate(false).write(true);
        let file = options.open(staging).map_err(ArtifactError::io(staging))?;
        // A file system without locks cannot keep two runs apart, and one is the usual case.
        let locked = flock(&file, FlockOperation::NonBlockingLockExclusive);
        if locked == Err(rustix::io::Errno::WOULDBLOCK) {
            return Err(ArtifactError::Busy { path: path.to_owned() });
        }
        // Between opening and locking, another run may have given the file its name.
        if leads_to(staging, &file).map_err(ArtifactError::io(staging))? {
            file.set_len(0).map_err(ArtifactError::io(staging))?;
            return Ok(file);
        }
    }
}

/// Returns whether a path still leads to an open file, and not by a link.
fn leads_to(path: &Path, file: &File) -> io::Result<bool> {
    let ours = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(there) => Ok((there.dev(), there.ino()) == (ours.dev(), ours.ino())),
        Err(wrong) if wrong.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(wrong) => Err(wrong),
    }
}

/// Makes a rename in the folder of `path` durable.
///
/// # Errors
///
/// The system refuses to open or sync the folder.
pub fn sync_folder_of(path: &Path) -> Result<(), ArtifactError> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(ArtifactError::io(folder))
}

/// The right to write into a folder, held by one process at a time and freed when it ends.
///
/// The lock's file keeps a note of its last holder to the next: what is true on this machine alone,
/// such as when an input was last changed, and so cannot be part of the artifact. It is the one file
/// of the folder that is no part of it, and it is written by its holder alone.
#[derive(Debug)]
pub struct DirLock {
    file: File, // the system frees the lock when the file is closed, however the process ends
}

impl DirLock {
    /// The name of the lock file; it stays when the lock is freed.
    pub const FILE: &'static str = ".ratdata-lock";

    /// How large a note may be: a file that is larger was not written by this program.
    const LARGEST_NOTE: u64 = 1 << 30;

    /// Takes the lock of `folder`, which is made where it is missing.
    ///
    /// # Errors
    ///
    /// [`ArtifactError::Locked`] when another process holds it.
    pub fn take(folder: &Path) -> Result<Self, ArtifactError> {
        fs::create_dir_all(folder).map_err(ArtifactError::io(folder))?;
        let path = folder.join(Self::FILE);
        let file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(ArtifactError::io(&path))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { file }),
            Err(rustix::io::Errno::WOULDBLOCK) => {
                Err(ArtifactError::Locked { path: folder.to_owned() })
            }
            Err(other) => Err(ArtifactError::Io { path, source: other.into() }),
        }
    }

    /// Returns what the last holder noted; nothing where it cannot be read.
    pub fn note(&self) -> Vec<u8> {
        let len = self.file.metadata().map_or(0, |metadata| metadata.len());
        let len = if len <= Self::LARGEST_NOTE { narrow(len) } else { 0 };
        let mut note = vec![0; len];
        match self.file.read_exact_at(&mut note, 0) {
            Ok(()) => note,
            Err(_) => Vec::new(),
        }
    }

    /// Notes something for the next holder.
    ///
    /// A note that is cut off by a kill or a full disk is lost, so it must be one that can be.
    pub fn leave(&self, note: &[u8]) {
        if self.note() != note {
            drop(self.file.set_len(0).and_then(|()| self.file.write_all_at(note, 0)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_its_name_only_when_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/x.bin");

        let mut file = StagedFile::create(&path).unwrap();
        file.write(b"abc").unwrap();
        assert!(!path.exists());
        let (bytes, checksum) = file.commit().unwrap();

        assert_eq!(fs::read(&path).unwrap(), b"abc");
        assert_eq!((bytes, checksum), (3, Checksum::of(b"abc")));
    }

    #[test]
    fn a_file_that_is_given_up_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();

        let mut file = StagedFile::create(&folder.path().join("x.bin")).unwrap();
        file.write(b"abc").unwrap();
        drop(file);

        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_stands_where_a_file_is_staged_is_replaced_and_not_written_through() {
        let folder = tempfile::tempdir().unwrap();
        let [own, link, path] = ["own", "link.partial", "x.partial"].map(|n| folder.path().join(n));
        File::create(&own).unwrap().write_all(b"precious").unwrap();
        fs::hard_link(&own, &path).unwrap();
        std::os::unix::fs::symlink(&own, &link).unwrap();

        for name in ["x", "link"] {
            let mut file = StagedFile::create(&folder.path().join(name)).unwrap();
            file.write(b"abc").unwrap();
            file.commit().unwrap();
        }

        assert_eq!(fs::read(&own).unwrap(), b"precious");
    }

    #[test]
    fn a_file_has_one_writer_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.bin");

        let mut first = StagedFile::create(&path).unwrap();
        first.write(b"first").unwrap();
        let second = StagedFile::create(&path);
        assert!(matches!(second, Err(ArtifactError::Busy { .. })));
        first.commit().unwrap();
        let mut third = StagedFile::create(&path).unwrap();
        third.write(b"3").unwrap();

        assert_eq!(fs::read(&path).unwrap(), b"first", "until the third is whole");
        third.commit().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"3");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_a_killed_run_left_of_a_file_is_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.bin");
        File::create(folder.path().join("x.bin.partial")).unwrap().write_all(b"long rest").unwrap();

        let mut file = StagedFile::create(&path).unwrap();
        file.write(b"new").unwrap();
        file.commit().unwrap();

        assert_eq!(fs::read(&path).unwrap(), b"new");
    }

    #[test]
    fn a_folder_has_one_writer() {
        let folder = tempfile::tempdir().unwrap();

        let first = DirLock::take(folder.path()).unwrap();
        let second = DirLock::take(folder.path());
        assert!(matches!(second, Err(ArtifactError::Locked { .. })));
        drop(first);

        DirLock::take(folder.path()).unwrap();
    }

    #[test]
    fn a_holder_leaves_a_note_to_the_next() {
        let folder = tempfile::tempdir().unwrap();

        let first = DirLock::take(folder.path()).unwrap();
        assert_eq!(first.note(), b"");
        first.leave(b"a long note");
        first.leave(b"a note");
        drop(first);

        assert_eq!(DirLock::take(folder.path()).unwrap().note(), b"a note");
    }
}
