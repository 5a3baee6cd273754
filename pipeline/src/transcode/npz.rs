//! Writes `NumPy`'s `.npz`: a zip archive of `.npy` files, which are stored as they are.

use std::io::{self, Write};

use ratdata_schemas::layouts::npy;
use zip::write::{SimpleFileOptions, StreamWriter};
use zip::{CompressionMethod, ZipWriter};

use super::error::TranscodeError;
use super::export_files::{ExportedFile, NewFile};
use super::sink::{Failed, Sink, taken};

/// From so many bytes on, an entry of a zip archive needs wider numbers.
const LARGE: u64 = (1 << 32) - (1 << 20);

/// An `.npz` file while it is written.
pub(super) struct NpzFile {
    zip: ZipWriter<StreamWriter<Sink>>,
    failed: Failed,
}

impl NpzFile {
    pub(super) fn new(file: NewFile) -> Self {
        let sink = Sink::new(file);
        Self { failed: sink.failed.clone(), zip: ZipWriter::new_stream(sink) }
    }

    /// Begins an array of so many bytes, which follow.
    pub(super) fn begin(
        &mut self,
        name: &str,
        descr: &str,
        shape: &[u64],
        bytes: u64,
    ) -> Result<(), TranscodeError> {
        // The same arrays give the same bytes: the time of an entry is that of no clock.
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(zip::DateTime::default())
            .large_file(bytes >= LARGE);
        let begun = self.zip.start_file(format!("{name}.npy"), options);
        begun.map_err(|wrong| self.wrong(&wrong))?;
        self.write(&npy::header(descr, shape))
    }

    /// Writes bytes of the array that was begun.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), TranscodeError> {
        self.write_with(|zip| zip.write_all(bytes))
    }

    /// Has bytes of the array written.
    pub(super) fn write_with(
        &mut self,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), TranscodeError> {
        write(&mut self.zip).map_err(|wrong| self.wrong(&wrong))
    }

    pub(super) fn finish(self, files: &mut Vec<ExportedFile>) -> Result<(), TranscodeError> {
        let Self { zip, failed } = self;
        let stream = zip.finish().map_err(|wrong| {
            taken(&failed).unwrap_or_else(|| TranscodeError::Table { reason: wrong.to_string() })
        })?;
        stream.into_inner().file.commit(None, files)
    }

    fn wrong(&self, wrong: &dyn std::error::Error) -> TranscodeError {
        taken(&self.failed).unwrap_or_else(|| TranscodeError::Table { reason: wrong.to_string() })
    }
}
