//! An artifact in an object store, as a folder of this machine: its files are fetched into the cache.
//!
//! A file in the cache is what the store has while the entity tag is the one that it was fetched with.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ratdata_objects::{Address, Blocks, Object, ObjectError, State, list};
use ratdata_schemas::{MANIFEST_FILE, Manifest, RelativePath, write_bytes};
use ratdata_tokenize::hub::{FetchProgress, cache_folder};

use crate::failure::{Failure, Kind};
use crate::interrupt;
use crate::library_failures::object_failure;
use crate::progress::FetchBars;
use crate::ui::Ui;

/// The folder, within the cache, of artifacts.
const ARTIFACTS: &str = "artifacts";

/// The folder, within an artifact in the cache, of the tags of its files.
const TAGS: &str = ".tags";

/// How much is written at a time.
const WRITTEN: usize = 1 << 20;

/// How many artifacts are followed from a pack to what it was packed from.
const MOST_BASES: usize = 8;

/// Returns the folder that a path names: itself, or the copy of what an address names, with what it was packed from.
///
/// # Errors
///
/// The store cannot be read or has no artifact there, or the cache cannot be written.
pub(crate) fn folder_of(ui: &Ui, path: &Path) -> Result<PathBuf, Failure> {
    let text = path.to_str().unwrap_or_default();
    let Some(address) = Address::read(text).map_err(|wrong| object_failure(&wrong.into()))? else {
        return Ok(path.to_owned());
    };
    let bars = FetchBars::new(ui);
    let folder = fetch(&address, &bars)?;
    let (mut at, mut here) = (address, folder.clone());
    for _ in 0..MOST_BASES {
        let Ok(Manifest { base: Some(base), .. }) = Manifest::read(&here) else { break };
        let Some(next) = at.resolve(&base.path) else { break };
        // A pack has all its counts without its base, so that one that is not there is no failure.
        let Ok(next_here) = fetch(&next, &bars) else { break };
        (at, here) = (next, next_here);
    }
    Ok(folder)
}

/// Fetches what is not in the cache, or is there with another tag.
fn fetch(root: &Address, bars: &FetchBars<'_>) -> Result<PathBuf, Failure> {
    let prefix = root.scheme().prefix().trim_end_matches("://");
    let folder = cache_folder().join(ARTIFACTS).join(prefix).join(root.bucket()).join(root.key());
    let listed = list(root).map_err(|wrong| object_failure(&wrong))?;
    let there: BTreeMap<&str, (&Address, &State)> = listed
        .iter()
        .filter_map(|(address, state)| Some((root.below(address)?, (address, state))))
        .collect();
    let Some((address, state)) = there.get(MANIFEST_FILE) else {
        let message = format!("{root}: no artifact: it has no `{MANIFEST_FILE}`");
        return Err(Failure::message(Kind::Failed, message)
            .hinted(Some("name what was given to `--out`, not one of its files")));
    };
    keep(&folder, MANIFEST_FILE, address, state, bars)?;
    let manifest = Manifest::read(&folder)
        .map_err(|wrong| Failure::new(Kind::Mismatch, &wrong).hinted(wrong.hint()))?;
    for record in manifest.files() {
        let name = record.path.as_str();
        match there.get(name) {
            Some((address, state)) => keep(&folder, name, address, state, bars)?,
            // What the store has lost is told by who reads the artifact.
            None => forget(&folder, name)?,
        }
    }
    Ok(folder)
}

/// Fetches one file, unless it is there with this tag.
fn keep(
    folder: &Path,
    name: &str,
    address: &Address,
    state: &State,
    bars: &FetchBars<'_>,
) -> Result<(), Failure> {
    let (path, tag) = places(folder, name)?;
    let same_size = path.metadata().is_ok_and(|metadata| metadata.len() == state.bytes);
    if same_size && fs::read_to_string(&tag).is_ok_and(|tag| tag == state.tag) {
        return Ok(());
    }
    forget(folder, name)?;
    for place in [&path, &tag] {
        if let Some(folder) = place.parent() {
            fs::create_dir_all(folder).map_err(|wrong| unkept(folder, &wrong))?;
        }
    }
    let parent = path.parent().unwrap_or(folder);
    let mut file =
        tempfile::NamedTempFile::new_in(parent).map_err(|wrong| unkept(parent, &wrong))?;
    let object = Object::open(address).map_err(|wrong| object_failure(&wrong))?;
    let mut reader = Arc::new(Blocks::of(object)).reader(0);
    let mut buffer = vec![0; WRITTEN];
    let mut done = 0;
    bars.fetched(name, 0, state.bytes);
    loop {
        interrupt::check()?;
        let read = reader.read(&mut buffer).map_err(|wrong| {
            let inner = wrong.get_ref().and_then(|inner| inner.downcast_ref::<ObjectError>());
            inner.map_or_else(|| unkept(&path, &wrong), object_failure)
        })?;
        if read == 0 {
            break;
        }
        file.write_all(&buffer[..read]).map_err(|wrong| unkept(&path, &wrong))?;
        done += read as u64;
        if done < state.bytes {
            bars.fetched(name, done, state.bytes);
        }
    }
    if state.bytes > 0 {
        bars.fetched(name, done, state.bytes);
    }
    file.persist(&path).map_err(|wrong| unkept(&path, &wrong.error))?;
    write_bytes(&tag, state.tag.as_bytes())
        .map_err(|wrong| unkept(&tag, &std::io::Error::other(wrong)))
}

/// Removes a file from the cache, its tag first.
fn forget(folder: &Path, name: &str) -> Result<(), Failure> {
    let (path, tag) = places(folder, name)?;
    for path in [tag, path] {
        if path.exists() {
            fs::remove_file(&path).map_err(|wrong| unkept(&path, &wrong))?;
        }
    }
    Ok(())
}

/// Returns where a file and its tag are in the cache.
fn places(folder: &Path, name: &str) -> Result<(PathBuf, PathBuf), Failure> {
    let name = RelativePath::new(name).map_err(|wrong| Failure::new(Kind::Failed, &wrong))?;
    Ok((name.below(folder), name.below(&folder.join(TAGS))))
}

fn unkept(path: &Path, wrong: &std::io::Error) -> Failure {
    Failure::message(Kind::Failed, format!("{}: cannot keep it: {wrong}", path.display()))
        .hinted(Some("HF_HOME names another folder for the cache"))
}

#[cfg(test)]
mod tests {
    use ratdata_objects::put;

    use super::*;

    #[test]
    fn a_file_is_fetched_again_where_its_tag_is_another() {
        let ui = Ui::new(false, true);
        let bars = FetchBars::new(&ui);
        let cache = tempfile::tempdir().unwrap();
        let place = Address::read("memory://stored-artifact/x.bin").unwrap().unwrap();
        let kept = |text: &str| {
            put(&place, text.to_owned()).unwrap();
            let object = Object::look(&place).unwrap();
            keep(cache.path(), "shards/x.bin", &place, object.state(), &bars).unwrap();
            fs::read_to_string(cache.path().join("shards/x.bin")).unwrap()
        };

        assert_eq!(kept("one"), "one");
        assert_eq!(kept("two"), "two");
        let path = cache.path().join("shards/x.bin");
        ratdata_tests::files::write(&path, "own");
        let object = Object::look(&place).unwrap();
        keep(cache.path(), "shards/x.bin", &place, object.state(), &bars).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "own", "it is not fetched twice");
        forget(cache.path(), "shards/x.bin").unwrap();
        assert!(!path.exists());
    }
}
