//! Which files each split of a task reads.
//!
//! A split reads its own files and no other's: a held-out row that enters `train` is worse than an
//! error. Three rules keep splits apart:
//!
//! 1. With `--input DIR` a split's own file is looked for below DIR: at the path that the task
//!    gives it, then at that path without its first folders, down to the file's name alone.
//! 2. Of a folder or a pattern, a file whose name says another split is left out, unless the task
//!    names that split in the pattern.
//! 3. Two splits read one file only where the task gives both that same file.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use ratdata_objects::{Address, Object, ObjectError};

use super::error::SftError;
use crate::hub::{FetchProgress, HubError, resolve_inputs};
use crate::source::{SourceError, SourceFile, SplitName, find_inputs};
use ratdata_schemas::recipe::Split;

/// How many names of a folder an error lists.
const MOST_LISTED: usize = 12;

/// The files of one split.
#[derive(Debug)]
pub(super) struct SplitFiles<'a> {
    pub(super) name: &'a str,
    pub(super) split: &'a Split,
    pub(super) files: Vec<SourceFile>,
    /// The names of files that say another split.
    pub(super) left_out: Vec<String>,
    /// Whether the task names a single file.
    single: bool,
}

/// Returns what a split is made from: its own source, or what stands for it at `--input`.
///
/// # Errors
///
/// Nothing stands for it there; the error tells what was looked for and what is there.
pub fn source_of(name: &str, split: &Split, input: Option<&Path>) -> Result<String, SftError> {
    let Some(input) = input else { return Ok(split.located()) };
    let is_object =
        || Address::of_path(input).is_some_and(|address| Object::look(&address).is_ok());
    if input.is_file() || is_object() {
        return Ok(input.display().to_string());
    }
    let looked: Vec<PathBuf> = below(split).into_iter().map(|below| input.join(below)).collect();
    for path in &looked {
        let path = path.display().to_string();
        let there = find_inputs(std::slice::from_ref(&path));
        let is_not_there = matches!(
            there,
            Err(SourceError::NoInput { .. } | SourceError::Object(ObjectError::NotFound { .. }))
        );
        if !is_not_there {
            return Ok(path);
        }
    }
    Err(SftError::NoFile {
        split: name.to_owned(),
        looked,
        there: listed(input),
        folder: input.to_owned(),
    })
}

impl<'a> SplitFiles<'a> {
    /// Finds the files of a split, and fetches those of the hub.
    ///
    /// # Errors
    ///
    /// There is none, or none that is the split's own.
    pub(super) fn find(
        name: &'a str,
        split: &'a Split,
        input: Option<&Path>,
        fetch: &dyn FetchProgress,
    ) -> Result<Self, SftError> {
        let source = source_of(name, split, input)?;
        let mut files =
            resolve_inputs(std::slice::from_ref(&source), fetch).map_err(|wrong| match wrong {
                HubError::Source(wrong) => SftError::from(wrong),
                wrong => wrong.into(),
            })?;
        let single = if source.contains("://") {
            files.len() == 1 && !source.contains(['*', '?', '['])
        } else {
            Path::new(&source).is_file()
        };
        let mut left_out = Vec::new();
        if !single {
            let own = SplitName::of(name).unwrap_or(SplitName::Train);
            let named = SplitName::of(&written(split));
            files.retain(|file| {
                let says = SplitName::of(&file.name);
                let ours = says.is_none_or(|says| says == own || Some(says) == named);
                if !ours {
                    left_out.push(file.name.clone());
                }
                ours
            });
        }
        if files.is_empty() {
            return Err(SftError::OthersFiles {
                split: name.to_owned(),
                named: source,
                files: left_out,
            });
        }
        Ok(Self { name, split, files, left_out, single })
    }

    /// Returns whether the task gives both splits one and the same file.
    fn is_given_with(&self, other: &Self) -> bool {
        let same =
            (&self.split.source, &self.split.local) == (&other.split.source, &other.split.local);
        self.single && other.single && same
    }
}

/// Checks that no file is read by two splits, unless the task gives it to both.
///
/// # Errors
///
/// One is.
pub(super) fn check_apart(splits: &[SplitFiles<'_>]) -> Result<(), SftError> {
    let mut readers: HashMap<PathBuf, Vec<&SplitFiles<'_>>> = HashMap::new();
    for split in splits {
        for file in &split.files {
            let place = file.path.canonicalize().unwrap_or_else(|_| file.path.clone());
            let there = readers.entry(place).or_default();
            if let Some(other) = there.iter().find(|other| !split.is_given_with(other)) {
                return Err(SftError::SharedFile {
                    path: file.path.clone(),
                    first: other.name.to_owned(),
                    second: split.name.to_owned(),
                });
            }
            there.push(split);
        }
    }
    Ok(())
}

/// Returns what the task calls the files of a split, with `/` between folders.
fn written(split: &Split) -> String {
    let source = split.local.as_ref().unwrap_or(&split.source);
    // Of an address, the path within the data set; of an archive, the member.
    let path = source
        .strip_prefix("hf://datasets/")
        .map_or(source.as_str(), |address| address.splitn(3, '/').nth(2).unwrap_or_default());
    path.replace('!', "/")
}

/// Returns the paths below `--input` that may be a split's, in the order in which they are tried.
fn below(split: &Split) -> Vec<PathBuf> {
    let written = written(split);
    // What leads out of the folder, or to its own top, names nothing in it.
    let names: Vec<&std::ffi::OsStr> = Path::new(&written)
        .components()
        .filter_map(|component| match component {
            Component::Normal(name) => Some(name),
            _ => None,
        })
        .collect();
    let first = if split.local.is_some() { names.len().min(1) } else { names.len() };
    (0..first).map(|skipped| names[skipped..].iter().collect()).collect()
}

/// Returns the first names of a folder, sorted.
fn listed(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    if names.len() > MOST_LISTED {
        names.truncate(MOST_LISTED);
        names.push("…".into());
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratdata_schemas::recipe::Task;

    fn split(source: &str, local: Option<&str>) -> Split {
        let mut split = Task::named("qmsum").unwrap().splits["train"].clone();
        source.clone_into(&mut split.source);
        split.local = local.map(Into::into);
        split
    }

    #[test]
    fn a_splits_own_path_is_tried_with_fewer_and_fewer_folders() {
        for (source, local, tried) in [
            ("d/train.jsonl", None, vec!["d/train.jsonl", "train.jsonl"]),
            ("../x/./train.jsonl", None, vec!["x/train.jsonl", "train.jsonl"]),
            ("/abs/train.jsonl", None, vec!["abs/train.jsonl", "train.jsonl"]),
            (
                "hf://datasets/a/b@v1/data/t-*.parquet",
                None,
                vec!["data/t-*.parquet", "t-*.parquet"],
            ),
            (
                "hf://datasets/a/b/d.zip!e/f.jsonl",
                None,
                vec!["d.zip/e/f.jsonl", "e/f.jsonl", "f.jsonl"],
            ),
            ("hf://datasets/a/b", Some("b/t.parquet"), vec!["b/t.parquet"]),
            (".", None, vec![]),
        ] {
            let tried: Vec<PathBuf> = tried.into_iter().map(PathBuf::from).collect();

            assert_eq!(below(&split(source, local)), tried, "{source}");
        }
    }

    #[test]
    fn what_a_task_calls_its_files_is_the_path_in_the_data_set() {
        assert_eq!(
            written(&split("hf://datasets/test/dev/data/train.jsonl", None)),
            "data/train.jsonl"
        );
        assert_eq!(written(&split("hf://datasets/a/b", None)), "");
    }
}
