//! What the system says of a file: as long as none of it changes, neither does the content.
//!
//! Size, time of the last write, time of the last change and inode are compared. A program can set
//! the time of the last write back, but not that of the last change; a file that is put in another's
//! place has another inode. The device is left out: a network file system has another number on each
//! node and after each mount.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::regular::open_regular;

/// How coarse the clock is by which file systems date a change: a tick of the kernel, and room.
const FINE: Duration = Duration::from_millis(50);

/// The same of file systems that keep hundredths of a second, or two seconds as FAT does.
const COARSE: Duration = Duration::from_millis(2500);

/// What the system says of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// Its size.
    bytes: u64,
    /// When it was last written, in seconds and nanoseconds.
    modified: (i64, i64),
    /// When it, or what the system keeps of it, was last changed.
    changed: (i64, i64),
    inode: u64,
}

/// An identity, and whether it would show a write from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sight {
    /// What the system says.
    pub identity: Identity,
    /// Whether the last change lies so far back that another has another time. Where it does not, a
    /// write at this moment may leave all as it is, so nothing is remembered by this identity.
    pub certain: bool,
}

impl Identity {
    /// Returns what the system says of the file that a path leads to, links followed.
    ///
    /// # Errors
    ///
    /// The file cannot be opened, or is no regular file.
    pub fn of(path: &Path) -> io::Result<Self> {
        // Opened, since a network file system then asks its server, and else may tell what it
        // remembers.
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

    /// Returns whether the file was not written since an earlier look, though the system may keep
    /// something else of it, such as one name more.
    pub fn is_unwritten_since(&self, before: &Self) -> bool {
        Self { changed: before.changed, ..*self } == *before
    }

    /// Returns how long ago the last change was; none where its time is still to come.
    fn age(&self, now: SystemTime) -> Option<Duration> {
        let (seconds, nanoseconds) = self.changed;
        let since = Duration::new(
            u64::try_from(seconds).ok()?,
            u32::try_from(nanoseconds).unwrap_or_default(),
        );
        now.duration_since(SystemTime::UNIX_EPOCH + since).ok()
    }

    /// Returns how far back a change has to lie, so that another has another time.
    fn margin(&self) -> Duration {
        if self.changed.1 % 10_000_000 == 0 { COARSE } else { FINE }
    }

    fn is_certain(&self, now: SystemTime) -> bool {
        self.age(now).is_some_and(|age| age > self.margin())
    }
}

impl Sight {
    /// Looks at a file; where it was changed a moment ago, waits out that moment.
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
        let first = Sight::of(&path).unwrap();
        assert!(first.certain);
        assert_eq!(Identity::of(&path).unwrap(), first.identity);

        // In place, with the time of the last write set back.
        let written = fs::metadata(&path).unwrap().modified().unwrap();
        put(&path, b"two");
        let times = FileTimes::new().set_modified(written);
        File::options().write(true).open(&path).unwrap().set_times(times).unwrap();
        let second = Sight::of(&path).unwrap();
        assert_eq!(second.identity.modified, first.identity.modified);
        assert_ne!(second.identity, first.identity);

        // By a file that takes its place, with all times that can be set.
        let other = folder.path().join("y");
        put(&other, b"two");
        File::options().write(true).open(&other).unwrap().set_times(times).unwrap();
        fs::rename(&other, &path).unwrap();
        assert_ne!(Sight::of(&path).unwrap().identity, second.identity);
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
