//! A job over instruction data, from its task to its artifact, split by split.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use ratdata_schemas::recipe::{
    Form, MadeFrom, MadeSplit, PreferenceCounts, Recipe, Sft, Side, Split, Task, Truncate,
};
use ratdata_schemas::{
    Checksum, Dtype, FORMAT_VERSION, Finished, Manifest, PlainName, SourceRecord, SplitRecord,
    TokenId, TokenizerRecord, Workspace, difference, narrow,
};
use serde_json::{Value, json};

use super::documents::write_documents;
use super::error::SftError;
use super::pairs::{MOST_IDS, PairFiles, write_pairs};
use super::portions::{BLOCK, Portions};
use super::rows::RowEncoder;
use super::split_files::{SplitFiles, check_apart};
use super::staged::{Input, SftProgress, SplitReading, Staged, encode_share};
use crate::Share;
use crate::hub::FetchProgress;
use crate::source::{Compression, InputKind, Recorded, SourceError, SourceFile, Table, changed};
use crate::tokenizer::{IdWidth, SpecialInText, Tokenizer};

/// The most tokens of a row, which is the most of a pack.
pub const MOST_ROW: u32 = (1 << 24) - 1;

/// A job: a task, and what the command adds to it.
#[derive(Clone, Debug)]
pub struct SftJob {
    /// The task.
    pub task: Task,
    /// The parts that are made.
    pub splits: Vec<String>,
    /// A folder that holds the task's files, instead of its sources.
    pub input: Option<PathBuf>,
    /// The number of tokens of a row.
    pub max_length: u32,
    /// How examples longer than that are cut.
    pub truncate: Truncate,
    /// What is written.
    pub form: Form,
    /// Whether rows that cannot be used are left out, and counted.
    pub skip_bad: bool,
    /// How many threads encode.
    pub threads: usize,
    /// The folder that becomes the artifact.
    pub out: PathBuf,
    /// Whether what another job left there is replaced.
    pub force: bool,
    /// The share of the rows that is encoded, with the artifact left to a run of the same job
    /// without it; none where the artifact is made.
    pub share: Option<Share>,
}

impl SftJob {
    /// Makes the splits that are not there yet, or encodes its share of them; `name` is what the
    /// user calls the tokenizer.
    ///
    /// # Errors
    ///
    /// See [`SftError`]. Splits that were done stay done.
    pub fn run(
        &self,
        tokenizer: &Tokenizer,
        name: &str,
        fetch: &dyn FetchProgress,
        progress: &SftProgress,
        interrupted: &AtomicBool,
    ) -> Result<Finished, SftError> {
        let record = tokenizer.record(name);
        let eos = self.check_all(tokenizer)?;
        let out = &self.out;
        let workspace = Workspace::lock(out)?;
        let known = workspace.known();
        let (mut manifest, mut recipe) = self.manifest_of(&record, tokenizer, &workspace)?;
        let encoder = tokenizer.encoder(SpecialInText::Parse);
        let encoders: Vec<_> =
            (0..self.threads.max(1)).map(|_| Mutex::new(encoder.clone())).collect();
        let pool = self.pool(encoders.len())?;
        let portions = Portions::of(out, described(&recipe, &record))?;
        let mut made = false;
        for SplitFiles { name, split, files, left_out, .. } in self.files(fetch)? {
            progress.tell_left_out(name, &left_out);
            if let Some(made) = recipe.made(name) {
                self.check_made(&manifest, name, made, &files, &workspace, interrupted)?;
                continue;
            }
            let limit = self.limit(split) as usize;
            let truncate = self.truncate;
            let rows =
                RowEncoder::new(&self.task, split, tokenizer, eos, limit, truncate, interrupted)?;
            let reading = SplitReading {
                split_name: name,
                split,
                rows: &rows,
                encoders: &encoders,
                pool: &pool,
                skip_bad: self.skip_bad,
                folder: out,
                portions: &portions,
                known,
                progress,
                interrupted,
            };
            if let Some(share) = self.share {
                encode_share(&reading, &files, share)?;
                made = true;
                continue;
            }
            let look = |file| Input::of(file, known, interrupted);
            let inputs = files.iter().map(look).collect::<Result<Vec<_>, SourceError>>()?;
            let made_rows = match (self.form, manifest.dtype) {
                (Form::Pairs, _) => self.pairs(&reading, &inputs, manifest.name.as_str(), eos)?,
                (Form::Documents, Dtype::U16) => {
                    self.documents::<u16>(&reading, &inputs, manifest.name.as_str())?
                }
                (Form::Documents, Dtype::U32) => {
                    self.documents::<u32>(&reading, &inputs, manifest.name.as_str())?
                }
            };
            inputs.iter().try_for_each(Input::check)?;
            let MadeRows { records, sources, preference } = made_rows;
            let names = self.task.artifact_splits(name);
            manifest.splits.extend(names.iter().map(|name| PlainName::near(name)).zip(records));
            manifest.sources.extend(sources);
            let (name, inputs) = (name.to_owned(), made_from(&inputs));
            recipe.splits.push(MadeSplit { name, inputs, preference });
            manifest.recipe = Recipe::Sft(recipe.clone());
            workspace.keep_known();
            workspace.finish(&manifest)?;
            made = true;
        }
        workspace.keep_known();
        if self.share.is_none() {
            workspace.end_job()?;
        }
        Ok(Finished { manifest, made })
    }

