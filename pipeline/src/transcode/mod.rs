//! From our artifacts to the layouts of other tools, from those to artifacts, and from several
//! artifacts to one.
//!
//! The layouts themselves are read and written by `ratdata_schemas::layouts`; here files are found,
//! carried and named. Payloads that are the same in both are linked, or copied by the system.

mod arrow;
mod bins;
mod error;
mod export;
mod export_files;
mod export_job;
mod foreign_file;
mod foreign_rows;
mod import;
mod import_rows;
mod lists;
mod megatron_sft;
mod merge;
mod note;
mod npz;
mod row_arrays;
mod rows;
mod sequences;
mod sink;
mod stored_array;
mod text;

pub(crate) use error::TranscodeError;
pub(crate) use export::{Exported, export};
pub(crate) use export_files::ExportedFile;
pub(crate) use export_job::{ExportJob, ExportLayout};
pub(crate) use import::{Documents, ImportJob, companions, import};
pub(crate) use merge::{MergeJob, merge};
