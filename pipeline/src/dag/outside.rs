//! Files outside a pipeline: which a step takes, and what they hold.
//!
//! A file is read whole once, and again only where the system says that it was touched since: size,
//! times and inode are kept with its checksum in the store.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use ratdata_console::sized;
use ratdata_schemas::recipe::Task;
use ratdata_schemas::{
    Checksum, FileState, FoldersAbove, Identity, Known, MANIFEST_FILE, Manifest,
};
use ratdata_tokenize::tokenizer::CONFIG_FILES;
use rayon::prelude::*;
use serde_json::Value;

use super::error::PipelineError;
use super::place::{layers, place_of};
use super::step::{Step, reference, texts};
use super::step_key::{Key, Role};
use super::step_kind::key;
use crate::interrupt;
use crate::transcode;

/// From how many bytes on it is said that they are read, since that takes its time.
const WORTH_SAYING: u64 = 1 << 30;

/// What is read together with a file that a key names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Companions {
    /// Nothing.
    Nothing,
    /// What says which of a tokenizer's tokens end a document.
    Tokenizer,
    /// Indexes, ends and masks of another tool's ids.
    Layouts,
}

/// A file as it was read.
#[derive(Clone, Debug)]
pub(crate) struct Read {
    /// What it is called in the fingerprint.
    pub(crate) name: String,
    path: PathBuf,
    identity: Identity,
    pub(crate) blake3: Checksum,
}

impl Read {
    pub(crate) fn bytes(&self) -> u64 {
        self.identity.bytes()
    }
}

/// The files that one value of a step names, as they were read.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    /// What the config calls them.
    pub(crate) name: String,
    path: PathBuf,
    companions: Companions,
    pub(crate) files: Vec<Read>,
    /// The checksum of all of it.
    pub(crate) checksum: Checksum,
}

impl Content {
    /// Returns where they lie.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the first file that is not what it was: another one, or one with another content. A
    /// file that was only touched is read once more.
    ///
    /// # Errors
    ///
    /// A file cannot be read, or `stop` was set.
    pub(crate) fn changed(&self, stop: &AtomicBool) -> io::Result<Option<PathBuf>> {
        let now: BTreeSet<PathBuf> = list(&self.path, self.companions)?.into_iter().collect();
        let then: BTreeSet<PathBuf> = self.files.iter().map(|read| read.path.clone()).collect();
        if let Some(other) = now.symmetric_difference(&then).next() {
            return Ok(Some(other.clone()));
        }
        for read in &self.files {
            let state = FileState::of(&read.path)?;
            if state.identity != read.identity
                && Known::default().checksum(&read.path, &state, stop)? != read.blake3
            {
                return Ok(Some(read.path.clone()));
            }
        }
        Ok(None)
    }
}

/// The files outside a pipeline, each looked at once a plan.
pub(crate) struct Outside<'a> {
    pipeline: &'a Path,
    base: &'a Path,
    known: &'a Known,
    /// Is told what takes its time.
    tell: &'a dyn Fn(&str),
    contents: HashMap<(Companions, String), Arc<Content>>,
}

impl<'a> Outside<'a> {
    pub(crate) fn new(
        pipeline: &'a Path,
        base: &'a Path,
        known: &'a Known,
        tell: &'a dyn Fn(&str),
    ) -> Self {
        Self { pipeline, base, known, tell, contents: HashMap::new() }
    }

    /// Returns what a step takes from outside the pipeline.
    ///
    /// # Errors
    ///
    /// A file is not there, cannot be read, or is changed while it is.
    pub(crate) fn of(&mut self, step: &Step) -> Result<Vec<Arc<Content>>, PipelineError> {
        let mut found = Vec::new();
        for (key, text) in self.named(step) {
            let companions = match key.role {
                Role::Tokenizer => Companions::Tokenizer,
                Role::ForeignInput => Companions::Layouts,
                _ => Companions::Nothing,
            };
            let path = self.base.join(text);
            let folder = path.is_dir() && !key.role.takes_folders();
            match if folder { None } else { self.content(text, &path, companions)? } {
                Some(content) => found.push(content),
                // The config holds the name already.
                None if key.role.is_name(text) => {}
                None => {
                    return Err(PipelineError::MissingInput {
                        place: place_of(self.pipeline, &["steps", &step.name, key.name]),
                        step: step.name.clone(),
                        input: PathBuf::from(text),
                        nearest: key.role.nearest(text).map(Into::into),
                    });
                }
            }
        }
        self.of_task(step, &mut found)?;
        Ok(found)
    }