    /// Checks that a split that was made is there, and was made of the files as they are.
    fn check_made(
        &self,
        manifest: &Manifest,
        name: &str,
        made: &[MadeFrom],
        files: &[SourceFile],
        workspace: &Workspace,
        interrupted: &AtomicBool,
    ) -> Result<(), SftError> {
        let other = |difference: String| {
            SftError::from(workspace.other_job(format!("splits.{name}: {difference}")))
        };
        let theirs: Value = made.iter().map(|made| made.name.as_str()).collect();
        let ours: Value = files.iter().map(|file| file.name.as_str()).collect();
        if let Some(difference) = difference(&theirs, &ours) {
            return Err(other(difference));
        }
        for (file, made) in files.iter().zip(made) {
            let is_it = |source: &&SourceRecord| {
                source.name == made.name && source.fingerprint == made.fingerprint
            };
            let bytes = manifest.sources.iter().find(is_it).map(|source| source.bytes);
            let recorded = Recorded { bytes, fingerprint: &made.fingerprint };
            if let Some(what) = changed(file, recorded, workspace.known(), interrupted)? {
                return Err(other(format!("`{}`: {what}", file.name)));
            }
        }
        let names = self.task.artifact_splits(name);
        let records = names.iter().filter_map(|name| manifest.splits.get(name.as_str()));
        match records.flat_map(SplitRecord::files).find(|record| !record.is_whole(&self.out)) {
            Some(lost) => Err(SftError::Lost { path: lost.place(&self.out) }),
            None => Ok(()),
        }
    }

    /// Checks what can be wrong before anything is read, and returns the id that ends texts.
    pub(super) fn check_all(&self, tokenizer: &Tokenizer) -> Result<TokenId, SftError> {
        let eos = tokenizer.eos().ok_or(SftError::NoEos)?;
        let vocab_size = tokenizer.vocab_size();
        if self.form == Form::Pairs && vocab_size > MOST_IDS {
            return Err(SftError::PairsWidth { vocab_size });
        }
        self.splits.iter().try_for_each(|split| self.check(split))?;
        Ok(eos)
    }

    /// Makes the threads that encode.
    pub(super) fn pool(&self, threads: usize) -> Result<rayon::ThreadPool, SftError> {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().map_err(|wrong| {
            let source = std::io::Error::other(wrong);
            SftError::Staging { folder: self.out.clone(), source }
        })
    }

    pub(super) fn limit(&self, split: &Split) -> u32 {
        split.limit(self.max_length, self.task.max_new_tokens)
    }

