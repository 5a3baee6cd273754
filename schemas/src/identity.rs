//! The state of a file in the file system: while it stays the same, the content stays the same.
//!
//! The state is size, time of the last write, time of the last change and inode. A program can set the
//! time of the last write back, but not the time of the last change, and a file that replaces another
//! has another inode. The device is left out, because a network file system has another number on each
//! node and after each mount.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::regular::open_regular;

/// How coarse the clock of most file systems is: a tick of the kernel, with a margin.
const FINE: Duration = Duration::from_millis(50);

/// The same for file systems that keep hundredths of a second, or two seconds like FAT.
const COARSE: Duration = Duration::from_millis(2500);

/// The state of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// Its size.
    bytes: u64,
    /// When it was last written, in seconds and nanoseconds.
    modified: (i64, i64),
    /// When its content or its metadata was last changed.
    changed: (i64, i64),
    inode: u64,
}

/// The state of a file, and whether a later write would change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileState {
    /// The state.
    pub identity: Identity,
    /// Whether the last change is so old that a later one has another time. Otherwise a write at this
    /// moment may leave the state the same, so no checksum is stored with it.
    pub certain: bool,
}

impl Identity {
    /// Returns the state of the file that a path leads to, after all links.
    ///
    /// # Errors
    ///
    /// The file cannot be opened, or is not a regular file.
    pub fn of(path: &Path) -> io::Result<Self> {
        // Opening makes a network file system ask its server; without it, the state may come from a cache.
        let metadata = open_regular(path)?.metadata()?;
        Ok(Self {
            bytes: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            inode: metadata.ino(),
        })
    }

    /// Returns the size in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns whether the file was not written since an earlier state. Its metadata may have changed,
    /// for example by another name for it.
    pub fn is_unwritten_since(&self, before: &Self) -> bool {
        Self { changed: before.changed, ..*self } == *before
    }

    /// Returns how long ago the last change was; none if its time is in the future.
    fn age(&self, now: SystemTime) -> Option<Duration> {
        let (seconds, nanoseconds) = self.changed;
        let since = Duration::new(
            u64::try_from(seconds).ok()?,
            u32::try_from(nanoseconds).unwrap_or_default(),
        );
        now.duration_since(SystemTime::UNIX_EPOCH + since).ok()
    }

    /// Returns how old a change must be, so that a later change has another time.
    fn margin(&self) -> Duration {
        if self.changed.1 % 10_000_000 == 0 { COARSE } else { FINE }
    }

    fn is_certain(&self, now: SystemTime) -> bool {
        self.age(now).is_some_and(|age| age > self.margin())
    }
}

impl FileState {
    /// Looks at a file; if it was changed a moment ago, waits until a later change has another time.
    ///
    /// # Errors
    ///
    /// As of [`Identity::of`].
    pub fn of(path: &Path) -> io::Result<Self> {
        let mut identity = Identity::of(path)?;
        let age = identity.age(SystemTime::now());
        if identity.margin() == FINE && age.is_some_and(|age| age <= FINE) {
            std::thread::sleep(
                (FINE + Duration::from_millis(1)).saturating_sub(age.unwrap_or_default()),
            );
            identity = Identity::of(path)?;
        }
        Ok(Self { identity, certain: identity.is_certain(SystemTime::now()) })
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File, FileTimes};
    use std::io::Write;

    use super::*;

    fn at(seconds: i64, nanoseconds: i64) -> Identity {
        Identity { bytes: 1, modified: (0, 0), changed: (seconds, nanoseconds), inode: 1 }
    }

    #[test]
    fn a_change_of_this_moment_is_not_relied_on() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);

        assert!(at(999, 123_456_789).is_certain(now));
        assert!(!at(999, 999_456_789).is_certain(now), "within a tick of the kernel");
        assert!(!at(998, 0).is_certain(now), "FAT counts every other second");
        assert!(at(990, 0).is_certain(now));
        assert!(!at(1001, 5).is_certain(now), "a clock that was set back");
    }

    #[test]
    fn every_way_to_change_a_file_shows() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        let put = |path: &Path, text: &[u8]| File::create(path).unwrap().write_all(text).unwrap();
        put(&path, b"one");
        let first = FileState::of(&path).unwrap();
        assert!(first.certain);
        assert_eq!(Identity::of(&path).unwrap(), first.identity);

        // In place, with the time of the last write set back.
        let written = fs::metadata(&path).unwrap().modified().unwrap();
        put(&path, b"two");
        let times = FileTimes::new().set_modified(written);
        File::options().write(true).open(&path).unwrap().set_times(times).unwrap();
        let second = FileState::of(&path).unwrap();
        assert_eq!(second.identity.modified, first.identity.modified);
        assert_ne!(second.identity, first.identity);

        // By a file that takes its place, with all times that can be set.
        let other = folder.path().join("y");
        put(&other, b"two");
        File::options().write(true).open(&other).unwrap().set_times(times).unwrap();
        fs::rename(&other, &path).unwrap();
        assert_ne!(FileState::of(&path).unwrap().identity, second.identity);
    }

    #[test]
    fn a_link_is_what_it_leads_to() {
        let folder = tempfile::tempdir().unwrap();
        let [one, two, link] = ["one", "two", "link"].map(|name| folder.path().join(name));
        for path in [&one, &two] {
            File::create(path).unwrap().write_all(b"x").unwrap();
        }
        std::os::unix::fs::symlink(&one, &link).unwrap();
        let first = Identity::of(&link).unwrap();

        fs::remove_file(&link).unwrap();
        std::os::unix::fs::symlink(&two, &link).unwrap();

        assert_eq!(first, Identity::of(&one).unwrap());
        assert_eq!(Identity::of(&link).unwrap(), Identity::of(&two).unwrap());
        assert_ne!(Identity::of(&link).unwrap(), first);
    }
}
