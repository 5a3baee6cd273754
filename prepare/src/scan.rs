//! A pass over the texts of all files that only looks: what it finds is kept in files of the job until
//! another pass needs it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ratdata_schemas::recipe::OnBadRow;
use ratdata_schemas::{Checksum, Facts, JOB_FOLDER, Receipts, StagedFile, remove_file_if_exists};
use ratdata_tokenize::source::{Rows, Source};
use ratdata_tokenize::tokenizer::EncodeError;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::decide::RowSettings;
use crate::error::PrepareError;
use crate::job::Job;
use crate::pool::in_order;
use crate::prepared::PreparedFile;
use crate::progress::Progress;
use crate::rows::{Batch, OpenFile, Part, Task, arrays_of, tasks, text_of};
use crate::text_sizes::{TextSizes, kept_size, write_sizes};

/// Looks at texts, each by itself.
pub(crate) trait Scan: Sync {
    /// What a thread needs for itself.
    type Worker: Send;
    /// What is found in some rows.
    type Found: Default + Send;

    fn worker(&self) -> Self::Worker;

    /// Looks at the text of a row.
    ///
    /// # Errors
    ///
    /// The text cannot be encoded.
    fn look(
        &self,
        worker: &mut Self::Worker,
        row: u64,
        text: &str,
        found: &mut Self::Found,
    ) -> Result<(), EncodeError>;
}

/// Takes what was found in a file, in the order of its rows.
pub(crate) trait FileSink: Sized {
    type Found;
    /// What is recorded of a file that is done.
    type Record: Serialize + DeserializeOwned + Clone;

    fn take(&mut self, found: Self::Found) -> Result<(), PrepareError>;

    /// Ends the file, of which so many rows were read.
    fn finish(self) -> Result<Self::Record, PrepareError>;
}

/// What is known of a file that was looked at.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scanned<R> {
    /// How many rows it has.
    pub(crate) rows: u64,
    bytes: u64,
    fingerprint: Checksum,
    known: Facts,
    pub(crate) record: R,
}

impl Job {
    /// Returns the folder of what passes keep.
    pub(crate) fn kept_folder(&self) -> PathBuf {
        self.out.join(JOB_FOLDER).join("pass")
    }

    /// Returns the sizes of a file's texts, where a pass has kept them: of rows that are no table's.
    pub(crate) fn text_sizes(&self, number: usize) -> Result<Option<TextSizes>, PrepareError> {
        TextSizes::open(&self.sizes_path(number))
    }

    fn sizes_path(&self, number: usize) -> PathBuf {
        self.kept_folder().join(format!("{number}.sizes"))
    }

    fn scan_name(number: usize) -> String {
        format!("pass-{number}")
    }

    /// Returns what was found in a file, where it was looked at and is as it was.
    pub(crate) fn scanned<R: DeserializeOwned>(
        &self,
        number: usize,
        stop: &AtomicBool,
    ) -> Result<Option<Scanned<R>>, PrepareError> {
        let Some(scanned) = self.receipts.read::<Scanned<R>>(&Self::scan_name(number))? else {
            return Ok(None);
        };
        self.inputs.learn(&scanned.known);
        if self.changed(number, scanned.bytes, &scanned.fingerprint, stop)? {
            // Whatever was decided with it is of no use either.
            self.receipts.forget_all()?;
            Receipts::called(&self.out, "resolved").forget_all()?;
            return Ok(None);
        }
        Ok(Some(scanned))
    }

    /// Makes a file of a finished job one that was looked at.
    pub(crate) fn restore_pass(
        &self,
        number: usize,
        file: &PreparedFile,
        pass: &Value,
    ) -> Result<(), PrepareError> {
        let scanned = Scanned {
            rows: pass["rows"].as_u64().unwrap_or(0),
            bytes: file.bytes,
            fingerprint: file.fingerprint.clone(),
            known: self.inputs.facts(number),
            record: pass["record"].clone(),
        };
        Ok(self.receipts.record(&Self::scan_name(number), &scanned)?)
    }

    /// Looks at all wanted files that were not looked at; `sink` begins a file.
    pub(crate) fn scan<S: Scan, K: FileSink<Found = S::Found>>(
        &self,
        scan: &S,
        sink: impl Fn(usize) -> K,
        wanted: impl Fn(usize) -> bool,
        threads: usize,
        progress: &Progress,
        stop: &AtomicBool,
    ) -> Result<(), PrepareError> {
        progress.begin("texts");
        let mut todo = Vec::new();
        for number in (0..self.files().len()).filter(|number| wanted(*number)) {
            let bytes = self.files()[number].bytes;
            progress.input_bytes_all.fetch_add(bytes, Ordering::Relaxed);
            if self.scanned::<K::Record>(number, stop)?.is_some() {
                progress.input_bytes_before.fetch_add(bytes, Ordering::Relaxed);
            } else {
                todo.push(number);
            }
        }
        let workers = (0..threads.max(1)).map(|_| scan.worker()).collect();
        let rows = &self.settings.rows;
        std::thread::scope(|scope| {
            let parts = todo.iter().flat_map(|&number| match self.open_file(number, true) {
                Ok(open) => tasks(scope, number, Arc::new(open), Arc::new(()), stop),
                Err(wrong) => Box::new(std::iter::once(Err(wrong))),
            });
            let mut file: Option<InWork<K>> = None;
            let work = |worker: &mut S::Worker, task: Task<()>| look(scan, worker, &task, rows);
            in_order(workers, parts, stop, work, |looked: Looked<S::Found>| {
                let mut current = match file.take() {
                    Some(current) => current,
                    None => InWork { sink: sink(looked.file), sizes: None, rows: 0 },
                };
                progress.add(looked.input_bytes, looked.rows, 0);
                current.sink.take(looked.found)?;
                let sizes_path = self.sizes_path(looked.file);
                current.sizes = write_sizes(current.sizes, &sizes_path, &looked.sizes)?;
                current.rows += looked.rows;
                if looked.ends_file {
                    return self.end_scan(looked.file, current, stop);
                }
                file = Some(current);
                Ok(())
            })
        })
    }

