//! Files that appear whole or not at all, and the lock of a folder that is being written.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde::Serialize;
use thiserror::Error;

use crate::checksum::Checksum;
use crate::file_record::FileRecord;

/// Why an artifact could not be written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ArtifactError {
    /// The operating system refused.
    #[error("{}: cannot write: {source}", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another run writes into the folder.
    #[error("{}: another run is writing into this folder", .path.display())]
    Locked {
        /// The folder.
        path: PathBuf,
    },
}

impl ArtifactError {
    /// Returns what the user can do about it, where there is something to do.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Locked { .. } => Some("wait for it to end, or choose another `--out`"),
            Self::Io { source, .. } => match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                    Some("free some space and run the same command again; finished shards are kept")
                }
                io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => {
                    Some("a file stands where a folder is needed; choose another `--out`")
                }
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                    Some("choose a folder that you may write with `--out`")
                }
                _ => None,
            },
        }
    }
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> ArtifactError + '_ {
    |source| ArtifactError::Io { path: path.to_owned(), source }
}

/// A file under a temporary name, hashed as it is written, that gets its own name when whole.
///
/// Dropped before [`StagedFile::commit`], it removes what it wrote.
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
    /// The system refuses the folder or the file.
    pub fn create(path: &Path) -> Result<Self, ArtifactError> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder).map_err(io_error(folder))?;
        }
        let mut staging = path.as_os_str().to_owned();
        staging.push(".");
        staging.push(Self::ENDING);
        let staging = PathBuf::from(staging);
        let file = File::create(&staging).map_err(io_error(&staging))?;
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
            Some(writer) => writer.write_all(bytes).map_err(io_error(&self.path)),
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
        if let Some(writer) = self.writer.take() {
            let file =
                writer.into_inner().map_err(|failed| io_error(&self.path)(failed.into_error()))?;
            file.sync_all().map_err(io_error(&self.path))?;
        }
        fs::rename(&self.staging, &self.path).map_err(io_error(&self.path))?;
        sync_folder_of(&self.path)?;
        Ok((self.bytes, self.hasher.finalize().into()))
    }

    /// Commits the file and returns its record in the artifact folder `root`.
    ///
    /// # Errors
    ///
    /// As [`StagedFile::commit`].
    pub fn commit_record(self, root: &Path) -> Result<FileRecord, ArtifactError> {
        let relative = self.path.strip_prefix(root).unwrap_or(&self.path);
        let path = relative
            .components()
            .map(|part| part.as_os_str().to_string_lossy())
            .collect::<Vec<_>>()
            .join("/");
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
        if self.writer.take().is_some() {
            // Nothing can be told from a drop; a left-over partial file is overwritten next time.
            drop(fs::remove_file(&self.staging));
        }
    }
}

/// Returns how many bytes the file system of a folder has left for this user; none where it does
/// not say.
pub fn free_space(folder: &Path) -> Option<u64> {
    let system = rustix::fs::statvfs(folder).ok()?;
    system.f_bavail.checked_mul(system.f_frsize)
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
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io_error(folder))
}

/// The right to write into a folder, held by one process at a time and freed when it ends.
#[derive(Debug)]
pub struct DirLock {
    _file: File, // the system frees the lock when the file is closed, however the process ends
}

impl DirLock {
    /// The name of the lock file; it stays, empty, when the lock is freed.
    pub const FILE: &'static str = ".ratdata-lock";

    /// Takes the lock of `folder`, which is made where it is missing.
    ///
    /// # Errors
    ///
    /// [`ArtifactError::Locked`] when another process holds it.
    pub fn take(folder: &Path) -> Result<Self, ArtifactError> {
        fs::create_dir_all(folder).map_err(io_error(folder))?;
        let path = folder.join(Self::FILE);
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(io_error(&path))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { _file: file }),
            Err(rustix::io::Errno::WOULDBLOCK) => {
                Err(ArtifactError::Locked { path: folder.to_owned() })
            }
            Err(other) => Err(ArtifactError::Io { path, source: other.into() }),
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
    fn a_folder_has_one_writer() {
        let folder = tempfile::tempdir().unwrap();

        let first = DirLock::take(folder.path()).unwrap();
        let second = DirLock::take(folder.path());
        assert!(matches!(second, Err(ArtifactError::Locked { .. })));
        drop(first);

        DirLock::take(folder.path()).unwrap();
    }
}
