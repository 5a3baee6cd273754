//! What the steps of a pipeline write: no two the same, none inside another, none elsewhere.

use std::collections::HashSet;
use std::path::{Component, Path, PathBuf};

use super::error::PipelineError;
use super::place::place_of;
use super::step::Step;

/// Checks the links and the promised files of all steps; paths are relative to `base`.
///
/// # Errors
///
/// Two steps publish one path, or one inside another's result, which is never changed; or a
/// promised file does not lie in its step's folder.
pub(crate) fn check(pipeline: &Path, base: &Path, steps: &[Step]) -> Result<(), PipelineError> {
    let place = |step: &Step, key: &str| place_of(pipeline, &["steps", &step.name, key]);
    for step in steps {
        let mut seen = HashSet::new();
        for output in step.outputs() {
            let wrong = match inside(Path::new(output)) {
                Some(path) if seen.insert(path.clone()) => continue,
                Some(_) => format!("`{output}` is there twice"),
                None => format!("found `{output}`, expected a path in the step's own folder"),
            };
            return Err(PipelineError::Value {
                place: place(step, "outputs"),
                table: format!("step `{}`", step.name),
                key: "outputs".into(),
                wrong,
            });
        }
    }
    let mut links: Vec<(PathBuf, &Step)> = Vec::new();
    for step in steps {
        links.extend(step.publish.as_deref().map(|path| (spot(base, path), step)));
    }
    // What is inside a path comes right after it; steps with the same path stay in their order.
    links.sort_by(|(one, _), (other, _)| one.cmp(other));
    for pair in links.windows(2) {
        let [(above, outer), (below, inner)] = pair else { continue };
        if !below.starts_with(above) {
            continue;
        }
        let shown = |step: &Step| step.publish.clone().unwrap_or_default();
        return Err(if above == below {
            PipelineError::DuplicateOutput {
                place: place(inner, "publish"),
                first: outer.name.clone(),
                second: inner.name.clone(),
                output: shown(inner).display().to_string(),
            }
        } else {
            PipelineError::NestedOutput {
                place: place(inner, "publish"),
                outer: outer.name.clone(),
                inner: inner.name.clone(),
                above: shown(outer),
                below: shown(inner),
            }
        });
    }
    Ok(())
}

/// Returns a path without `.`, where it stays below the folder that it is relative to.
pub(crate) fn inside(path: &Path) -> Option<PathBuf> {
    let mut found = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(part) => found.push(part),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    (!found.as_os_str().is_empty()).then_some(found)
}

/// Returns the one way to write a path: from the root, without `.` and `..`.
fn spot(base: &Path, path: &Path) -> PathBuf {
    let mut found = PathBuf::new();
    for part in base.join(path).components() {
        match part {
            Component::ParentDir => drop(found.pop()),
            Component::CurDir => {}
            part => found.push(part),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_one_spot_however_it_is_written() {
        let base = Path::new("/a/b");

        for path in ["x", "./x", "../b/x", "/a/b/x", "/a/./c/../b/x", "y/../x/"] {
            assert_eq!(spot(base, Path::new(path)), Path::new("/a/b/x"), "{path}");
        }
    }

    #[test]
    fn a_promised_file_lies_in_the_steps_folder() {
        assert_eq!(inside(Path::new("./a/b.txt")), Some(PathBuf::from("a/b.txt")));
        for path in ["/etc/passwd", "../x", "a/../../x", ".", ""] {
            assert_eq!(inside(Path::new(path)), None, "{path}");
        }
    }
}
