//! Files within a zip archive, unpacked once and kept next to it.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use ratdata_schemas::RelativePath;

use super::error::HubError;

/// Returns the path of the file `inner` of an archive, unpacking it where that was not done since the
/// archive was last changed.
pub(super) fn member(archive: &Path, inner: &str) -> Result<PathBuf, HubError> {
    let cache = |path: &Path, source: io::Error| HubError::Cache { path: path.to_owned(), source };
    // A name such as `../x` is not one of the archive's folder, whatever is there.
    let inner = RelativePath::new(inner)
        .map_err(|_| HubError::Address { address: format!("{}!{inner}", archive.display()) })?;
    let mut folder = archive.as_os_str().to_owned();
    folder.push(".members");
    let target = inner.below(Path::new(&folder));
    if target.is_file() && !is_newer(archive, &target) {
        return Ok(target);
    }
    let file = File::open(archive).map_err(|wrong| cache(archive, wrong))?;
    let mut zip =
        zip::ZipArchive::new(file).map_err(|wrong| cache(archive, io::Error::other(wrong)))?;
    let member = zip.by_name(inner.as_str()).map_err(|_| HubError::NotFound {
        what: format!("`{inner}` in {}", archive.display()),
        endpoint: "the archive".into(),
    })?;
    let parent = target.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(parent).map_err(|wrong| cache(parent, wrong))?;
    let mut whole =
        tempfile::NamedTempFile::new_in(parent).map_err(|wrong| cache(parent, wrong))?;
    // A few bytes of an archive can stand for any number: no more is taken than it says there are.
    let expected = member.size();
    let found = io::copy(&mut member.take(expected.saturating_add(1)), &mut whole)
        .map_err(|wrong| cache(&target, wrong))?;
    if found != expected {
        let wrong = format!("`{inner}` has not the {expected} bytes that the archive says");
        return Err(cache(archive, io::Error::new(io::ErrorKind::InvalidData, wrong)));
    }
    whole.persist(&target).map_err(|wrong| cache(&target, wrong.error))?;
    Ok(target)
}

/// Returns whether a file was changed after another, by a time that no program can set; an archive
/// that is gone is not.
fn is_newer(file: &Path, than: &Path) -> bool {
    let changed = |path: &Path| {
        let metadata = path.metadata().ok()?;
        Some((metadata.ctime(), metadata.ctime_nsec()))
    };
    changed(file) >= changed(than)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_member_is_taken_out_once() {
        let folder = tempfile::tempdir().unwrap();
        let archive = folder.path().join("data.zip");
        let mut zip = zip::ZipWriter::new(File::create(&archive).unwrap());
        zip.start_file("data/x.jsonl", zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(b"{}\n").unwrap();
        zip.finish().unwrap();

        // Two changes within one tick of the kernel's clock have one time.
        std::thread::sleep(std::time::Duration::from_millis(50));
        let found = member(&archive, "data/x.jsonl").unwrap();
        std::fs::remove_file(&archive).unwrap();
        let again = member(&archive, "data/x.jsonl").unwrap();

        assert_eq!(std::fs::read(&found).unwrap(), b"{}\n");
        assert_eq!(again, found);
        assert!(member(&archive, "data/y.jsonl").is_err());
    }
    #[test]
    fn a_member_is_taken_out_again_of_an_archive_that_was_put_in_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let archive = folder.path().join("data.zip");
        let write = |content: &[u8]| {
            let mut zip = zip::ZipWriter::new(File::create(&archive).unwrap());
            zip.start_file("x.jsonl", zip::write::SimpleFileOptions::default()).unwrap();
            zip.write_all(content).unwrap();
            zip.finish().unwrap();
        };
        write(b"{}\n");
        member(&archive, "x.jsonl").unwrap();

        write(b"{\"a\": 1}\n");
        let again = member(&archive, "x.jsonl").unwrap();

        assert_eq!(std::fs::read(again).unwrap(), b"{\"a\": 1}\n");
    }

    #[test]
    fn nothing_outside_of_the_archives_folder_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let archive = folder.path().join("data.zip");
        let outside = folder.path().join("x.jsonl");
        for path in [&archive, &outside] {
            File::create(path).unwrap().write_all(b"{}").unwrap();
        }

        for inner in ["../x.jsonl", "a/../../x.jsonl", &outside.display().to_string()] {
            let refused = member(&archive, inner).unwrap_err();

            assert!(matches!(refused, HubError::Address { .. }), "{refused}");
        }
    }
}
