//! What an export or import leaves in its folder until it is done, so that the same command continues
//! after a kill or a full disk, and replaces its own files and no others.
//!
//! ```text
//! OUT/.job/job.json    what is made of what; another job's folder is refused
//! OUT/.job/files.jsonl a line for each file before it is made, and for each part that is whole
//! ```

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ratdata_schemas::{
    ArtifactError, Carried, JOB_FOLDER, RelativePath, difference, read_regular,
    remove_file_if_exists, remove_folder_if_exists, write_json,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::TranscodeError;

const JOB: &str = "job.json";
const FILES: &str = "files.jsonl";

/// One line of the note.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
enum NoteLine {
    /// This file is about to be made.
    Begun(RelativePath),
    /// All files of this part are whole.
    Done { part: String, files: Vec<FileNote> },
}

/// A file that is whole.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileNote {
    pub(super) path: RelativePath,
    pub(super) bytes: u64,
    pub(super) carried: Option<Carried>,
}

/// The note of one job; the folder is locked by who has it.
#[derive(Debug)]
pub(crate) struct JobNote {
    out: PathBuf,
    /// What earlier runs of the same job have begun, and what of it is whole.
    begun: HashSet<RelativePath>,
    done: HashMap<String, Vec<FileNote>>,
    now: Mutex<Now>,
}

/// What this run has begun.
#[derive(Debug)]
struct Now {
    begun: HashSet<RelativePath>,
    lines: File,
}

impl JobNote {
    /// Begins a job, or continues the same one; `job` is all that decides its files.
    ///
    /// # Errors
    ///
    /// The folder holds what another job has begun, unless `force`; or the system refuses.
    pub(super) fn open(out: &Path, job: &Value, force: bool) -> Result<Self, TranscodeError> {
        let folder = out.join(JOB_FOLDER);
        if force {
            remove_folder_if_exists(&folder)?;
        } else {
            check_same(out, &folder, job)?;
        }
        let there = is_begun(out, job)?;
        if !there {
            write_json(&folder.join(JOB), job)?;
        }
        let path = folder.join(FILES);
        let text = read(&path)?.filter(|_| there).unwrap_or_default();
        let io = |source| ArtifactError::Io { path: path.clone(), source };
        let mut lines = File::options().create(true).append(true).open(&path).map_err(io)?;
        if !there {
            lines.set_len(0).map_err(io)?;
        } else if !text.ends_with(b"\n") && !text.is_empty() {
            // A line that was cut off counts for nothing, and the next is one of its own.
            lines.write_all(b"\n").map_err(io)?;
        }
        let (mut begun, mut done) = (HashSet::new(), HashMap::new());
        for line in text.split(|&byte| byte == b'\n') {
            match serde_json::from_slice(line) {
                Ok(NoteLine::Begun(path)) => {
                    begun.insert(path);
                }
                Ok(NoteLine::Done { part, files }) => {
                    done.insert(part, files);
                }
                Err(_) => {}
            }
        }
        let now = Mutex::new(Now { begun: HashSet::new(), lines });
        Ok(Self { out: out.to_owned(), begun, done, now })
    }

    /// Returns the place of a file that this job makes, which is free or the job's own.
    ///
    /// # Errors
    ///
    /// A file of somebody else is there, unless `force`; or this run has made it already.
    pub(super) fn begin(&self, name: RelativePath, force: bool) -> Result<PathBuf, TranscodeError> {
        let path = name.below(&self.out);
        let own = self.begun.contains(&name);
        if !own && !force && path.symlink_metadata().is_ok() {
            return Err(TranscodeError::Exists { path });
        }
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        if now.begun.contains(&name) {
            return Err(TranscodeError::SameName { path });
        }
        if !own {
            write(&mut now.lines, &self.out, &NoteLine::Begun(name.clone()))?;
        }
        now.begun.insert(name);
        Ok(path)
    }

