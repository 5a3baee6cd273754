//! A tokenize job from its plan to its artifact.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};

use ratdata_schemas::recipe::{Recipe, Tokenize};
use ratdata_schemas::{
    ArtifactJob, Dtype, FORMAT_VERSION, FileRecord, Manifest, Opened, OtherJob, PlainName,
    ShardRecord, SourceRecord, SplitRecord, TokenizerRecord, Workspace, difference,
};
use serde_json::{Value, json};

use super::context::JobContext;
use super::delivery::Delivery;
use super::document_edge::edge;
use super::error::JobError;
use super::fim::{FimFiles, FimPlan};
use super::inputs::Inputs;
use super::merge::{absorbed_shards, merge_split};
use super::opened::OpenedFiles;
use super::own_files::{OwnFiles, SHARDS, input_inside};
use super::pool::{self, Event, FilePart, Frame};
use super::progress::Progress;
use super::state::{JobState, Receipt, finished_job, remove_job};
use super::writer::Writer;
use crate::source::{SourceError, SourceFile};
use crate::tokenizer::{IdWidth, Tokenizer};

/// What there is to do in an output folder.
#[derive(Debug)]
pub enum Outcome {
    /// The same job has finished there.
    Done(Box<Manifest>),
    /// The job is to be run or continued.
    Open(Box<Job>),
}

/// A job with its folder locked.
#[derive(Debug)]
pub struct Job {
    context: JobContext,
    dtype: Dtype,
    tokenizer: Tokenizer,
    record: TokenizerRecord,
    /// Files of a finished artifact that were lost since.
    lost: Vec<String>,
    workspace: Workspace,
}

/// A job as it is compared with what is in its folder.
struct Compared<'a> {
    context: &'a JobContext,
    record: &'a TokenizerRecord,
    interrupted: &'a AtomicBool,
}

impl ArtifactJob for Compared<'_> {
    type Error = JobError;

    fn difference(&self, there: &Manifest) -> Option<String> {
        let mut ours = described(self.context, self.record);
        // Inputs that a limit kept from being read are in no manifest.
        if let (Some(inputs), true) =
            (ours["inputs"].as_array_mut(), self.context.config.limit_docs.is_some())
        {
            inputs.truncate(there.sources.len());
        }
        difference(&finished_job(there), &ours)
    }

    fn check_inputs(&self, there: &Manifest, workspace: &Workspace) -> Result<(), JobError> {
        if let Some(difference) = self.context.inputs.first_change(there, self.interrupted)? {
            return Err(workspace.other_job(difference).into());
        }
        workspace.keep_note(&self.context.inputs.note());
        Ok(())
    }
}

impl Job {
    /// Plans a job: checks its settings, locks its folder and looks at what is there.
    ///
    /// `name` is what the user calls the tokenizer. With `force`, another job's result is removed.
    ///
    /// # Errors
    ///
    /// The settings do not fit the tokenizer, the inputs cannot be read, another run is at work in
    /// the folder, or it holds another job.
    pub fn open(
        config: Tokenize,
        tokenizer: Tokenizer,
        name: &str,
        files: Vec<SourceFile>,
        out: &Path,
        force: bool,
    ) -> Result<Outcome, JobError> {
        Self::open_unless(config, tokenizer, name, files, out, force, &AtomicBool::new(false))
    }

    /// Plans a job as [`Job::open`] does, unless it is interrupted: a file of a finished job that was
    /// touched since is read whole.
    ///
    /// # Errors
    ///
    /// As of [`Job::open`], and [`JobError::Interrupted`].
    pub fn open_unless(
        config: Tokenize,
        tokenizer: Tokenizer,
        name: &str,
        files: Vec<SourceFile>,
        out: &Path,
        force: bool,
        interrupted: &AtomicBool,
    ) -> Result<Outcome, JobError> {
        let opened = Self::open_in(config, tokenizer, name, files, out, force, interrupted);
        opened.map_err(|wrong| match wrong {
            // What is delivered to a store has another folder than the one that the user named.
            JobError::OtherJob(other) => OtherJob { out: out.to_owned(), ..other }.into(),
            wrong => wrong,
        })
    }