    /// Returns the values of a step that name files, and those that may.
    fn named<'s>(&self, step: &'s Step) -> Vec<(&'static Key, &'s str)> {
        let mut named = Vec::new();
        texts(&step.config, &mut |key, text| {
            let key = step.kind.key(key).filter(|key| key.role.is_path());
            if let Some(key) = key.filter(|_| reference(text).is_none() && !text.contains("://")) {
                named.push((key, text));
            }
        });
        // A script among a program's words decides the bytes, too; a bare first word is looked for
        // among the system's programs, and not here.
        let program = step.kind.keys().iter().filter(|key| key.role == Role::Program);
        for (key, words) in program.filter_map(|key| Some((key, step.config.get(key.name)?))) {
            let words = words.as_array().into_iter().flatten().filter_map(Value::as_str);
            let file = |(at, word): &(usize, &str)| {
                (*at > 0 || word.contains('/'))
                    && reference(word).is_none()
                    && self.base.join(word).is_file()
            };
            named.extend(words.enumerate().filter(file).map(|(_, word)| (key, word)));
        }
        named
    }

    /// Adds the files that a task file of instruction data names by itself.
    fn of_task(&mut self, step: &Step, found: &mut Vec<Arc<Content>>) -> Result<(), PipelineError> {
        let file = step.kind.keys().iter().find(|key| key.role == Role::TaskFile);
        let file = file.and_then(|key| step.config.get(key.name)?.as_str());
        let own = !step.config.contains_key(key::INPUT);
        let Some(file) = file.filter(|file| own && reference(file).is_none()) else {
            return Ok(());
        };
        let mut wanted = Vec::new();
        texts(&step.config, &mut |key, text| {
            wanted.extend((key == key::SPLIT).then_some(text));
        });
        // What is wrong with the task is told by the step that reads it.
        let task = Task::read(&self.base.join(file));
        for (name, split) in task.into_iter().flat_map(|task| task.splits) {
            let skipped = !wanted.is_empty() && !wanted.contains(&name.as_str());
            if skipped || split.source.contains("://") {
                continue;
            }
            let path = PathBuf::from(split.located());
            let named = format!("{file}: {name}");
            let content = self.content(&named, &path, Companions::Nothing)?;
            found.push(content.ok_or_else(|| PipelineError::MissingInput {
                place: place_of(self.pipeline, &["steps", &step.name, key::TASK_FILE]),
                step: step.name.clone(),
                input: path.strip_prefix(self.base).unwrap_or(&path).to_owned(),
                nearest: None,
            })?);
        }
        Ok(())
    }

    /// Returns what a path or pattern names and holds; none where that is nothing.
    fn content(
        &mut self,
        name: &str,
        path: &Path,
        companions: Companions,
    ) -> Result<Option<Arc<Content>>, PipelineError> {
        let key = (companions, name.to_owned());
        if let Some(content) = self.contents.get(&key) {
            return Ok(Some(content.clone()));
        }
        let refused = |source| PipelineError::Io { path: path.to_owned(), source };
        let files = list(path, companions).map_err(refused)?;
        if files.is_empty() {
            return Ok(None);
        }
        let files = self.read(path, files)?;
        let line = |read: &Read| format!("{} {}\n", read.name, read.blake3);
        let checksum = Checksum::of(files.iter().map(line).collect::<String>().as_bytes());
        let (name, path) = (name.to_owned(), path.to_owned());
        let content = Arc::new(Content { name, path, companions, files, checksum });
        self.contents.insert(key, content.clone());
        Ok(Some(content))
    }

    /// Reads those of the files whole that are not known.
    fn read(&self, root: &Path, files: Vec<PathBuf>) -> Result<Vec<Read>, PipelineError> {
        let refused = |path: &Path| {
            let path = path.to_owned();
            move |source| PipelineError::Io { path, source }
        };
        let look = |path: PathBuf| -> Result<(PathBuf, FileState), PipelineError> {
            let state = FileState::of(&path).map_err(refused(&path))?;
            Ok((path, state))
        };
        let seen = files.into_par_iter().map(look).collect::<Result<Vec<_>, _>>()?;
        let new = seen.iter().filter(|(path, state)| !self.known.has(path, state));
        let bytes: u64 = new.map(|(_, state)| state.identity.bytes()).sum();
        if bytes >= WORTH_SAYING {
            (self.tell)(&format!(
                "{}: {} are read whole, since they are not known or were touched",
                root.display(),
                sized(bytes)
            ));
        }
        let read = |(path, state): (PathBuf, FileState)| -> Result<Read, PipelineError> {
            let known = self.known.checksum(&path, &state, interrupt::flag());
            let blake3 = known.map_err(refused(&path))?;
            let below = path.strip_prefix(root).ok().filter(|name| !name.as_os_str().is_empty());
            let name = below.or_else(|| path.file_name().map(Path::new)).unwrap_or(&path);
            let name = name.display().to_string();
            Ok(Read { name, path, identity: state.identity, blake3 })
        };
        seen.into_par_iter().map(read).collect()
    }
}

