//! A file of an export as the writers of other crates take it, which know no errors of ours.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use super::error::TranscodeError;
use super::export_files::NewFile;

/// Why a write failed, where one did.
pub(super) type Failed = Arc<Mutex<Option<TranscodeError>>>;

/// A file that is written to by another crate.
pub(super) struct Sink {
    pub(super) file: NewFile,
    pub(super) failed: Failed,
}

impl Sink {
    pub(super) fn new(file: NewFile) -> Self {
        Self { file, failed: Failed::default() }
    }
}

/// Returns why a write failed.
pub(super) fn taken(failed: &Failed) -> Option<TranscodeError> {
    failed.lock().unwrap_or_else(PoisonError::into_inner).take()
}

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.file.write(bytes) {
            Ok(()) => Ok(bytes.len()),
            Err(wrong) => {
                *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(wrong);
                Err(io::Error::other("the file cannot be written"))
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
