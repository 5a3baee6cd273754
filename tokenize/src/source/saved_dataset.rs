//! Folders that `datasets` saved (`save_to_disk`): which of their files are the data set.
//!
//! `state.json` lists the files with the rows. Others in its folder are results of functions that
//! `datasets` keeps there. `dataset_dict.json` lists the splits, one folder each; their names are
//! names of splits as any folder's are.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use serde::Deserialize;

use super::data_files::{Format, format_of};
use super::error::SourceError;
use super::input_file::InputFile;
use super::walk::NamedFile;

/// How much of a list of files is read: each file takes fewer than a hundred bytes.
const MOST_BYTES: u64 = 64 << 20;

/// What `state.json` says; other programs have files of this name, too.
#[derive(Deserialize)]
struct State {
    #[serde(rename = "_data_files")]
    data_files: Vec<DataFile>,
    #[serde(rename = "_indices_data_files", default)]
    indices: Option<Vec<DataFile>>,
}

#[derive(Deserialize)]
struct DataFile {
    filename: String,
}

/// What `dataset_dict.json` says.
#[derive(Deserialize)]
struct Splits {
    splits: Vec<String>,
}

/// Returns the files below a folder without those that lie next to a saved data set and are no part of it.
///
/// # Errors
///
/// A data set lacks a file or a split that it lists, or is a choice of its rows.
pub(super) fn of_saved(files: Vec<NamedFile>) -> Result<Vec<NamedFile>, SourceError> {
    // For each folder of a data set, the files that it lists.
    let mut listed: BTreeMap<String, HashSet<String>> = BTreeMap::new();
    let all: HashSet<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    let there = |name: &str| all.contains(name);
    for (name, path) in &files {
        let (folder, last) = split(name);
        let not_whole =
            |missing: String| Err(SourceError::NotWhole { path: path.clone(), missing });
        match last {
            "state.json" => {
                let Some(state) = read::<State>(path)? else { continue };
                if state.indices.is_some_and(|files| !files.is_empty()) {
                    return Err(SourceError::Chosen { path: path.clone() });
                }
                let names: HashSet<String> =
                    state.data_files.into_iter().map(|file| file.filename).collect();
                let mut missing: Vec<&String> =
                    names.iter().filter(|name| !there(&joined(folder, name))).collect();
                missing.sort();
                if let Some(missing) = missing.first() {
                    return not_whole((*missing).clone());
                }
                listed.insert(folder.to_owned(), names);
            }
            "dataset_dict.json" => {
                let Some(dict) = read::<Splits>(path)? else { continue };
                for split in dict.splits {
                    if !there(&joined(folder, &format!("{split}/state.json"))) {
                        return not_whole(format!("{split}/state.json"));
                    }
                }
            }
            _ => {}
        }
    }
    let is_part = |(name, _): &NamedFile| {
        let (folder, last) = split(name);
        let is_table = matches!(format_of(last), Some((Format::Arrow(_), _)));
        !is_table || listed.get(folder).is_none_or(|names| names.contains(last))
    };
    Ok(files.into_iter().filter(is_part).collect())
}

/// Parts a name into its folder and the last of it.
fn split(name: &str) -> (&str, &str) {
    name.rsplit_once('/').unwrap_or(("", name))
}

fn joined(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

/// Reads a list; none where the file is another program's.
fn read<T: for<'a> Deserialize<'a>>(path: &Path) -> Result<Option<T>, SourceError> {
    let bytes = InputFile::find(path)?.beginning(MOST_BYTES)?;
    Ok(serde_json::from_slice(&bytes).ok())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::super::walk::below;
    use super::*;

    fn put(root: &Path, name: &str, content: &str) {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::File::create(path).unwrap().write_all(content.as_bytes()).unwrap();
    }

    fn names(root: &Path) -> Result<Vec<String>, SourceError> {
        let mut names: Vec<String> =
            of_saved(below(root, None)?)?.into_iter().map(|(name, _)| name).collect();
        names.retain(|name| name.strip_suffix(".arrow").is_some());
        names.sort();
        Ok(names)
    }

    const STATE: &str = r#"{"_data_files": [{"filename": "data-00000-of-00001.arrow"}],
        "_fingerprint": "1f", "_format_columns": null, "_split": "train"}"#;

    #[test]
    fn only_what_a_saved_data_set_lists_is_a_part_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for split in ["train", "test"] {
            put(root, &format!("{split}/state.json"), STATE);
            put(root, &format!("{split}/data-00000-of-00001.arrow"), "x");
        }
        put(root, "dataset_dict.json", r#"{"splits": ["train", "test"]}"#);
        put(root, "train/tmp1x2y.arrow", "x");
        put(root, "other/y.arrow", "x");
        put(root, "other/state.json", r#"{"step": 7}"#);

        let found = names(root).unwrap();

        let shard = "data-00000-of-00001.arrow";
        assert_eq!(
            found,
            ["other/y.arrow".to_owned(), format!("test/{shard}"), format!("train/{shard}")]
        );
    }

    #[test]
    fn a_data_set_that_is_not_whole_or_is_a_choice_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        put(root, "state.json", STATE);
        let told = names(root).unwrap_err().to_string();
        assert!(
            told.ends_with("state.json: names `data-00000-of-00001.arrow`, which is not there"),
            "{told}"
        );

        put(root, "data-00000-of-00001.arrow", "x");
        put(root, "dataset_dict.json", r#"{"splits": ["train"]}"#);
        let told = names(root).unwrap_err().to_string();
        assert!(told.contains("names `train/state.json`, which is not there"), "{told}");
        fs::remove_file(root.join("dataset_dict.json")).unwrap();

        let chosen = STATE.replace(
            "\"_split\"",
            "\"_indices_data_files\": [{\"filename\": \"i.arrow\"}], \"_split\"",
        );
        put(root, "state.json", &chosen);
        assert!(matches!(names(root), Err(SourceError::Chosen { .. })));
    }
}