    fn open_in(
        config: Tokenize,
        tokenizer: Tokenizer,
        name: &str,
        files: Vec<SourceFile>,
        out: &Path,
        force: bool,
        interrupted: &AtomicBool,
    ) -> Result<Outcome, JobError> {
        let mut record = tokenizer.record(name);
        let dtype = config
            .dtype
            .resolve(&record)
            .ok_or(JobError::Width { vocab_size: record.vocab_size })?;
        record.eos = edge(&config.eos, record.eos, &tokenizer, ("EOS", "eos"))?;
        record.bos = edge(&config.bos, record.bos, &tokenizer, ("BOS", "bos"))?;
        FimPlan::of(&config, &tokenizer)?;
        let delivery = Delivery::to(out)?;
        let folder = delivery.as_ref().map_or(out, Delivery::folder).to_owned();
        let workspace = Workspace::lock(&folder)?;
        delivery.as_ref().map_or(Ok(()), Delivery::take_up)?;
        let state = JobState::of(&folder);
        if let Some(path) = input_inside(&folder, &files) {
            return Err(JobError::InputInside { path, out: out.to_owned() });
        }
        let inputs = Inputs::new(files, &workspace.known().facts());
        let context = JobContext::new(folder, delivery, config, inputs, state);
        let compared = Compared { context: &context, record: &record, interrupted };
        let has = |file: &FileRecord| context.has(file);
        let mut workspace = match workspace.look_where(&compared, force, &has)? {
            Opened::Done(manifest, workspace) => {
                workspace.end_job()?;
                return Ok(Outcome::Done(manifest));
            }
            Opened::Open(workspace) => workspace,
        };
        let old = workspace.take_lost();
        let mut job = Self { context, dtype, tokenizer, record, lost: Vec::new(), workspace };
        if force {
            job.remove_all()?;
        }
        if let Some(manifest) = &old {
            job.lost = job.lost_files(manifest);
            job.workspace.end_job()?;
        }
        job.begin()?;
        if let Some(manifest) = &old {
            job.keep_whole(manifest)?;
        }
        Ok(Outcome::Open(Box::new(job)))
    }

    fn begin(&self) -> Result<(), JobError> {
        let described = described(&self.context, &self.record);
        self.context.state.begin(&self.context.out, &described)?;
        self.context.state.record_own(&OwnFiles::of(&self.context.config, self.files()))?;
        self.context.deliver_begin()
    }

    /// Removes what any job has left, from the store that this one delivers to first.
    fn remove_all(&self) -> Result<(), JobError> {
        let JobContext { out, delivery, state, .. } = &self.context;
        if let Some(store) = delivery {
            let of_artifact = Manifest::read(out).ok();
            let mut files: Vec<FileRecord> =
                of_artifact.iter().flat_map(Manifest::files).cloned().collect();
            for receipt in state.receipts()? {
                files.extend(receipt.shards.into_values().flat_map(|shard| [shard.bin, shard.idx]));
            }
            store.clear(&files)?;
        }
        remove_job(&self.workspace, state)
    }

    /// Returns the files of an artifact that are missing or of another size.
    fn lost_files(&self, manifest: &Manifest) -> Vec<String> {
        let lost = manifest.files().into_iter().filter(|record| !self.context.has(record));
        lost.map(|record| record.path.to_string()).collect()
    }

    /// Makes a finished artifact a job again, in which the files whose shards are whole are done.
    fn keep_whole(&self, manifest: &Manifest) -> Result<(), JobError> {
        let shards = |number: usize| {
            manifest.splits.iter().filter_map(move |(split, record)| {
                let SplitRecord::Shards { shards } = record else { return None };
                let of_file = |shard: &&ShardRecord| {
                    shard.source.is_some_and(|source| source as usize == number)
                };
                shards.iter().find(of_file).map(|shard| (split.to_string(), shard.clone()))
            })
        };
        for (number, source) in manifest.sources.iter().enumerate() {
            let shards: BTreeMap<String, ShardRecord> = shards(number).collect();
            let whole = shards
                .values()
                .flat_map(|shard| [&shard.bin, &shard.idx])
                .all(|record| self.context.has(record));
            if whole && !shards.is_empty() {
                let documents = shards.values().map(|shard| shard.documents).sum();
                let known = self.context.inputs.facts(number);
                let receipt = Receipt { source: source.clone(), shards, documents, known };
                let stem = &self.files()[number].stem;
                self.context.state.record(stem, &receipt)?;
                self.context.deliver(&receipt, stem)?;
            }
        }
        // Only now, so that a run that is killed before finds the manifest and does this again.
        self.context.delivery.as_ref().map_or(Ok(()), Delivery::withdraw)?;
        self.workspace.remove_manifest()?;
        for record in manifest.files() {
            if !record.path.as_str().starts_with(SHARDS) {
                record.remove(&self.context.out)?;
            }
        }
        Ok(())
    }

    /// Returns the files of a finished artifact that were missing or of another size, and are made
    /// again by this job.
    pub fn lost(&self) -> &[String] {
        &self.lost
    }

