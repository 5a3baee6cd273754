//! Writes the splits of an artifact in another layout.

use ratdata_schemas::{DirLock, SplitRecord};

use super::arrow::{export_arrow, export_splits};
use super::bins::export_bins;
use super::error::TranscodeError;
use super::export_files::{Export, ExportedFile};
use super::export_job::{ExportJob, ExportLayout};
use super::megatron_sft::export_megatron_sft;
use super::note::JobNote;
use super::rows::{export_pairs, export_rows};

/// What an export has made; it is an export in work until it is [finished](Exported::finish).
pub(crate) struct Exported {
    /// The files, in the order of the splits.
    pub(crate) files: Vec<ExportedFile>,
    note: JobNote,
    _lock: DirLock,
}

impl Exported {
    /// Ends the export: from here on its files are somebody's, and are not made again.
    ///
    /// # Errors
    ///
    /// The note of the job cannot be removed.
    pub(crate) fn finish(self) -> Result<(), TranscodeError> {
        self.note.clear()
    }
}

/// Writes the splits of an artifact in another layout, each into its own folder. An export that was
/// stopped continues.
///
/// # Errors
///
/// The artifact cannot be read, the layout cannot hold it, or a file cannot be written.
pub(crate) fn export(job: &ExportJob<'_>, splits: &[String]) -> Result<Exported, TranscodeError> {
    job.check_eos()?;
    job.check_folders(splits)?;
    let described = job.described(splits)?;
    let lock = DirLock::take(job.out)?;
    let note = JobNote::open(job.out, &described, job.force)?;
    let mut files = Vec::new();
    let export = Export { job, note: &note };
    let written =
        splits.iter().try_for_each(|split| export_split(&export, split, &mut files)).and_then(
            |()| match job.to {
                // The list of the splits comes last: without it, the folder is no data set.
                ExportLayout::Arrow => export
                    .part("all splits", &mut files, |files| export_splits(&export, splits, files)),
                _ => Ok(()),
            },
        );
    match written {
        Ok(()) => Ok(Exported { files, note, _lock: lock }),
        Err(wrong) => {
            note.clear_unused()?;
            Err(wrong)
        }
    }
}

/// Makes the files of one split.
fn export_split(
    export: &Export<'_>,
    split: &str,
    files: &mut Vec<ExportedFile>,
) -> Result<(), TranscodeError> {
    let to = export.job.to;
    match export.job.manifest.splits.get(split) {
        Some(_) if to == ExportLayout::Arrow => {
            export.part(split, files, |files| export_arrow(export, split, files))
        }
        Some(SplitRecord::Pack(_) | SplitRecord::Rows(_)) if to == ExportLayout::MegatronSft => {
            export.part(split, files, |files| export_megatron_sft(export, split, files))
        }
        Some(SplitRecord::Pairs(_)) if to == ExportLayout::MegatronSft => {
            Err(TranscodeError::NotPacked { split: split.into(), layout: to.name() })
        }
        Some(SplitRecord::Shards { .. })
            if matches!(to, ExportLayout::MegatronSft | ExportLayout::Npz) =>
        {
            Err(TranscodeError::StreamsInRows { split: split.into(), layout: to.name() })
        }
        Some(SplitRecord::Pairs(pairs)) => {
            export.part(split, files, |files| export_pairs(export, split, pairs, files))
        }
        Some(SplitRecord::Pack(_) | SplitRecord::Rows(_)) => {
            export.part(split, files, |files| export_rows(export, split, files))
        }
        // A split that is not there is told with those that are.
        Some(SplitRecord::Shards { .. }) | None => export_bins(export, split, files),
    }
}
