//! A job that prepares rows: its folder, its inputs, and the files that it writes, one by one.
//!
//! ```text
//! OUT/data/NAME.parquet | .jsonl.zst   the rows that are kept
//! OUT/dropped/NAME.dropped.zst         a line for each other row, with its reason
//! OUT/hits/NAME.hits.zst               what `decontaminate` found
//! OUT/.job/job.json                    the settings and inputs; another job's are refused
//! OUT/.job/done/NUMBER.json            a receipt a file: from here on the file is done
//! OUT/prepared.json                    written last: from here on the folder is a result
//! ```

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ratdata_schemas::{
    Checksum, Facts, FileRecord, JOB_FOLDER, OtherJob, Receipts, SourceRecord, Workspace,
    difference, read_json, remove_file_if_exists, remove_folder_if_exists, write_json,
};
use ratdata_tokenize::corpus::Inputs;
use ratdata_tokenize::source::SourceFile;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::decide::{Decide, RowSettings};
use crate::error::PrepareError;
use crate::judge::judge;
use crate::names::{ending, stems};
use crate::pool::in_order;
use crate::prepared::{DATA_FOLDER, PREPARED_FILE, Prepared, PreparedFile};
use crate::progress::Progress;
use crate::rows::{
    DroppedSample, LogWriter, MOST_SAMPLES, OpenFile, Piece, PieceCounts, RowWriter, Task, tasks,
};

/// The folder of the logs.
const DROPPED_FOLDER: &str = "dropped";

/// The folder of what `decontaminate` finds.
pub(crate) const HITS_FOLDER: &str = "hits";

/// What decides the bytes of a result, except the content of its inputs.
#[derive(Clone, Debug)]
pub struct JobSettings {
    /// The name of the command.
    pub kind: &'static str,
    /// Its settings.
    pub settings: Value,
    /// The one of the command's own settings that a finished job may change without looking again.
    pub movable: Option<&'static str>,
    /// How rows are read.
    pub rows: RowSettings,
}

/// What there is to do in an output folder.
#[derive(Debug)]
pub enum Outcome {
    /// The same job has finished there.
    Done(Box<Prepared>),
    /// The job is to be run or continued.
    Open(Box<Job>),
}

/// A job with its folder locked.
#[derive(Debug)]
pub struct Job {
    pub(crate) settings: JobSettings,
    pub(crate) out: PathBuf,
    pub(crate) inputs: Inputs,
    stems: Vec<String>,
    pub(crate) receipts: Receipts,
    pub(crate) workspace: Workspace,
}

/// What is known of a file that is done.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Receipt {
    file: PreparedFile,
    samples: Vec<DroppedSample>,
    known: Facts,
}

impl Job {
    /// Plans a job: locks its folder and looks at what is there. With `force`, another job's result is
    /// removed.
    ///
    /// # Errors
    ///
    /// Another run is at work in the folder, it has another job's result, or an input cannot be read.
    pub fn open(
        settings: JobSettings,
        files: Vec<SourceFile>,
        out: &Path,
        force: bool,
        stop: &AtomicBool,
    ) -> Result<Outcome, PrepareError> {
        let workspace = Workspace::lock(out)?;
        if let Some(path) = input_inside(out, &files) {
            return Err(PrepareError::InputInside { path, out: out.to_owned() });
        }
        let inputs = Inputs::new(files, &workspace.known().facts());
        let stems = stems(inputs.files());
        let (out, receipts) = (out.to_owned(), Receipts::of(out));
        let job = Self { settings, out, inputs, stems, receipts, workspace };
        if force {
            job.remove_all()?;
        }
        if let Some(there) = job.finished(stop)? {
            return Ok(Outcome::Done(Box::new(there)));
        }
        job.begin()?;
        job.give_up_changed(stop)?;
        Ok(Outcome::Open(Box::new(job)))
    }

    /// Returns the input files, in the order of the result.
    pub fn files(&self) -> &[SourceFile] {
        self.inputs.files()
    }

    /// Returns how the job is compared with another.
    fn described(&self) -> Value {
        let inputs: Vec<&str> = self.files().iter().map(|file| file.name.as_str()).collect();
        json!({"kind": self.settings.kind, "settings": self.settings.settings, "inputs": inputs})
    }

