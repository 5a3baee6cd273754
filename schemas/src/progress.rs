//! The progress of a step: one line of JSON in a file, which the executor of the step reads.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// The environment variable that names the file. Where it is not set, progress is not reported.
pub const PROGRESS_FILE: &str = "RATDATA_PROGRESS";

/// The width of the line: a shorter line that replaces a longer one covers all of it.
const LINE: usize = 128;

/// How much of a step is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepProgress {
    /// How many units are done.
    pub done: u64,
    /// How many there are, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// What is counted, such as `rows`; sizes are shown of `bytes`.
    #[serde(default)]
    pub unit: String,
}

/// The file in which the process of a step reports its progress.
#[derive(Debug)]
pub struct ProgressFile {
    file: File,
}

impl ProgressFile {
    /// Opens the file that the environment names; none where it names none, or one that cannot be
    /// written: that is no reason for a step to fail.
    pub fn of_environment() -> Option<Self> {
        Self::create(Path::new(&std::env::var_os(PROGRESS_FILE)?)).ok()
    }

    /// Makes the file, for progress that nothing was reported of yet.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub fn create(path: &Path) -> io::Result<Self> {
        let file = File::options().create(true).write(true).truncate(true).open(path)?;
        Ok(Self { file })
    }

    /// Tells how far the step is, in place of what was told before.
    pub fn tell(&self, done: u64, total: Option<u64>, unit: &str) {
        let progress = StepProgress { done, total, unit: unit.to_owned() };
        let line = serde_json::to_string(&progress).unwrap_or_default();
        // A full disk stops the step itself; a line that is not there is shown as none.
        drop(self.file.write_all_at(format!("{line:<LINE$}\n").as_bytes(), 0));
    }
}

impl StepProgress {
    /// Reads what was last told; none where nothing was.
    pub fn read(path: &Path) -> Option<Self> {
        serde_json::from_str(fs::read_to_string(path).ok()?.lines().next()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_last_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.progress");
        let file = ProgressFile::create(&path).unwrap();

        assert_eq!(StepProgress::read(&path), None);
        file.tell(1_000_000, Some(2_000_000), "bytes");
        file.tell(7, None, "rows");

        let told = StepProgress { done: 7, total: None, unit: "rows".into() };
        assert_eq!(StepProgress::read(&path), Some(told));
    }

    #[test]
    fn a_program_may_tell_its_count_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.progress");
        io::Write::write_all(&mut File::create(&path).unwrap(), b"{\"done\": 3}").unwrap();

        let told = StepProgress { done: 3, total: None, unit: String::new() };
        assert_eq!(StepProgress::read(&path), Some(told));
    }
}
