//! Fingerprints: what a step's bytes are decided by, and nothing else.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use ratdata_schemas::Checksum;
use ratdata_tokenize::sft::Task;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::error::PipelineError;
use super::file::{Step, reference, texts};
use super::kinds::{COMMAND, Key};
use super::place::{layers, place_of};

/// How many places of a large file are looked at, and how many bytes are read at each.
const SAMPLES: u64 = 64;
const SAMPLE_BYTES: u64 = 16 << 10;

/// What a step is made from; kept beside its result, so that a later plan can say what changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Recipe {
    pub(crate) kind: String,
    pub(crate) version: u32,
    pub(crate) config: Map<String, Value>,
    /// Fingerprints of steps and files, by the name that the config uses.
    pub(crate) inputs: BTreeMap<String, String>,
    /// Of large files that were once read whole, what they held.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) whole: BTreeMap<String, Whole>,
}

/// What a large file held when it was last read whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Whole {
    hash: String,
    /// Whether it is part of the fingerprint: the samples did not tell it from what was there before.
    named: bool,
}

impl Recipe {
    /// Returns the fingerprint: the same recipe, the same bytes.
    pub(crate) fn fingerprint(&self) -> String {
        let mut recipe = serde_json::json!([self.kind, self.version, self.config, self.inputs]);
        let named = self.whole.iter().filter(|(_, whole)| whole.named);
        let named: BTreeMap<&String, &String> =
            named.map(|(name, whole)| (name, &whole.hash)).collect();
        if let (false, Value::Array(parts)) = (named.is_empty(), &mut recipe) {
            parts.push(serde_json::json!(named));
        }
        Checksum::of_value(&recipe).as_str().to_owned()
    }

    /// Takes what was read whole, and what was when the step was last made, as long as the samples
    /// are the same.
    ///
    /// Samples alone name a result, so that reading all bytes makes nothing stale by itself. What
    /// differs between the samples is another content, and names another result from then on.
    pub(crate) fn settle(&mut self, read: &BTreeMap<String, String>, last: Option<&Self>) {
        for (name, samples) in &self.inputs {
            let last = last.filter(|last| last.inputs.get(name) == Some(samples));
            let whole = match (read.get(name), last.and_then(|last| last.whole.get(name))) {
                (None, None) => continue,
                (Some(hash), None) => Whole { hash: hash.clone(), named: false },
                (Some(hash), Some(last)) if *hash != last.hash => {
                    Whole { hash: hash.clone(), named: true }
                }
                (_, Some(last)) => last.clone(),
            };
            self.whole.insert(name.clone(), whole);
        }
    }

    /// Says what differs from an earlier recipe, old -> new.
    pub(crate) fn changes(&self, old: &Self) -> Vec<String> {
        let mut changes = Vec::new();
        let mut note = |what: &str, old: Option<String>, new: Option<String>| {
            if old != new {
                let shown = |value: Option<String>| value.unwrap_or_else(|| "unset".into());
                changes.push(format!("{what}: {} -> {}", shown(old), shown(new)));
            }
        };
        note("kind", Some(old.kind.clone()), Some(self.kind.clone()));
        note("version", Some(old.version.to_string()), Some(self.version.to_string()));
        let mut names: Vec<&String> = old.config.keys().collect();
        names.extend(self.config.keys().filter(|key| !old.config.contains_key(*key)));
        for name in names {
            let of = |recipe: &Self| recipe.config.get(name).map(ToString::to_string);
            note(name, of(old), of(self));
        }
        let mut names: Vec<&String> = old.inputs.keys().collect();
        names.extend(self.inputs.keys().filter(|name| !old.inputs.contains_key(*name)));
        for name in names {
            let short = |text: &String| text.chars().take(12).collect::<String>();
            let of = |recipe: &Self| recipe.inputs.get(name).map(short);
            note(&format!("input {name}"), of(old), of(self));
            let of = |recipe: &Self| recipe.whole.get(name).map(|whole| short(&whole.hash));
            if let (Some(before), Some(now)) = (of(old), of(self)) {
                note(&format!("input {name}, read whole"), Some(before), Some(now));
            }
        }
        changes
    }
}

/// Fingerprints of files outside the pipeline, each looked at once a plan.
pub(crate) struct Outside<'a> {
    pipeline: &'a Path,
    base: &'a Path,
    /// Read files whole, and not in samples.
    full: bool,
    known: HashMap<String, Content>,
}

/// Fingerprints of the files of one step.
#[derive(Debug, Default)]
pub(crate) struct Files {
    /// By samples of the large ones.
    pub(crate) sampled: BTreeMap<String, String>,
    /// By all bytes, of those that have large ones, where that is wanted.
    pub(crate) whole: BTreeMap<String, String>,
}