/// Returns the files that a path or pattern names, and those that are read with them.
fn list(path: &Path, companions: Companions) -> io::Result<Vec<PathBuf>> {
    let pattern = !path.exists() && path.to_string_lossy().contains(['*', '?', '[']);
    let mut files = if pattern { matching(path) } else { files_of(path)? };
    match companions {
        Companions::Tokenizer if path.is_file() => {
            let configs = CONFIG_FILES.map(|name| path.with_file_name(name));
            files.extend(configs.into_iter().filter(|path| path.is_file()));
        }
        Companions::Nothing | Companions::Tokenizer => {}
        Companions::Layouts => {
            let more: Vec<PathBuf> =
                files.iter().flat_map(|file| transcode::companions(file)).collect();
            files.extend(more);
        }
    }
    files.extend(bases_of(path)?);
    let mut seen = BTreeSet::new();
    files.retain(|file| seen.insert(file.clone()));
    Ok(files)
}

/// Returns the files of the artifacts that the one in a folder was made from: its rows lie there.
fn bases_of(path: &Path) -> io::Result<Vec<PathBuf>> {
    let (mut folder, mut files) = (path.to_owned(), Vec::new());
    while folder.join(MANIFEST_FILE).is_file() {
        // What is wrong with an artifact is told by the step that reads it.
        let base = Manifest::read(&folder).ok().and_then(|manifest| manifest.base);
        let Some(base) = base else { break };
        folder = folder.join(&base.path);
        if files.len() > 1_000_000 || !folder.is_dir() {
            break;
        }
        files.extend(files_of(&folder)?);
    }
    Ok(files)
}

/// Returns a file with those it extends, or all files below a folder, in the order of their names.
fn files_of(path: &Path) -> io::Result<Vec<PathBuf>> {
    if path.is_file() {
        if path.extension().is_none_or(|ending| ending != "toml") {
            return Ok(vec![path.to_owned()]);
        }
        let extended = layers(path).into_iter().map(|file| file.path);
        return Ok(extended.filter(|path| path.is_file()).collect());
    }
    if !path.is_dir() {
        // Of two files that are named by what their names share.
        let pair =
            ["bin", "idx"].map(|ending| PathBuf::from(format!("{}.{ending}", path.display())));
        return Ok(if pair.iter().all(|file| file.is_file()) { pair.into() } else { Vec::new() });
    }
    files_below(path, &mut FoldersAbove::default())
}