    /// Returns the input files, in the order of the artifact.
    pub fn files(&self) -> &[SourceFile] {
        self.context.files()
    }

    /// Returns the settings.
    pub fn config(&self) -> &Tokenize {
        &self.context.config
    }

    /// Tokenizes those of the files `wanted` that are not done yet, on `threads` threads.
    ///
    /// Which files are wanted does not change their bytes, so several processes may each do a
    /// share of them, one after the other or on copies of the folder.
    ///
    /// # Errors
    ///
    /// See [`JobError`]; files that were done stay done.
    pub fn run(
        &self,
        wanted: impl Fn(usize) -> bool,
        threads: usize,
        progress: &Progress,
        interrupted: &AtomicBool,
    ) -> Result<(), JobError> {
        match self.dtype {
            Dtype::U16 => self.run_as::<u16>(&wanted, threads, progress, interrupted),
            Dtype::U32 => self.run_as::<u32>(&wanted, threads, progress, interrupted),
        }
    }

    fn run_as<W: IdWidth>(
        &self,
        wanted: &dyn Fn(usize) -> bool,
        threads: usize,
        progress: &Progress,
        interrupted: &AtomicBool,
    ) -> Result<(), JobError> {
        self.give_up_changed(wanted, progress, interrupted)?;
        let mut todo = Vec::new();
        let mut counted = 0;
        for (number, file) in self.files().iter().enumerate().filter(|(number, _)| wanted(*number))
        {
            match self.receipt(number)? {
                Some(receipt) => {
                    self.context.deliver_rest(&receipt, &file.stem)?;
                    counted += receipt.documents;
                    progress.files_done.fetch_add(1, Ordering::Relaxed);
                    progress.input_bytes_before.fetch_add(file.bytes, Ordering::Relaxed);
                }
                None => todo.push(number),
            }
        }
        let left = self.context.config.limit_docs.map(|limit| limit.saturating_sub(counted));
        if todo.is_empty() || left == Some(0) {
            return Ok(());
        }
        let frame = Frame {
            bos: self.record.bos.filter(|_| self.context.config.bos.is_on()),
            eos: self.record.eos.filter(|_| self.context.config.eos.is_on()),
            on_bad_row: self.context.config.on_bad_row,
            fim: FimFiles::of(&self.context.config, &self.tokenizer, self.files())?,
        };
        let encoder = self.tokenizer.encoder(self.context.config.special_in_text);
        let encoders = vec![encoder; threads.max(1)];
        std::thread::scope(|scope| {
            let mut writer = Writer::new(scope, &self.context, progress, interrupted, left);
            let take = |event: Event<W>| writer.take(event);
            let parts = self.parts(OpenedFiles::new(scope, &self.context, &todo));
            let ran = pool::run(encoders, parts, frame, progress, interrupted, take);
            // The last file's thread is waited for in any case, for it may have panicked too.
            let ended = writer.end();
            ran.and(ended)
        })
    }

    /// Forgets which files are done of those that changed since, so that they are made again.
    fn give_up_changed(
        &self,
        wanted: &dyn Fn(usize) -> bool,
        progress: &Progress,
        interrupted: &AtomicBool,
    ) -> Result<(), JobError> {
        let mut found = Vec::new();
        for (number, file) in self.files().iter().enumerate().filter(|(number, _)| wanted(*number))
        {
            let Some(receipt) = self.receipt(number)? else { continue };
            if self.context.config.limit_docs.is_some() && !found.is_empty() {
                // How many documents it may have depends on those before it.
                self.context.forget(&file.stem)?;
                continue;
            }
            self.context.inputs.learn(&receipt.known);
            if let Some(what) = self.context.inputs.change(number, &receipt.source, interrupted)? {
                self.context.forget(&file.stem)?;
                found.push(format!("{}: {what}", file.path.display()));
                continue;
            }
            // A file that was touched and is the same is not read again by the next run; and what an
            // older version recorded gives way to what this one does.
            let (fingerprint, known) = self.context.inputs.content(number, interrupted)?;
            if known != receipt.known || fingerprint != receipt.source.fingerprint {
                let source = SourceRecord { fingerprint, ..receipt.source };
                self.context.state.record(&file.stem, &Receipt { source, known, ..receipt })?;
            }
        }
        if !found.is_empty() {
            // What a merge has absorbed cannot be told apart, so it starts again.
            self.context.state.merging.forget_all()?;
        }
        progress.changed.lock().unwrap_or_else(PoisonError::into_inner).extend(found);
        Ok(())
    }