#[derive(Clone, Debug)]
struct Content {
    sampled: String,
    whole: Option<String>,
}

impl<'a> Outside<'a> {
    pub(crate) fn new(pipeline: &'a Path, base: &'a Path, full: bool) -> Self {
        Self { pipeline, base, full, known: HashMap::new() }
    }

    /// Returns the fingerprints of the files that a step takes from outside the pipeline.
    ///
    /// # Errors
    ///
    /// A file is not there or cannot be read.
    pub(crate) fn of(&mut self, step: &Step) -> Result<Files, PipelineError> {
        let mut found = Files::default();
        for (key, text) in self.named(step) {
            let content = match self.known.get(text) {
                Some(content) => content.clone(),
                None => match self.look(key, text)? {
                    Some(content) => content,
                    // The config holds the name already.
                    None if key.names.have(text) => continue,
                    None => {
                        return Err(PipelineError::MissingInput {
                            place: place_of(self.pipeline, &["steps", &step.name, &key.name]),
                            step: step.name.clone(),
                            input: PathBuf::from(text),
                            nearest: key.names.nearest(text).map(Into::into),
                        });
                    }
                },
            };
            found.sampled.insert(text.to_owned(), content.sampled.clone());
            found.whole.extend(content.whole.map(|whole| (text.to_owned(), whole)));
        }
        self.of_task(step, &mut found)?;
        Ok(found)
    }

    /// Returns the values of a step that name files, and those that may.
    fn named<'s>(&self, step: &'s Step) -> Vec<(&'s Key, &'s str)> {
        let mut named = Vec::new();
        texts(&step.config, &mut |key, text| {
            let key = step.kind.key(key).filter(|key| key.path);
            if let Some(key) = key.filter(|_| reference(text).is_none() && !text.contains("://")) {
                named.push((key, text));
            }
        });
        // A script among a program's words decides the bytes, too; a bare first word is looked for
        // among the system's programs, and not here.
        let program = step.kind.key("program").zip(step.config.get("program"));
        if let Some((key, words)) = program.filter(|_| step.kind.name == COMMAND) {
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

    /// Adds the fingerprints of the files that a task file of instruction data names by itself.
    fn of_task(&mut self, step: &Step, found: &mut Files) -> Result<(), PipelineError> {
        let file = step.config.get("task_file").and_then(Value::as_str);
        let own = step.kind.name == "sft" && !step.config.contains_key("input");
        let Some(file) = file.filter(|file| own && reference(file).is_none()) else {
            return Ok(());
        };
        let mut wanted = Vec::new();
        texts(&step.config, &mut |key, text| {
            wanted.extend((key == "split").then_some(text));
        });
        // What is wrong with the task is told by the step that reads it.
        let task = Task::read(&self.base.join(file));
        for (name, split) in task.into_iter().flat_map(|task| task.splits) {
            let skipped = !wanted.is_empty() && !wanted.contains(&name.as_str());
            if skipped || split.source.contains("://") {
                continue;
            }
            let path = PathBuf::from(split.located());
            let content = self.content(&path)?.ok_or_else(|| PipelineError::MissingInput {
                place: place_of(self.pipeline, &["steps", &step.name, "task_file"]),
                step: step.name.clone(),
                input: path.strip_prefix(self.base).unwrap_or(&path).to_owned(),
                nearest: None,
            })?;
            let name = format!("{file}: {name}");
            found.whole.extend(content.whole.map(|whole| (name.clone(), whole)));
            found.sampled.insert(name, content.sampled);
        }
        Ok(())
    }

    /// Looks at what a value names; none where that is nothing.
    fn look(&mut self, key: &Key, text: &str) -> Result<Option<Content>, PipelineError> {
        let path = self.base.join(text);
        if path.is_dir() && !key.folders {
            return Ok(None);
        }
        let content = self.content(&path)?;
        if let Some(content) = &content {
            self.known.insert(text.to_owned(), content.clone());
        }
        Ok(content)
    }

    /// Hashes what a path or pattern names; none where that is nothing.
    fn content(&self, path: &Path) -> Result<Option<Content>, PipelineError> {
        let refused = |source| PipelineError::Io { path: path.to_owned(), source };
        let pattern = !path.exists() && path.to_string_lossy().contains(['*', '?', '[']);
        let files = if pattern { matching(path) } else { files_of(path).map_err(refused)? };
        if files.is_empty() {
            return Ok(None);
        }
        let hash = |full: bool| -> Result<String, PipelineError> {
            let hash = |file: &PathBuf| {
                let name = file.strip_prefix(path).ok().filter(|name| !name.as_os_str().is_empty());
                let name = name.or_else(|| file.file_name().map(Path::new)).unwrap_or(file);
                let content = content(file, full)
                    .map_err(|source| PipelineError::Io { path: file.clone(), source })?;
                Ok(format!("{} {content}\n", name.display()))
            };
            let lines = files.par_iter().map(hash).collect::<Result<Vec<_>, PipelineError>>()?;
            Ok(Checksum::of(lines.concat().as_bytes()).as_str().to_owned())
        };
        let sampled = hash(false)?;
        let whole = self.full.then(|| hash(true)).transpose()?;
        // Of small files alone all bytes are looked at anyway.
        let whole = whole.filter(|whole| *whole != sampled);
        Ok(Some(Content { sampled, whole }))
    }
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
        found.extend(if entry.is_dir() { files_of(&entry)? } else { vec![entry] });
    }
    Ok(found)
}