    /// Returns the result that is there, where it is this job's.
    fn finished(&self, stop: &AtomicBool) -> Result<Option<Prepared>, PrepareError> {
        let Some(there) = Prepared::read(&self.out)? else { return Ok(None) };
        let names: Vec<&str> = there.files.iter().map(|file| file.name.as_str()).collect();
        let mut theirs = json!({"kind": there.kind, "settings": there.settings, "inputs": names});
        let ours = self.described();
        let mut moved = false;
        if let Some(name) = self.settings.movable
            && let Some(value) = theirs["settings"]["own"].get_mut(name)
        {
            let wanted = &ours["settings"]["own"][name];
            moved = value != wanted;
            *value = wanted.clone();
        }
        let other = |difference| OtherJob { out: self.out.clone(), difference };
        if let Some(difference) = difference(&theirs, &ours) {
            return Err(other(difference).into());
        }
        for (number, file) in there.files.iter().enumerate() {
            if let Some(what) = self.change(number, file, stop)? {
                return Err(other(format!("inputs[{number}] `{}`: {what}", file.name)).into());
            }
        }
        self.workspace.keep_note(&self.inputs.note());
        if moved {
            self.reopen(&there, &ours)?;
            return Ok(None);
        }
        if there.records().all(|record| record.is_whole(&self.out)) {
            self.workspace.end_job()?;
            return Ok(Some(there));
        }
        // Files were lost since: the job makes all of it again.
        self.remove_all()?;
        Ok(None)
    }

    /// Makes a finished job one of which the passes are done, and the rows are to be written.
    fn reopen(&self, there: &Prepared, ours: &Value) -> Result<(), PrepareError> {
        remove_folder_if_exists(&self.out.join(JOB_FOLDER))?;
        write_json(&self.out.join(JOB_FOLDER).join("job.json"), ours)?;
        let passes = there.more["passes"].as_array().into_iter().flatten();
        for (number, (file, pass)) in there.files.iter().zip(passes).enumerate() {
            self.restore_pass(number, file, pass)?;
        }
        // Only now, so that a run that is killed before finds the record and does this again.
        remove_file_if_exists(&self.out.join(PREPARED_FILE))?;
        for folder in [DATA_FOLDER, DROPPED_FOLDER] {
            remove_folder_if_exists(&self.out.join(folder))?;
        }
        Ok(())
    }

    /// Returns the name of a file's output, without its ending.
    pub(crate) fn stem(&self, number: usize) -> &str {
        &self.stems[number]
    }

    fn change(
        &self,
        number: usize,
        file: &PreparedFile,
        stop: &AtomicBool,
    ) -> Result<Option<String>, PrepareError> {
        self.difference_of(number, file.bytes, &file.fingerprint, stop)
    }

    /// Returns whether an input is another than the one that was read.
    pub(crate) fn changed(
        &self,
        number: usize,
        bytes: u64,
        fingerprint: &Checksum,
        stop: &AtomicBool,
    ) -> Result<bool, PrepareError> {
        Ok(self.difference_of(number, bytes, fingerprint, stop)?.is_some())
    }

    fn difference_of(
        &self,
        number: usize,
        bytes: u64,
        fingerprint: &Checksum,
        stop: &AtomicBool,
    ) -> Result<Option<String>, PrepareError> {
        let record = SourceRecord {
            name: String::new(),
            bytes,
            rows: 0,
            bad_rows: 0,
            replaced_rows: 0,
            text_bytes: 0,
            fingerprint: fingerprint.clone(),
        };
        Ok(self.inputs.change(number, &record, stop)?)
    }

    /// Begins the job or continues the same one; another one that has nothing done makes room.
    fn begin(&self) -> Result<(), PrepareError> {
        let path = self.out.join(JOB_FOLDER).join("job.json");
        let ours = self.described();
        if let Some(theirs) = read_json::<Value>(&path)? {
            match difference(&theirs, &ours) {
                None => return Ok(()),
                Some(difference) if !self.receipts.names()?.is_empty() => {
                    return Err(OtherJob { out: self.out.clone(), difference }.into());
                }
                Some(_) => self.workspace.end_job()?,
            }
        }
        Ok(write_json(&path, &ours)?)
    }