    /// Returns the parts of the files that are opened one after the other.
    fn parts<'env>(
        &'env self,
        files: OpenedFiles<'_, 'env>,
    ) -> impl Iterator<Item = Result<FilePart, JobError>> + Send {
        files.flat_map(move |(number, opened)| {
            let (source, failed) = match opened {
                Ok(source) => (Some(Arc::new(source)), None),
                Err(wrong) => (None, Some(Err(wrong))),
            };
            let path = Arc::new(self.files()[number].path.clone());
            let parts = source.into_iter().flat_map(move |source| {
                let count = source.num_parts();
                let path = path.clone();
                (0..count).map(move |part| {
                    Ok(FilePart {
                        file: number,
                        number: part,
                        last: part + 1 == count,
                        source: source.clone(),
                        path: path.clone(),
                    })
                })
            });
            parts.chain(failed)
        })
    }

    /// Returns the receipt of a file whose shards are there, or were absorbed by a merge.
    fn receipt(&self, number: usize) -> Result<Option<Receipt>, JobError> {
        let Some(receipt) = self.context.state.receipt(&self.files()[number].stem)? else {
            return Ok(None);
        };
        for (split, shard) in &receipt.shards {
            let whole = self.context.has(&shard.bin) && self.context.has(&shard.idx);
            if !whole
                && absorbed_shards(&self.context.out, &self.context.state, &self.merged(split))?
                    <= number
            {
                return Ok(None);
            }
        }
        Ok(Some(receipt))
    }

    /// Returns the name of a split's merged file, without its ending.
    fn merged(&self, split: &str) -> String {
        format!("{}-{split}", self.context.config.name)
    }

    /// Makes the artifact of the files that are done: merges if asked, and writes the manifest.
    ///
    /// # Errors
    ///
    /// A file is not done, or the system refuses a write.
    pub fn commit(self, interrupted: &AtomicBool) -> Result<Manifest, JobError> {
        let mut receipts = Vec::new();
        let mut missing = Vec::new();
        let mut documents = 0;
        for (number, file) in self.files().iter().enumerate() {
            if self.context.config.limit_docs.is_some_and(|limit| documents >= limit) {
                break;
            }
            match self.receipt(number)? {
                Some(receipt) => {
                    self.context.inputs.learn(&receipt.known);
                    if self.context.inputs.change(number, &receipt.source, interrupted)?.is_some() {
                        return Err(SourceError::Touched { path: file.path.clone() }.into());
                    }
                    documents += receipt.documents;
                    receipts.push(receipt);
                }
                None => missing.push(file.name.clone()),
            }
        }
        if let Some(first) = missing.first() {
            return Err(JobError::Unfinished {
                out: self.context.called(),
                missing: missing.len(),
                total: self.files().len(),
                first: first.clone(),
            });
        }
        let mut splits: BTreeMap<PlainName, Vec<ShardRecord>> = BTreeMap::new();
        for receipt in &receipts {
            for (split, shard) in &receipt.shards {
                let split = PlainName::near(split);
                splits.entry(split).or_default().push(shard.clone());
            }
        }
        if self.context.config.merge {
            for (split, shards) in &mut splits {
                let stem = self.merged(split.as_str());
                let merged = merge_split(
                    &self.context.out,
                    &self.context.state,
                    &stem,
                    self.dtype,
                    shards,
                    interrupted,
                )?;
                *shards = vec![merged];
            }
            OwnFiles::of(&self.context.config, self.files()).remove(&self.context.out)?;
        }
        let manifest = Manifest {
            format_version: FORMAT_VERSION,
            name: self.context.config.name.clone(),
            dtype: self.dtype,
            tokenizer: self.record.clone(),
            splits: splits
                .into_iter()
                .map(|(split, shards)| (split, SplitRecord::Shards { shards }))
                .collect(),
            sources: receipts.into_iter().map(|receipt| receipt.source).collect(),
            base: None,
            recipe: Recipe::Tokenize(self.context.config.clone()),
        };
        self.workspace.keep_note(&self.context.inputs.note());
        self.workspace.finish(&manifest)?;
        self.context.delivery.as_ref().map_or(Ok(()), |store| store.finish(&manifest))?;
        self.workspace.end_job()?;
        Ok(manifest)
    }
}

/// Returns what decides a job's bytes, for comparing it with another.
fn described(context: &JobContext, record: &TokenizerRecord) -> Value {
    let inputs: Vec<Value> =
        context.files().iter().map(|file| json!({"name": file.name})).collect();
    json!({
        "config": context.config,
        "tokenizer": record.fingerprint,
        "bos": record.bos,
        "eos": record.eos,
        "inputs": inputs,
    })
}