    /// Returns the files of a part that an earlier run has made whole and that are still there.
    pub(super) fn whole(&self, part: &str) -> Option<&[FileNote]> {
        let files = self.done.get(part)?;
        let is_whole = |file: &FileNote| {
            let metadata = file.path.below(&self.out).symlink_metadata();
            metadata.is_ok_and(|found| found.is_file() && found.len() == file.bytes)
        };
        if !files.iter().all(is_whole) {
            return None;
        }
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        now.begun.extend(files.iter().map(|file| file.path.clone()));
        Some(files)
    }

    /// Records that a part is whole.
    pub(super) fn finish_part(
        &self,
        part: &str,
        files: Vec<FileNote>,
    ) -> Result<(), TranscodeError> {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        write(&mut now.lines, &self.out, &NoteLine::Done { part: part.to_owned(), files })
    }

    /// Removes all files that this job has begun, in this run and earlier ones, and forgets it.
    pub(super) fn take_back(self) -> Result<(), TranscodeError> {
        let now = self.now.into_inner().unwrap_or_else(PoisonError::into_inner);
        for name in self.begun.union(&now.begun) {
            let path = name.below(&self.out);
            remove_file_if_exists(&path)?;
        }
        forget(&self.out)
    }

    /// Forgets the job where it has begun no file, as when it was refused at once.
    pub(super) fn clear_unused(self) -> Result<(), TranscodeError> {
        let now = self.now.into_inner().unwrap_or_else(PoisonError::into_inner);
        if self.begun.is_empty() && now.begun.is_empty() { forget(&self.out) } else { Ok(()) }
    }

    /// Forgets the job: its files are whole.
    pub(crate) fn clear(self) -> Result<(), TranscodeError> {
        forget(&self.out)
    }
}

/// Returns whether a folder holds the note of this very job.
pub(super) fn is_begun(out: &Path, job: &Value) -> Result<bool, TranscodeError> {
    let text = read(&out.join(JOB_FOLDER).join(JOB))?;
    Ok(text.and_then(|text| serde_json::from_slice::<Value>(&text).ok()).as_ref() == Some(job))
}

