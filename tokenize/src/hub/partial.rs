//! A file that is being fetched: held by one process at a time, tied to what the hub said it is, and
//! checked before it gets its name.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::error::HubError;

/// How often a process that waits for another looks again.
const TICK: Duration = Duration::from_millis(50);

/// What the hub says of a file's content.
#[derive(Clone, Debug)]
pub(super) struct Content {
    pub(super) bytes: u64,
    /// What changes when the content does.
    pub(super) tag: String,
}

impl Content {
    /// Returns the SHA-256 of the content; the tags of large files are theirs.
    fn sha256(&self) -> Option<&str> {
        let is_sha256 = self.tag.len() == 64 && self.tag.bytes().all(|b| b.is_ascii_hexdigit());
        is_sha256.then_some(self.tag.as_str())
    }
}

/// What became of asking for the right to fetch a file.
pub(super) enum Claim {
    /// It is ours to fetch.
    Ours(Partial),
    /// Another process has fetched it meanwhile.
    Fetched,
}

/// The first bytes of a file, locked.
pub(super) struct Partial {
    file: File,
    path: PathBuf,
    target: PathBuf,
    content: Content,
    done: u64,
}

impl Partial {
    /// Takes what is there of `target`, waiting while another process holds it.
    ///
    /// What was fetched of another content has another name, and is not continued.
    ///
    /// # Errors
    ///
    /// The system refuses, or `stopped` says so while it waits.
    pub(super) fn claim(
        target: &Path,
        content: Content,
        stopped: &dyn Fn() -> bool,
    ) -> Result<Claim, HubError> {
        let cache = |source| HubError::Cache { path: target.to_owned(), source };
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder).map_err(cache)?;
        }
        let tag: String =
            content.tag.chars().filter(char::is_ascii_alphanumeric).take(16).collect();
        let mut path = target.as_os_str().to_owned();
        path.push(format!(".{tag}{ENDING}"));
        let path = PathBuf::from(path);
        loop {
            let options =
                File::options().create(true).truncate(false).read(true).write(true).clone();
            let file = options.open(&path).map_err(cache)?;
            lock(&file, stopped).map_err(|wrong| wrong.map_or(HubError::Interrupted, cache))?;
            // While this process waited, the other may have given the file its name.
            let still_there = is_at(&file, &path).map_err(cache)?;
            let len = file.metadata().map_err(cache)?.len();
            if target.is_file() {
                if still_there && len == 0 {
                    fs::remove_file(&path).map_err(cache)?;
                }
                return Ok(Claim::Fetched);
            }
            if still_there {
                let target = target.to_owned();
                let mut partial = Self { file, path, target, content, done: len };
                if len > partial.content.bytes {
                    partial.restart()?;
                }
                return Ok(Claim::Ours(partial));
            }
        }
    }

    /// Returns how many bytes are there.
    pub(super) fn done(&self) -> u64 {
        self.done
    }

    /// Appends a block.
    pub(super) fn write(&mut self, block: &[u8]) -> Result<(), HubError> {
        self.file.write_all_at(block, self.done).map_err(|wrong| self.refused(wrong))?;
        self.done += block.len() as u64;
        Ok(())
    }

    /// Forgets what is there.
    pub(super) fn restart(&mut self) -> Result<(), HubError> {
        self.file.set_len(0).map_err(|wrong| self.refused(wrong))?;
        self.done = 0;
        Ok(())
    }

    /// Returns whether what is there is what the hub said.
    pub(super) fn is_whole(&mut self, stopped: &dyn Fn() -> bool) -> Result<bool, HubError> {
        let len = self.file.metadata().map_err(|wrong| self.refused(wrong))?.len();
        if len != self.content.bytes {
            return Ok(false);
        }
        let Some(expected) = self.content.sha256().map(str::to_ascii_lowercase) else {
            return Ok(true);
        };
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; 1 << 20];
        self.file.seek(SeekFrom::Start(0)).map_err(|wrong| self.refused(wrong))?;
        loop {
            if stopped() {
                return Err(HubError::Interrupted);
            }
            match self.file.read(&mut buffer).map_err(|wrong| self.refused(wrong))? {
                0 => break,
                read => hasher.update(&buffer[..read]),
            }
        }
        let found = hasher.finalize().iter().fold(String::new(), |mut text, byte| {
            text.push_str(&format!("{byte:02x}"));
            text
        });
        Ok(found == expected)
    }

    /// Makes the file durable and gives it its name; what was fetched of other contents goes.
    pub(super) fn finish(self) -> Result<(), HubError> {
        self.file.sync_all().map_err(|wrong| self.refused(wrong))?;
        fs::rename(&self.path, &self.target).map_err(|wrong| self.refused(wrong))?;
        self.remove_others().map_err(|wrong| self.refused(wrong))
    }

    fn remove_others(&self) -> io::Result<()> {
        let (Some(folder), Some(name)) = (self.target.parent(), self.target.file_name()) else {
            return Ok(());
        };
        let begins = format!("{}.", name.to_string_lossy());
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let other = name.strip_prefix(&begins).and_then(|rest| rest.strip_suffix(ENDING));
            // One that another process holds is its own business.
            if other.is_some_and(|tag| !tag.contains('.'))
                && File::open(&path).is_ok_and(|file| file.try_lock().is_ok())
            {
                fs::remove_file(&path)?;
            }
        }
        Ok(())
    }

    fn refused(&self, source: io::Error) -> HubError {
        HubError::Cache { path: self.path.clone(), source }
    }
}

