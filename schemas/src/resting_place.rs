//! Where a path leads before anything is written there.

use std::io;
use std::path::{Component, Path, PathBuf};

/// Returns where a path leads after all links; its last components need not exist yet.
///
/// # Errors
///
/// The system refuses to look, or the current folder does not exist any more.
pub fn resting_place(path: &Path) -> io::Result<PathBuf> {
    let path = std::path::absolute(path)?;
    for there in path.ancestors() {
        match there.canonicalize() {
            Ok(real) => {
                let missing = path.strip_prefix(there).unwrap_or(Path::new(""));
                return Ok(missing.components().fold(real, |mut place, part| {
                    // A missing component is not a link, so `..` removes the component before it.
                    if part == Component::ParentDir {
                        place.pop();
                    } else {
                        place.push(part);
                    }
                    place
                }));
            }
            Err(wrong) if wrong.kind() == io::ErrorKind::NotFound => {}
            Err(wrong) => return Err(wrong),
        }
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_and_steps_up_are_followed_to_what_is_not_there_yet() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        std::fs::create_dir(root.join("a")).unwrap();
        std::os::unix::fs::symlink("a", root.join("link")).unwrap();

        for path in ["a/x/y", "link/x/y", "a/sub/../x/y", "a/../link/x/y"] {
            assert_eq!(resting_place(&root.join(path)).unwrap(), root.join("a/x/y"), "{path}");
        }
    }
}
