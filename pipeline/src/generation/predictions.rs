//! A file of predictions: written in order when all are there, resumed after a kill until then.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use ratdata_schemas::{
    ArtifactError, Checksum, DirLock, JOB_FOLDER, StagedFile, remove_file_if_exists,
    remove_folder_if_exists, write_json,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The file of predictions of a job that is not done, in the order of their ends.
const JOURNAL: &str = "predictions.jsonl";

/// The record of a job that is done: it is written last.
const RECORD: &str = "generation.json";

/// A folder that gets predictions.
pub(super) struct Predictions {
    out: PathBuf,
    name: String,
    recipe: Value,
    done: BTreeMap<usize, String>,
    journal: File,
    _lock: DirLock,
}

/// What a folder has.
pub(super) enum Begun {
    /// All predictions of this recipe.
    Done,
    /// Predictions of another recipe.
    Other,
    /// None or some of them.
    Open(Predictions),
}

/// A line of the journal.
#[derive(Serialize, Deserialize)]
struct Entry {
    row: usize,
    line: String,
}

/// What is known of the predictions of a folder.
#[derive(Serialize, Deserialize)]
struct Record {
    recipe: Value,
    file: String,
    rows: usize,
    blake3: Checksum,
}

impl Predictions {
    /// Opens a folder for the file `NAME.jsonl`; `recipe` is everything that decides its bytes.
    pub(super) fn begin(
        out: &Path,
        name: &str,
        recipe: Value,
        force: bool,
    ) -> Result<Begun, ArtifactError> {
        let lock = DirLock::take(out)?;
        let (job, record) = (out.join(JOB_FOLDER), out.join(RECORD));
        if let Ok(text) = fs::read(&record)
            && !force
        {
            return Ok(match serde_json::from_slice::<Record>(&text) {
                Ok(found) if found.recipe == recipe && found.is_whole(out) => Begun::Done,
                Ok(found) if found.recipe == recipe => {
                    remove_file_if_exists(&record)?;
                    Self::open(out, name, recipe, lock).map(Begun::Open)?
                }
                _ => Begun::Other,
            });
        }
        if force {
            remove_file_if_exists(&record)?;
            remove_folder_if_exists(&job)?;
        }
        Self::open(out, name, recipe, lock).map(Begun::Open)
    }

    fn open(out: &Path, name: &str, recipe: Value, lock: DirLock) -> Result<Self, ArtifactError> {
        let job = out.join(JOB_FOLDER);
        fs::create_dir_all(&job).map_err(ArtifactError::io(&job))?;
        let path = job.join(JOURNAL);
        let done = read_journal(&path, &recipe);
        // The journal is written again, without a line that a kill has cut.
        let mut staged = StagedFile::create(&path)?;
        staged.write(json_line(&recipe).as_bytes())?;
        for (&row, line) in &done {
            staged.write(json_line(&Entry { row, line: line.clone() }).as_bytes())?;
        }
        staged.commit()?;
        let journal = File::options().append(true).open(&path).map_err(ArtifactError::io(&path))?;
        let (out, name) = (out.to_owned(), name.to_owned());
        Ok(Self { out, name, recipe, done, journal, _lock: lock })
    }

    /// Returns whether a row is done.
    pub(super) fn has(&self, row: usize) -> bool {
        self.done.contains_key(&row)
    }

    /// Returns how many rows are done.
    pub(super) fn len(&self) -> usize {
        self.done.len()
    }

    /// Adds the line of a row.
    pub(super) fn add(&mut self, row: usize, line: String) -> Result<(), ArtifactError> {
        let entry = Entry { row, line };
        let text = json_line(&entry);
        let path = self.out.join(JOB_FOLDER).join(JOURNAL);
        self.journal.write_all(text.as_bytes()).map_err(ArtifactError::io(&path))?;
        self.done.insert(row, entry.line);
        Ok(())
    }

    /// Writes the file in the order of the rows, and returns it.
    pub(super) fn finish(self) -> Result<PathBuf, ArtifactError> {
        let name = format!("{}.jsonl", self.name);
        let path = self.out.join(&name);
        let mut file = StagedFile::create(&path)?;
        for line in self.done.values() {
            file.write(line.as_bytes())?;
            file.write(b"\n")?;
        }
        let (_, blake3) = file.commit()?;
        let record = Record { recipe: self.recipe, file: name, rows: self.done.len(), blake3 };
        write_json(&self.out.join(RECORD), &record)?;
        remove_folder_if_exists(&self.out.join(JOB_FOLDER))?;
        Ok(path)
    }
}

/// Reads what an earlier attempt has done; a last line that a kill has cut is left out.
fn read_journal(path: &Path, recipe: &Value) -> BTreeMap<usize, String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let mut lines = text.lines();
    let of_recipe = |line: &str| serde_json::from_str::<Value>(line).is_ok_and(|x| x == *recipe);
    if !lines.next().is_some_and(of_recipe) {
        return BTreeMap::new();
    }
    let entries = lines.map_while(|line| serde_json::from_str::<Entry>(line).ok());
    entries.map(|entry| (entry.row, entry.line)).collect()
}

/// Returns a value as JSON on a line; values of texts and numbers always have one.
fn json_line<T: Serialize>(value: &T) -> String {
    let mut text = serde_json::to_string(value).unwrap_or_default();
    text.push('\n');
    text
}

impl Record {
    /// Returns whether the file is there, with the bytes that were written.
    fn is_whole(&self, out: &Path) -> bool {
        fs::read(out.join(&self.file)).is_ok_and(|bytes| Checksum::of(&bytes) == self.blake3)
    }
}
