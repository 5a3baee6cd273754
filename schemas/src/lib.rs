//! What lies on disk: token bins, document indexes, manifests, artifact folders and layered config.
//!
//! An *artifact* is a folder, written once: its files are staged, checksummed and renamed, and
//! `manifest.json` is written last. [`Manifest`] says what is in it, [`BinSet`] reads the tokens
//! back through memory maps, [`ShardWriter`] writes them.
//!
//! ```
//! use ratdata_schemas::{BinSet, Dtype, ShardFiles, ShardWriter, Tokens};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let folder = tempfile::tempdir()?;
//! let mut writer = ShardWriter::create(ShardFiles { root: folder.path(), stem: "tiny" })?;
//! // Two documents, of two tokens and of three.
//! writer.append(Tokens::U16(&[1, 2, 3, 4, 5]), &[2, 3])?;
//! let record = writer.finish(None)?;
//! assert_eq!((record.documents, record.tokens), (2, 5));
//!
//! let bins = BinSet::open_bin(&folder.path().join("tiny.bin"), Dtype::U16)?;
//! let mut third = [0];
//! assert!(bins.copy_tokens(2, &mut third));
//! assert_eq!(third, [3]);
//! let index = bins.shards()[0].index().ok_or("no index")?;
//! assert_eq!(index.range(1), Some(2..5));
//! # Ok(())
//! # }
//! ```
//!
//! Each name has one path: that of this crate. Only the layouts of other tools, layered
//! configuration and the drawing of rows have modules of their own.

mod artifact;
mod artifact_error;
mod artifact_input;
mod bin;
mod bin_error;
mod bin_set;
mod checksum;
pub mod draw;
mod file_record;
mod folders_above;
mod generation;
mod identity;
mod index;
mod known;
pub mod layered;
pub mod layouts;
mod manifest;
mod manifest_check;
mod merged_input;
mod mmap;
mod narrow;
mod payload;
mod plain_name;
mod progress;
pub mod recipe;
mod records;
mod refusal;
mod regular;
mod relative_path;
mod removal;
mod resting_place;
mod row_set;
mod run_event;
mod shard_writer;
mod token;
mod toml_place;
mod windows;
mod workspace;

pub use artifact::{DirLock, StagedFile, free_space, sync_folder_of};
pub use artifact_error::ArtifactError;
pub use artifact_input::{ArtifactInput, ArtifactInputError};
pub use bin::{TokenBin, Tokens};
pub use bin_error::BinError;
pub use bin_set::{BinSet, BinSetError, Shard, manifest_checksum};
pub use checksum::Checksum;
pub use file_record::FileRecord;
pub use folders_above::FoldersAbove;
pub use generation::{
    EndReason, GenerationAsk, GenerationEvent, GenerationRequest, Sampling, TokenLogprob,
    WantedLogprobs,
};
pub use identity::{FileState, Identity};
pub use index::DocIndex;
pub use known::{Facts, Known, TOUCHED};
pub use manifest::{FORMAT_VERSION, MANIFEST_FILE, Manifest, ManifestError};
pub use merged_input::merged_input;
pub use mmap::MappedFile;
pub use narrow::narrow;
pub use payload::{Carried, PayloadFile, carry, carry_unless};
pub use plain_name::{NameError, PlainName};
pub use progress::{PROGRESS_FILE, ProgressFile, StepProgress};
pub use records::{
    BaseRecord, MAX_ROW_LEN, PackCounts, PackRecord, PairsRecord, RowsRecord, Semantics,
    ShardRecord, SourceRecord, Span, SplitRecord, TokenizerRecord,
};
pub use refusal::{refusal_hint, refusal_hint_in, tell_file_limit};
pub use regular::{open_regular, read_regular};
pub use relative_path::{PathError, RelativePath};
pub use removal::{remove_file_if_exists, remove_folder_if_empty, remove_folder_if_exists};
pub use resting_place::resting_place;
pub use row_set::{Row, RowSet, RowSetError};
pub use run_event::{RunEvent, RunEventKind, RunOutcome};
pub use shard_writer::{ShardFiles, ShardWriter};
pub use token::{Dtype, IGNORE_INDEX, TokenId};
pub use toml_place::{TomlPlace, TomlText};
pub use windows::{Windows, fits_in_memory};
pub use workspace::{
    ArtifactJob, Finished, JOB_FOLDER, Opened, OtherJob, Receipts, Workspace, difference,
    read_json, write_bytes, write_json,
};
