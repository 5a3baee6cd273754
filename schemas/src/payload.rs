//! Files whose content is another file's: linked, or copied by the system without passing through us.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::artifact::{StagedFile, create_new_file, sync_folder_of};
use crate::artifact_error::ArtifactError;
use crate::regular::open_regular;
use crate::removal::remove_file_if_exists;

/// How the content of a file came to its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Carried {
    /// By a second name for the same bytes.
    Linked,
    /// By the system's own copy, which shares blocks where the file system can.
    Copied,
}

/// How much is copied between two looks at whether the user has stopped it.
const PIECE: u64 = 16 << 20;

/// A file under a temporary name that takes the bytes of other files, and is not hashed.
///
/// Dropped before [`PayloadFile::commit`] is done, it removes what it wrote.
#[derive(Debug)]
pub struct PayloadFile {
    path: PathBuf,
    staging: PathBuf,
    writer: Option<BufWriter<File>>,
    bytes: u64,
    stopped: fn() -> bool,
}

impl PayloadFile {
    /// Creates the file that [`PayloadFile::commit`] will name `path`, and the folders above it.
    ///
    /// # Errors
    ///
    /// The system refuses the folder or the file.
    pub fn create(path: &Path) -> Result<Self, ArtifactError> {
        let staging = staging_of(path)?;
        let file = create_new_file(&staging)?;
        let writer = Some(BufWriter::with_capacity(1 << 18, file));
        Ok(Self { path: path.to_owned(), staging, writer, bytes: 0, stopped: || false })
    }

    /// Ends what is copied, once `stopped` says so.
    #[must_use]
    pub fn unless(mut self, stopped: fn() -> bool) -> Self {
        self.stopped = stopped;
        self
    }

    /// Appends bytes of our own.
    ///
    /// # Errors
    ///
    /// The system refuses the write.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), ArtifactError> {
        self.bytes += bytes.len() as u64;
        match &mut self.writer {
            Some(writer) => writer.write_all(bytes).map_err(ArtifactError::io(&self.path)),
            None => Ok(()),
        }
    }

    /// Appends `len` bytes of the file `source` from byte `from` on, copied by the system.
    ///
    /// # Errors
    ///
    /// The system refuses, the source ends before, or the user stopped it, which is
    /// [`io::ErrorKind::Interrupted`].
    pub fn copy_from(&mut self, source: &Path, from: u64, len: u64) -> Result<(), ArtifactError> {
        let Some(writer) = &mut self.writer else { return Ok(()) };
        let mut open = open_regular(source).map_err(ArtifactError::io(source))?;
        open.seek(SeekFrom::Start(from)).map_err(ArtifactError::io(source))?;
        writer.flush().map_err(ArtifactError::io(&self.path))?;
        let mut left = len;
        while left > 0 {
            if (self.stopped)() {
                return Err(ArtifactError::io(&self.path)(io::ErrorKind::Interrupted.into()));
            }
            let mut piece = Read::by_ref(&mut open).take(left.min(PIECE));
            // From file to file the standard library asks the system to copy (`copy_file_range`).
            let copied =
                io::copy(&mut piece, writer.get_mut()).map_err(ArtifactError::io(&self.path))?;
            if copied == 0 {
                break;
            }
            left -= copied;
            self.bytes += copied;
        }
        if left == 0 {
            return Ok(());
        }
        let ended = format!("it ends {left} bytes before what was to be copied");
        Err(ArtifactError::io(source)(io::Error::new(io::ErrorKind::UnexpectedEof, ended)))
    }

    /// Returns how many bytes were written so far.
    pub fn len(&self) -> u64 {
        self.bytes
    }

    /// Returns whether nothing was written yet.
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Makes the file durable, gives it its name and returns its size.
    ///
    /// # Errors
    ///
    /// The system refuses one of the two.
    pub fn commit(mut self) -> Result<u64, ArtifactError> {
        if let Some(writer) = &mut self.writer {
            writer.flush().map_err(ArtifactError::io(&self.path))?;
            writer.get_ref().sync_all().map_err(ArtifactError::io(&self.path))?;
        }
        fs::rename(&self.staging, &self.path).map_err(ArtifactError::io(&self.path))?;
        self.writer = None;
        sync_folder_of(&self.path)?;
        Ok(self.bytes)
    }
}