    /// Removes what any job of this kind left in the folder: the record first, so that no half result
    /// has one.
    fn remove_all(&self) -> Result<(), PrepareError> {
        remove_file_if_exists(&self.out.join(PREPARED_FILE))?;
        for folder in [DATA_FOLDER, DROPPED_FOLDER, HITS_FOLDER, JOB_FOLDER] {
            remove_folder_if_exists(&self.out.join(folder))?;
        }
        Ok(())
    }

    /// Forgets which files are done of those that changed since. A decision may depend on all files,
    /// so that one change undoes all.
    fn give_up_changed(&self, stop: &AtomicBool) -> Result<(), PrepareError> {
        for number in 0..self.files().len() {
            let Some(receipt) = self.receipt(number)? else { continue };
            self.inputs.learn(&receipt.known);
            if self.change(number, &receipt.file, stop)?.is_some() {
                self.receipts.forget_all()?;
                self.workspace.end_job()?;
                return self.begin();
            }
        }
        Ok(())
    }

    /// Returns the receipt of a file that is done.
    fn receipt(&self, number: usize) -> Result<Option<Receipt>, PrepareError> {
        let receipt: Option<Receipt> = self.receipts.read(&number.to_string())?;
        let whole = |receipt: &Receipt| {
            receipt.file.data.is_whole(&self.out) && receipt.file.dropped.is_whole(&self.out)
        };
        Ok(receipt.filter(whole))
    }

    /// Returns the places of the rows that are kept of a file, and of the log of the others.
    fn paths(&self, number: usize) -> (PathBuf, PathBuf) {
        let stem = &self.stems[number];
        let data = format!("{DATA_FOLDER}/{stem}.{}", ending(&self.files()[number]));
        (self.out.join(data), self.out.join(format!("{DROPPED_FOLDER}/{stem}.dropped.zst")))
    }

    /// Decides about the rows of all wanted files that are not done, and writes those that are kept.
    ///
    /// # Errors
    ///
    /// An input cannot be read, a row cannot be judged, the system refuses a write, or `stop` was set.
    pub fn write<D: Decide>(
        &self,
        decide: &D,
        wanted: impl Fn(usize) -> bool,
        threads: usize,
        progress: &Progress,
        stop: &AtomicBool,
    ) -> Result<(), PrepareError> {
        let mut todo = Vec::new();
        for number in (0..self.files().len()).filter(|number| wanted(*number)) {
            let bytes = self.files()[number].bytes;
            progress.input_bytes_all.fetch_add(bytes, Ordering::Relaxed);
            if self.receipt(number)?.is_some() {
                progress.input_bytes_before.fetch_add(bytes, Ordering::Relaxed);
            } else {
                todo.push(number);
            }
        }
        progress.begin("rows");
        let workers = (0..threads.max(1)).map(|_| decide.worker()).collect();
        std::thread::scope(|scope| {
            let parts = todo.iter().flat_map(|&number| {
                let opened = self.open_file(number, decide.needs_text()).and_then(|open| {
                    let state = decide.open(number, &open)?;
                    Ok((Arc::new(open), Arc::new(state)))
                });
                match opened {
                    Ok((open, state)) => tasks(scope, number, open, state, stop),
                    Err(wrong) => Box::new(std::iter::once(Err(wrong))),
                }
            });
            let mut file: Option<FileInWork> = None;
            let work = |worker: &mut D::Worker, task: Task<D::File>| {
                let open = task.open.clone();
                Ok((open, judge(decide, worker, &task, &self.settings.rows)?))
            };
            in_order(workers, parts, stop, work, |(open, piece): (Arc<OpenFile>, Piece)| {
                let mut current = match file.take() {
                    Some(current) => current,
                    None => self.begin_file(piece.file, &open)?,
                };
                let counts = &piece.counts;
                progress.add(piece.input_bytes, counts.rows, counts.kept);
                let ends = piece.ends_file;
                current.write(piece, open.path())?;
                if ends {
                    return self.end_file(current, stop);
                }
                file = Some(current);
                Ok(())
            })
        })
    }