    /// Checks what can be wrong before anything is read.
    fn check(&self, name: &str) -> Result<(), SftError> {
        let split = self.task.split(name)?;
        let wrong = |reason: String| SftError::Length { split: name.to_owned(), reason };
        if self.max_length > MOST_ROW {
            return Err(wrong(format!(
                "a row length of {}: expected at most {MOST_ROW}, as `pack` has it",
                self.max_length
            )));
        }
        let limit = self.limit(split);
        if limit < 8 {
            return Err(wrong(format!(
                "rows of {} tokens leave {limit} for the prompt, expected at least 8",
                self.max_length
            )));
        }
        if limit > self.max_length {
            return Err(wrong(format!(
                "`prompt_limit` leaves prompts {limit} tokens, expected at most the row's {}",
                self.max_length
            )));
        }
        if self.task.preference.is_some() && self.form == Form::Pairs {
            return Err(wrong("preference pairs are documents with a loss mask".into()));
        }
        if split.references.is_some() && self.form == Form::Documents {
            return Err(wrong(
                "rows to be scored have no answer to learn, so they are not packed".into(),
            ));
        }
        Ok(())
    }

    /// Returns the manifest of the splits that are there, or a new one.
    fn manifest_of(
        &self,
        record: &TokenizerRecord,
        tokenizer: &Tokenizer,
        workspace: &Workspace,
    ) -> Result<(Manifest, Sft), SftError> {
        let recipe = Sft {
            task: recorded(&self.task),
            max_length: self.max_length,
            truncate: self.truncate,
            form: self.form,
            skip_bad_rows: self.skip_bad,
            template: self.template_beside(tokenizer.path()),
            splits: Vec::new(),
        };
        let fresh = Manifest {
            format_version: FORMAT_VERSION,
            name: PlainName::near(&record.name),
            dtype: if self.form == Form::Pairs {
                Dtype::U16
            } else {
                Dtype::for_vocab(record.vocab_size)
            },
            tokenizer: record.clone(),
            splits: BTreeMap::new(),
            sources: Vec::new(),
            base: None,
            recipe: Recipe::Sft(recipe.clone()),
        };
        if self.force {
            workspace.remove_artifact()?;
            return Ok((fresh, recipe));
        }
        let ours = described(&recipe, record);
        let there = workspace.artifact_of::<SftError>(|there| {
            let theirs = match &there.recipe {
                Recipe::Sft(made) => described(made, &there.tokenizer),
                recipe => json!({ "config": recipe }),
            };
            difference(&theirs, &ours)
        })?;
        let Some(there) = there else { return Ok((fresh, recipe)) };
        let made = match &there.recipe {
            Recipe::Sft(made) => made.clone(),
            _ => recipe,
        };
        Ok((*there, made))
    }

    /// Returns the checksum of the chat template in the folder of the tokenizer, where the task takes that: it
    /// decides the rows, and is no part of the tokenizer's fingerprint.
    fn template_beside(&self, tokenizer: &Path) -> Option<Checksum> {
        let has_own = self.task.chat.as_ref().map(|chat| chat.template.is_some());
        let reads = has_own.map_or(self.task.preference.is_some(), |has_own| !has_own);
        if !reads {
            return None;
        }
        // An error in the file is reported where the template is compiled.
        let text = std::fs::read(tokenizer.with_file_name("tokenizer_config.json")).ok()?;
        let config: Value = serde_json::from_slice(&text).ok()?;
        let read = ["chat_template", "bos_token", "eos_token"].map(|key| config[key].clone());
        Some(Checksum::of_value(&json!(read)))
    }