impl Drop for PayloadFile {
    fn drop(&mut self) {
        if let Some(writer) = self.writer.take() {
            // Nothing can be told from a drop; a left-over partial file is overwritten next time.
            drop(fs::remove_file(&self.staging));
            // What was not written yet is of no use.
            drop(writer.into_parts());
        }
    }
}

/// Gives the whole file `source` the name `path` too, or copies it where that cannot be or where
/// `link` says no.
///
/// # Errors
///
/// The system refuses both.
pub fn carry(source: &Path, path: &Path, link: bool) -> Result<Carried, ArtifactError> {
    carry_unless(source, path, link, || false)
}

/// Carries a file as [`carry`] does, unless `stopped` says so on the way.
///
/// # Errors
///
/// As [`carry`]; or the user stopped it, which is [`io::ErrorKind::Interrupted`].
pub fn carry_unless(
    source: &Path,
    path: &Path,
    link: bool,
    stopped: fn() -> bool,
) -> Result<Carried, ArtifactError> {
    if link {
        let staging = staging_of(path)?;
        remove_file_if_exists(&staging)?;
        // A link to a link would name the link: the file itself is what is wanted.
        let real = fs::canonicalize(source).map_err(ArtifactError::io(source))?;
        if fs::hard_link(&real, &staging).is_ok() {
            fs::rename(&staging, path).map_err(ArtifactError::io(path))?;
            // Renaming one name of a file onto another of its names leaves both: clear the first.
            drop(fs::remove_file(&staging));
            sync_folder_of(path)?;
            return Ok(Carried::Linked);
        }
    }
    let len = fs::metadata(source).map_err(ArtifactError::io(source))?.len();
    let mut file = PayloadFile::create(path)?.unless(stopped);
    file.copy_from(source, 0, len)?;
    file.commit()?;
    Ok(Carried::Copied)
}

fn staging_of(path: &Path) -> Result<PathBuf, ArtifactError> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).map_err(ArtifactError::io(folder))?;
    }
    let mut staging = path.as_os_str().to_owned();
    staging.push(".");
    staging.push(StagedFile::ENDING);
    Ok(staging.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_linked_or_copied_and_reads_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("a");
        File::create(&source).unwrap().write_all(b"0123456789").unwrap();

        let linked = carry(&source, &folder.path().join("x/b"), true).unwrap();
        let copied = carry(&source, &folder.path().join("x/c"), false).unwrap();
        let mut part = PayloadFile::create(&folder.path().join("x/d")).unwrap();
        part.write(b"head").unwrap();
        part.copy_from(&source, 2, 5).unwrap();
        part.commit().unwrap();

        assert_eq!((linked, copied), (Carried::Linked, Carried::Copied));
        for (name, content) in
            [("b", &b"0123456789"[..]), ("c", b"0123456789"), ("d", b"head23456")]
        {
            assert_eq!(fs::read(folder.path().join("x").join(name)).unwrap(), content);
        }
        assert_eq!(fs::read_dir(folder.path().join("x")).unwrap().count(), 3);
    }

    #[test]
    fn a_copy_that_is_stopped_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("a");
        File::create(&source).unwrap().write_all(b"0123").unwrap();

        let stopped = carry_unless(&source, &folder.path().join("b"), false, || true).unwrap_err();

        let ArtifactError::Io { source: wrong, .. } = stopped else { panic!("{stopped}") };
        assert_eq!(wrong.kind(), io::ErrorKind::Interrupted);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_source_that_ends_early_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("a");
        File::create(&source).unwrap().write_all(b"0123").unwrap();

        let mut part = PayloadFile::create(&folder.path().join("d")).unwrap();
        assert!(part.copy_from(&source, 2, 5).is_err());
        drop(part);

        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