    /// Opens a file, after a look at it by which a later change is noticed.
    pub(crate) fn open_file(
        &self,
        number: usize,
        needs_text: bool,
    ) -> Result<OpenFile, PrepareError> {
        self.inputs.see(number)?;
        OpenFile::open(&self.files()[number], &self.settings.rows.text_column, needs_text)
    }

    fn begin_file(&self, number: usize, open: &OpenFile) -> Result<FileInWork, PrepareError> {
        let (data, dropped) = self.paths(number);
        Ok(FileInWork {
            number,
            rows: RowWriter::create(open, &data)?,
            log: LogWriter::create(&dropped)?,
            counts: PieceCounts::default(),
            samples: Vec::new(),
            paths: (data, dropped),
        })
    }

    fn end_file(&self, file: FileInWork, stop: &AtomicBool) -> Result<(), PrepareError> {
        let (fingerprint, known) = self.inputs.content(file.number, stop)?;
        let source = &self.files()[file.number];
        let data: FileRecord = file.rows.finish(&self.out, &file.paths.0)?;
        let dropped = file.log.finish(&self.out, &file.paths.1)?;
        let prepared = PreparedFile {
            name: source.name.clone(),
            bytes: source.bytes,
            fingerprint,
            counts: file.counts.into(),
            data,
            dropped,
        };
        let receipt = Receipt { file: prepared, samples: file.samples, known };
        Ok(self.receipts.record(&file.number.to_string(), &receipt)?)
    }

    /// Makes the folder a result.
    ///
    /// # Errors
    ///
    /// A file is not done, an input was changed, or the system refuses a write.
    pub fn commit(self, more: Value, stop: &AtomicBool) -> Result<Prepared, PrepareError> {
        let mut files = Vec::new();
        let mut samples: Vec<DroppedSample> = Vec::new();
        for number in 0..self.files().len() {
            let changed = || PrepareError::Changed { path: self.files()[number].path.clone() };
            let receipt = self.receipt(number)?.ok_or_else(changed)?;
            self.inputs.learn(&receipt.known);
            if self.change(number, &receipt.file, stop)?.is_some() {
                return Err(changed());
            }
            add_samples(&mut samples, receipt.samples);
            files.push(receipt.file);
        }
        let settings = self.settings.settings.clone();
        let prepared = Prepared::new(self.settings.kind, settings, files, samples, more);
        self.workspace.keep_note(&self.inputs.note());
        prepared.write(&self.out)?;
        self.workspace.end_job()?;
        Ok(prepared)
    }
}

/// A file that is being written.
struct FileInWork {
    number: usize,
    rows: RowWriter,
    log: LogWriter,
    counts: PieceCounts,
    samples: Vec<DroppedSample>,
    paths: (PathBuf, PathBuf),
}

impl FileInWork {
    fn write(&mut self, piece: Piece, path: &Path) -> Result<(), PrepareError> {
        self.counts.add(&piece.counts);
        self.rows.write(&piece, path)?;
        self.log.write(&piece.log)?;
        add_samples(&mut self.samples, piece.samples);
        Ok(())
    }
}

/// Adds samples, of each reason the first few.
pub(crate) fn add_samples(samples: &mut Vec<DroppedSample>, more: Vec<DroppedSample>) {
    for sample in more {
        let there = samples.iter().filter(|other| other.reason == sample.reason).count();
        if there < MOST_SAMPLES {
            samples.push(sample);
        }
    }
}

/// Returns the first input that is a file of the result itself.
fn input_inside(out: &Path, files: &[SourceFile]) -> Option<PathBuf> {
    let folders =
        [DATA_FOLDER, DROPPED_FOLDER, HITS_FOLDER].map(|folder| out.join(folder).canonicalize());
    let inside = |path: &&PathBuf| {
        path.canonicalize()
            .is_ok_and(|path| folders.iter().flatten().any(|folder| path.starts_with(folder)))
    };
    files.iter().flat_map(SourceFile::paths).find(inside).cloned()
}
