//! Small files of a store that several runs write: one after the other.

use std::path::Path;
use std::time::{Duration, Instant};

use ratdata_schemas::{ArtifactError, StagedFile};

/// How long a run waits for another that writes the same small file, which takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// Creates a file that several runs may write at the same time: they write it one after the other.
///
/// All use one temporary name, so that a run that was killed leaves at most one file, and the next run
/// overwrites that.
pub(super) fn create(path: &Path) -> Result<StagedFile, ArtifactError> {
    let begun = Instant::now();
    loop {
        match StagedFile::create(path) {
            Err(ArtifactError::Busy { .. }) if begun.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(10));
            }
            made => return made,
        }
    }
}