/// What the name of a file ends with that is not whole.
const ENDING: &str = ".incomplete";

/// Waits for a lock; `Err(None)` where the wait was stopped.
fn lock(file: &File, stopped: &dyn Fn() -> bool) -> Result<(), Option<io::Error>> {
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if stopped() => return Err(None),
            Err(TryLockError::WouldBlock) => std::thread::sleep(TICK),
            Err(TryLockError::Error(wrong)) => return Err(Some(wrong)),
        }
    }
}

/// Returns whether `path` still leads to the open file.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let ours = file.metadata()?;
    match fs::metadata(path) {
        Ok(there) => Ok((there.dev(), there.ino()) == (ours.dev(), ours.ino())),
        Err(wrong) if wrong.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(wrong) => Err(wrong),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(tag: &str) -> Content {
        Content { bytes: 3, tag: tag.into() }
    }

    fn claimed(target: &Path, tag: &str) -> Partial {
        match Partial::claim(target, content(tag), &|| false).unwrap() {
            Claim::Ours(partial) => partial,
            Claim::Fetched => unreachable!("nobody else fetches it"),
        }
    }

    #[test]
    fn a_partial_file_of_another_content_is_not_continued() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("x.parquet");

        claimed(&target, "one").write(b"a").unwrap();
        let mut other = claimed(&target, "two");
        assert_eq!(other.done(), 0);
        assert_eq!(claimed(&target, "one").done(), 1);
        other.write(b"xyz").unwrap();
        assert!(other.is_whole(&|| false).unwrap());
        other.finish().unwrap();

        assert_eq!(fs::read(&target).unwrap(), b"xyz");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "the other one is gone");
    }

    #[test]
    fn a_checksum_tells_a_wrong_byte() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("x");
        // Of `abc`.
        let sum = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

        let mut partial = claimed(&target, sum);
        partial.write(b"abd").unwrap();
        assert!(!partial.is_whole(&|| false).unwrap());
        partial.restart().unwrap();
        partial.write(b"abc").unwrap();

        assert!(partial.is_whole(&|| false).unwrap());
    }

    #[test]
    fn a_second_process_waits_and_finds_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("x");
        let mut first = claimed(&target, "one");
        first.write(b"abc").unwrap();

        std::thread::scope(|scope| {
            let second = scope.spawn(|| Partial::claim(&target, content("one"), &|| false));
            std::thread::sleep(TICK);
            first.finish().unwrap();
            assert!(matches!(second.join().unwrap(), Ok(Claim::Fetched)));
        });

        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_wait_can_be_stopped() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("x");
        let _held = claimed(&target, "one");

        let second = Partial::claim(&target, content("one"), &|| true);

        assert!(matches!(second, Err(HubError::Interrupted)));
    }
}