/// Refuses what another job has begun, whatever its command.
fn check_same(out: &Path, folder: &Path, job: &Value) -> Result<(), TranscodeError> {
    let other = |difference| Err(TranscodeError::OtherBegun { out: out.to_owned(), difference });
    for path in [folder, &folder.join(FILES)] {
        if path.is_symlink() {
            return other(format!("{} is a link", path.display()));
        }
    }
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let foreign = entries
        .map(|entry| entry.file_name())
        .find(|name| name.to_str().is_none_or(|name| name != FILES && !name.starts_with(JOB)));
    if let Some(name) = foreign {
        return other(format!("`{JOB_FOLDER}/{}`", name.display()));
    }
    let (text, lines) = (read(&folder.join(JOB))?, read(&folder.join(FILES))?);
    let lines = lines.unwrap_or_default();
    let begun = lines.split(|&byte| byte == b'\n');
    let begun = begun.map(serde_json::from_slice::<NoteLine>).any(|line| line.is_ok());
    // What has begun no file is in nobody's way: a wrong option, say, told after the note was made.
    let Some(text) = text.filter(|_| begun) else { return Ok(()) };
    match serde_json::from_slice::<Value>(&text) {
        Err(_) => other(format!("`{JOB_FOLDER}/{JOB}` is not a note of this program")),
        Ok(theirs) => difference(&theirs, job).map_or(Ok(()), other),
    }
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, TranscodeError> {
    match read_regular(path) {
        Ok(text) => Ok(Some(text)),
        Err(wrong) if wrong.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(wrong) => Err(TranscodeError::io(path)(wrong)),
    }
}

fn write(lines: &mut File, out: &Path, line: &NoteLine) -> Result<(), TranscodeError> {
    let io = |source| {
        let path = out.join(JOB_FOLDER).join(FILES);
        TranscodeError::from(ArtifactError::Io { path, source })
    };
    let mut text = serde_json::to_vec(line).map_err(|wrong| io(wrong.into()))?;
    text.push(b'\n');
    lines.write_all(&text).map_err(io)
}

/// Removes the note of a job; once its first file is gone, the job is over.
fn forget(out: &Path) -> Result<(), TranscodeError> {
    remove_file_if_exists(&out.join(JOB_FOLDER).join(JOB))?;
    Ok(remove_folder_if_exists(&out.join(JOB_FOLDER))?)
}

/// Removes what a kill has left of the note of a job that was over: its second file, without the first.
pub(super) fn sweep(out: &Path) -> Result<(), TranscodeError> {
    let folder = out.join(JOB_FOLDER);
    if folder.join(JOB).exists() || folder.is_symlink() {
        return Ok(());
    }
    let path = folder.join(FILES);
    match fs::remove_file(&path) {
        Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(ArtifactError::Io { path, source }.into()),
        // What else lies there is nobody's of ours.
        Ok(()) => fs::remove_dir(&folder).or(Ok(())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn name(text: &str) -> RelativePath {
        RelativePath::new(text).unwrap()
    }

    #[test]
    fn a_job_continues_with_its_own_files_and_no_others() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path();
        let job = json!({"export": "npy"});
        let first = JobNote::open(out, &job, false).unwrap();
        for file in ["a", "b"] {
            File::create(first.begin(name(file), false).unwrap()).unwrap();
        }
        let whole = FileNote { path: name("a"), bytes: 0, carried: None };
        first.finish_part("part", vec![whole]).unwrap();
        drop(first);
        File::create(out.join("theirs")).unwrap();

        let again = JobNote::open(out, &job, false).unwrap();

        assert_eq!(again.whole("part").unwrap().len(), 1);
        again.begin(name("b"), false).unwrap();
        let refused = again.begin(name("theirs"), false).unwrap_err();
        assert!(matches!(refused, TranscodeError::Exists { .. }), "{refused}");
        for twice in ["a", "b"] {
            let refused = again.begin(name(twice), true).unwrap_err();
            assert!(matches!(refused, TranscodeError::SameName { .. }), "{refused}");
        }
        let other = JobNote::open(out, &json!({"export": "olmo"}), false).unwrap_err();
        assert!(other.to_string().contains("export: \"npy\" -> \"olmo\""), "{other}");
        again.clear().unwrap();
        assert!(!out.join(JOB_FOLDER).exists());
    }

    #[test]
    fn a_job_that_has_begun_no_file_is_in_nobodys_way() {
        let folder = tempfile::tempdir().unwrap();
        drop(JobNote::open(folder.path(), &json!({"export": "npy"}), false).unwrap());

        let other = JobNote::open(folder.path(), &json!({"export": "olmo"}), false).unwrap();

        other.begin(name("a"), false).unwrap();
        assert!(JobNote::open(folder.path(), &json!({"export": "npy"}), false).is_err());
    }

    #[test]
    fn a_line_that_was_cut_off_counts_for_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (out, job) = (folder.path(), json!({}));
        JobNote::open(out, &job, false).unwrap().begin(name("a"), false).unwrap();
        let lines = out.join(JOB_FOLDER).join(FILES);
        File::options().append(true).open(&lines).unwrap().write_all(b"{\"beg").unwrap();

        JobNote::open(out, &job, false).unwrap().begin(name("b"), false).unwrap();
        let third = JobNote::open(out, &job, false).unwrap();

        assert_eq!(third.begun, HashSet::from([name("a"), name("b")]));
    }

    #[test]
    fn the_work_of_another_command_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join(JOB_FOLDER).join("done")).unwrap();

        let refused = JobNote::open(folder.path(), &json!({}), false).unwrap_err();

        assert!(refused.to_string().contains("`.job/done`"), "{refused}");
    }
}