    /// Finds the files of each split, and checks that no two read the same.
    pub(super) fn files(&self, fetch: &dyn FetchProgress) -> Result<Vec<SplitFiles<'_>>, SftError> {
        if let (Some(path), [_, _, ..]) = (&self.input, self.splits.as_slice())
            && path.is_file()
        {
            let (path, splits) = (path.clone(), self.splits.clone());
            return Err(SftError::OneFile { path, splits });
        }
        let mut found: Vec<SplitFiles<'_>> = Vec::new();
        for name in &self.splits {
            // A part that is named twice is made once.
            if found.iter().all(|there| there.name != name) {
                let split = self.task.split(name)?;
                found.push(SplitFiles::find(name, split, self.input.as_deref(), fetch)?);
            }
        }
        check_apart(&found)?;
        Ok(found)
    }

    fn pairs(
        &self,
        reading: &SplitReading<'_>,
        inputs: &[Input<'_>],
        name: &str,
        eos: TokenId,
    ) -> Result<MadeRows, SftError> {
        let staged = Staged::<u16>::read(reading, inputs)?;
        let (out, split) = (self.out.as_path(), reading.split_name);
        let pairs = PairFiles {
            out,
            name,
            split,
            row_len: self.max_length,
            fill: eos,
            interrupted: reading.interrupted,
        };
        let records = vec![SplitRecord::Pairs(write_pairs(&pairs, &staged)?)];
        Ok(MadeRows { records, sources: staged.sources, preference: None })
    }

    fn documents<W: IdWidth>(
        &self,
        reading: &SplitReading<'_>,
        inputs: &[Input<'_>],
        name: &str,
    ) -> Result<MadeRows, SftError> {
        let staged = Staged::<W>::read(reading, inputs)?;
        let stem = format!("{name}-{}", reading.split_name);
        let write = |stem: &str, order: &[u32]| -> Result<SplitRecord, SftError> {
            let shard = write_documents(&self.out, stem, (&staged, order), reading.interrupted)?;
            Ok(SplitRecord::Shards { shards: vec![shard] })
        };
        let records = if staged.preference.is_some() {
            let side = |side: Side| write(&side.split(&stem), &staged.side(side));
            Side::ALL.into_iter().map(side).collect::<Result<_, _>>()?
        } else {
            vec![write(&stem, &staged.order)?]
        };
        Ok(MadeRows { records, sources: staged.sources, preference: staged.preference })
    }
}

/// What was made of a split.
struct MadeRows {
    /// The parts of the artifact, in the order of [`Task::artifact_splits`].
    records: Vec<SplitRecord>,
    sources: Vec<SourceRecord>,
    /// What became of preference pairs, if the task has them.
    preference: Option<PreferenceCounts>,
}

/// Returns how many shares of a split made from these files could have rows.
pub fn most_shares(files: &[SourceFile]) -> usize {
    // A row takes three bytes at least, and of a compressed file nothing is known.
    let rows = |file: &SourceFile| match &file.kind {
        InputKind::Lines(Compression::None) => Some(file.bytes.div_ceil(3)),
        _ => Table::open(file, &[]).ok()?.num_rows(),
    };
    let blocks = |file: &SourceFile| rows(file).map_or(u64::MAX, |rows| rows.div_ceil(BLOCK));
    let blocks = files.iter().map(blocks).max().unwrap_or(0);
    files.len().max(narrow(blocks))
}

/// Returns what decides a job's rows, except its inputs.
fn described(recipe: &Sft, tokenizer: &TokenizerRecord) -> Value {
    let mut config = json!(recipe);
    config["splits"] = Value::Null;
    // A split's files are compared by their content, wherever they are.
    for split in config["task"]["splits"].as_object_mut().into_iter().flatten() {
        for key in ["source", "local"] {
            split.1[key] = Value::Null;
        }
    }
    let TokenizerRecord { fingerprint, bos, eos, .. } = tokenizer;
    json!({"config": config, "tokenizer": fingerprint, "bos": bos, "eos": eos})
}

/// Returns a task as a manifest has it: without the folders of this machine.
///
/// What the task file writes relative to itself is kept as it is written.
fn recorded(task: &Task) -> Task {
    let mut task = task.clone();
    let relative = |path: &str| {
        let absolute = Path::new(path).is_absolute();
        let name = Path::new(path).file_name().filter(|_| absolute);
        name.map_or_else(|| path.to_owned(), |name| name.to_string_lossy().into_owned())
    };
    for split in task.splits.values_mut() {
        split.source = relative(&split.source);
        split.local = split.local.as_deref().map(relative);
    }
    task
}

/// Returns what a split is made from, for its manifest.
fn made_from(inputs: &[Input<'_>]) -> Vec<MadeFrom> {
    let one = |input: &Input<'_>| MadeFrom {
        name: input.file.name.clone(),
        fingerprint: input.fingerprint.clone(),
    };
    inputs.iter().map(one).collect()
}