    fn end_scan<K: FileSink>(
        &self,
        number: usize,
        file: InWork<K>,
        stop: &AtomicBool,
    ) -> Result<(), PrepareError> {
        let (fingerprint, known) = self.inputs.content(number, stop)?;
        let bytes = self.files()[number].bytes;
        match file.sizes {
            Some(sizes) => drop(sizes.commit()?),
            // What another pass has kept is of another file's rows.
            None => remove_file_if_exists(&self.sizes_path(number))?,
        }
        let record = file.sink.finish()?;
        let scanned = Scanned { rows: file.rows, bytes, fingerprint, known, record };
        Ok(self.receipts.record(&Self::scan_name(number), &scanned)?)
    }
}

/// A file that is looked at.
struct InWork<K> {
    sink: K,
    sizes: Option<StagedFile>,
    rows: u64,
}

/// What was found in a part of a file.
struct Looked<F> {
    file: usize,
    ends_file: bool,
    rows: u64,
    input_bytes: u64,
    /// The sizes of the texts, of rows that are no table's.
    sizes: Vec<u32>,
    found: F,
}

fn look<S: Scan>(
    scan: &S,
    worker: &mut S::Worker,
    task: &Task<()>,
    settings: &RowSettings,
) -> Result<Looked<S::Found>, PrepareError> {
    let mut looked = Looked {
        file: task.file,
        ends_file: matches!(task.part, Part::End),
        rows: 0,
        input_bytes: 0,
        sizes: Vec::new(),
        found: S::Found::default(),
    };
    let Some(source) = &task.open.source else { return Ok(looked) };
    match &task.part {
        Part::End => {}
        Part::Rows(rows) => {
            look_at(scan, worker, source, &task.open, rows, settings, &mut looked)?;
        }
        Part::Batch(batch) => {
            look_at_batch(scan, worker, &task.open, batch, settings, &mut looked)?;
        }
        Part::Group(group, _) => {
            let mut wrong = None;
            source.read_part(*group, &|| false, &mut |rows| {
                let done = look_at(scan, worker, source, &task.open, &rows, settings, &mut looked);
                wrong = done.err();
                wrong.is_none()
            })?;
            if let Some(wrong) = wrong {
                return Err(wrong);
            }
        }
    }
    Ok(looked)
}

fn look_at<S: Scan>(
    scan: &S,
    worker: &mut S::Worker,
    source: &Source,
    open: &OpenFile,
    rows: &Rows,
    settings: &RowSettings,
    looked: &mut Looked<S::Found>,
) -> Result<(), PrepareError> {
    looked.input_bytes += rows.input_bytes;
    for (row, cell) in (rows.first..).zip(&rows.cells) {
        looked.rows += 1;
        let read = source.text(cell, settings.on_bad_row.into());
        if cell.place().is_some() {
            looked.sizes.push(kept_size(read.as_ref().ok().map(|read| read.text.as_ref())));
        }
        match read {
            Ok(read) => {
                let done = scan.look(worker, row, &read.text, &mut looked.found);
                done.map_err(|wrong| refused(open, source.place(cell, row), wrong))?;
            }
            Err(bad) if settings.on_bad_row == OnBadRow::Skip || bad.is_empty() => {}
            Err(bad) => {
                return Err(PrepareError::Row {
                    path: open.file.path.clone(),
                    place: source.place(cell, row),
                    reason: bad.to_string(),
                });
            }
        }
    }
    Ok(())
}

/// Looks at the texts of a table that is read from its beginning to its end.
fn look_at_batch<S: Scan>(
    scan: &S,
    worker: &mut S::Worker,
    open: &OpenFile,
    batch: &Batch,
    settings: &RowSettings,
    looked: &mut Looked<S::Found>,
) -> Result<(), PrepareError> {
    looked.input_bytes += batch.input_bytes;
    let texts = arrays_of(&batch.rows, std::slice::from_ref(&settings.text_column));
    for (row, at) in (batch.first..).zip(0..batch.rows.num_rows()) {
        looked.rows += 1;
        match texts.first().and_then(|texts| text_of(texts.as_ref(), at)) {
            Some(text) => {
                let done = scan.look(worker, row, text, &mut looked.found);
                done.map_err(|wrong| refused(open, format!("row {row}"), wrong))?;
            }
            None if settings.on_bad_row == OnBadRow::Skip => {}
            None => {
                return Err(PrepareError::Row {
                    path: open.file.path.clone(),
                    place: format!("row {row}"),
                    reason: "the text is null".to_owned(),
                });
            }
        }
    }
    Ok(())
}

fn refused(open: &OpenFile, place: String, source: EncodeError) -> PrepareError {
    PrepareError::Encode { path: open.file.path.clone(), place, source }
}