/// Returns all files below a folder, in the order of their names.
fn files_below(path: &Path, above: &mut FoldersAbove) -> io::Result<Vec<PathBuf>> {
    if !above.enter(path)? {
        return Ok(Vec::new());
    }
    let mut entries = fs::read_dir(path)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()?;
    entries.retain(|entry| {
        // Caches and locks are no input.
        !entry.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
    });
    entries.sort();
    let mut found = Vec::new();
    for entry in entries {
        found.extend(if entry.is_dir() { files_below(&entry, above)? } else { vec![entry] });
    }
    above.leave();
    Ok(found)
}

fn matching(pattern: &Path) -> Vec<PathBuf> {
    let found = ratdata_tokenize::source::find_inputs(&[pattern.display().to_string()]);
    // What is wrong with a match is told by the step that reads it.
    let files = found.unwrap_or_default();
    files.into_iter().flat_map(|file| file.paths().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write;

    use super::*;

    static GO_ON: AtomicBool = AtomicBool::new(false);

    fn put(path: &Path, bytes: &[u8]) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        File::create(path).unwrap().write_all(bytes).unwrap();
    }

    fn content(path: &Path, companions: Companions, known: &Known) -> Content {
        let tell = |_: &str| {};
        let mut outside = Outside::new(path, path, known, &tell);
        Arc::unwrap_or_clone(outside.content("x", path, companions).unwrap().unwrap())
    }

    #[test]
    fn a_link_to_a_folder_above_ends_the_way() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("a");
        fs::create_dir(&inner).unwrap();
        File::create(inner.join("1.jsonl")).unwrap();
        std::os::unix::fs::symlink("..", inner.join("up")).unwrap();

        let found = files_of(folder.path()).unwrap();

        assert_eq!(found, [inner.join("1.jsonl")]);
    }

    #[test]
    fn a_large_file_is_read_whole_and_once_until_it_is_touched() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        let mut bytes = vec![0; 3 << 20];
        put(&path, &bytes);
        let known = Known::default();
        let first = content(&path, Companions::Nothing, &known);
        let again = content(&path, Companions::Nothing, &known);
        assert_eq!((&again.checksum, known.reads()), (&first.checksum, 1));

        put(&path, &bytes);
        let touched = content(&path, Companions::Nothing, &known);
        assert_eq!((&touched.checksum, known.reads()), (&first.checksum, 2));
        assert_eq!(first.changed(&GO_ON).unwrap(), None, "touched, and still the same");

        // Where no sample of before was taken.
        bytes[20 << 10] = 1;
        put(&path, &bytes);
        let edited = content(&path, Companions::Nothing, &known);
        assert_ne!(edited.checksum, first.checksum);
        assert_eq!(first.changed(&GO_ON).unwrap(), Some(path));
    }

    #[test]
    fn a_file_that_comes_or_goes_is_a_change() {
        let folder = tempfile::tempdir().unwrap();
        put(&folder.path().join("d/a"), b"a");
        let known = Known::default();
        let first = content(&folder.path().join("d"), Companions::Nothing, &known);
        let added = folder.path().join("d/b");

        put(&added, b"b");
        assert_eq!(first.changed(&GO_ON).unwrap(), Some(added.clone()));
        let second = content(&folder.path().join("d"), Companions::Nothing, &known);
        fs::remove_file(&added).unwrap();

        assert_ne!(first.checksum, second.checksum);
        assert_eq!(first.changed(&GO_ON).unwrap(), None);
        assert_eq!(second.changed(&GO_ON).unwrap(), Some(added));
    }

    #[test]
    fn what_is_read_with_a_file_counts_too() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let known = Known::default();
        for (own, other, companions) in [
            ("tokenizer.json", "tokenizer_config.json", Companions::Tokenizer),
            ("x.bin", "x.idx", Companions::Layouts),
            ("y.ds", "y.ds.metadata", Companions::Layouts),
            ("z.npy", "z.csv.gz", Companions::Layouts),
            ("z.npy", "label_mask/z.npy", Companions::Layouts),
        ] {
            put(&path(own), b"ids");
            put(&path(other), b"one");
            let first = content(&path(own), companions, &known);

            put(&path(other), b"two");

            let second = content(&path(own), companions, &known);
            assert_ne!(first.checksum, second.checksum, "{other}");
        }
    }
}
