//! Files within a zip archive, taken out once and kept beside it.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use ratdata_schemas::RelativePath;

use super::error::HubError;

/// Returns where the file `inner` of an archive lies, taking it out where that was not done yet.
pub(super) fn member(archive: &Path, inner: &str) -> Result<PathBuf, HubError> {
    let cache = |path: &Path, source: io::Error| HubError::Cache { path: path.to_owned(), source };
    // A name such as `../x` is not one of the archive's folder, whatever lies there.
    let inner = RelativePath::new(inner)
        .map_err(|_| HubError::Address { address: format!("{}!{inner}", archive.display()) })?;
    let mut folder = archive.as_os_str().to_owned();
    folder.push(".members");
    let target = inner.below(Path::new(&folder));
    if target.is_file() {
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

        let found = member(&archive, "data/x.jsonl").unwrap();
        std::fs::remove_file(&archive).unwrap();
        let again = member(&archive, "data/x.jsonl").unwrap();

        assert_eq!(std::fs::read(&found).unwrap(), b"{}\n");
        assert_eq!(again, found);
        assert!(member(&archive, "data/y.jsonl").is_err());
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