fn matching(pattern: &Path) -> Vec<PathBuf> {
    let found = ratdata_tokenize::source::find_inputs(&[pattern.display().to_string()]);
    // What is wrong with a match is told by the step that reads it.
    found.map_or_else(|_| Vec::new(), |files| files.into_iter().map(|file| file.path).collect())
}

/// Hashes a file's size and content: all of it, or 64 blocks of 16 KiB, evenly spread.
fn content(path: &Path, full: bool) -> io::Result<blake3::Hash> {
    let file = File::open(path)?;
    let bytes = file.metadata()?.len();
    let mut hasher = blake3::Hasher::new();
    hasher.update(&bytes.to_le_bytes());
    if full || bytes <= SAMPLES * SAMPLE_BYTES {
        hasher.update_reader(&file)?;
        return Ok(hasher.finalize());
    }
    let last = bytes - SAMPLE_BYTES;
    let mut block = vec![0; usize::try_from(SAMPLE_BYTES).unwrap_or(0)];
    for place in (0..SAMPLES - 1).map(|number| last / (SAMPLES - 1) * number).chain([last]) {
        file.read_exact_at(&mut block, place)?;
        hasher.update(&block);
    }
    Ok(hasher.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe(share: f64) -> Recipe {
        let config = serde_json::json!({"input": "x", "val_fraction": share});
        let inputs = BTreeMap::from([("x".to_owned(), "0123456789abcdef".to_owned())]);
        let Value::Object(config) = config else { unreachable!() };
        Recipe { kind: "tokenize".into(), version: 1, config, inputs, whole: BTreeMap::new() }
    }

    #[test]
    fn what_differs_between_samples_names_another_result_from_then_on() {
        let read = |hash: &str| BTreeMap::from([("x".to_owned(), hash.to_owned())]);
        let settled = |hash: Option<&str>, last: Option<&Recipe>| {
            let mut recipe = recipe(0.0);
            recipe.settle(&hash.map(read).unwrap_or_default(), last);
            recipe
        };
        let sampled = settled(None, None);

        let first = settled(Some("one"), Some(&sampled));
        let same = settled(Some("one"), Some(&first));
        let other = settled(Some("two"), Some(&same));
        let later = settled(None, Some(&other));

        assert_eq!(first.fingerprint(), sampled.fingerprint());
        assert_eq!(same.fingerprint(), sampled.fingerprint());
        assert_ne!(other.fingerprint(), sampled.fingerprint());
        assert_eq!(later.fingerprint(), other.fingerprint());
        assert_eq!(other.changes(&same), ["input x, read whole: one -> two"]);
    }

    #[test]
    fn the_order_of_keys_does_not_matter() {
        let one = recipe(0.5);
        let mut other = one.clone();
        other.config = other.config.into_iter().rev().collect();

        assert_eq!(one.fingerprint(), other.fingerprint());
        assert_ne!(one.fingerprint(), recipe(0.25).fingerprint());
    }

    #[test]
    fn a_change_is_told_old_to_new() {
        let mut new = recipe(0.25);
        new.inputs.insert("x".into(), "fedcba9876543210".into());

        assert_eq!(
            new.changes(&recipe(0.5)),
            ["val_fraction: 0.5 -> 0.25", "input x: 0123456789ab -> fedcba987654"]
        );
    }

    #[test]
    fn a_large_file_is_sampled_unless_all_of_it_is_wanted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        let file = File::create(&path).unwrap();
        file.set_len(3 << 20).unwrap();
        let (sampled, full) = (content(&path, false).unwrap(), content(&path, true).unwrap());

        // Between two samples.
        file.write_at(b"x", 20 << 10).unwrap();
        assert_eq!(content(&path, false).unwrap(), sampled);
        assert_ne!(content(&path, true).unwrap(), full);

        file.write_at(b"x", (3 << 20) - 1).unwrap();
        assert_ne!(content(&path, false).unwrap(), sampled);
    }
}
