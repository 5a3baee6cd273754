//! What lies on disk: token bins, document indexes, manifests, artifact folders and layered config.
//!
//! An *artifact* is a folder, written once: its files are staged, checksummed and renamed, and
//! `manifest.json` is written last. [`Manifest`] says what is in it, [`BinSet`] reads the tokens
//! back through memory maps, [`ShardWriter`] writes them.

pub mod artifact;
pub mod bin;
pub mod bin_set;
pub mod checksum;
pub mod file_record;
pub mod held;
pub mod identity;
pub mod index;
pub mod known;
pub mod layered;
pub mod layouts;
pub mod manifest;
mod manifest_check;
mod mmap;
mod narrow;
pub mod payload;
pub mod plain_name;
pub mod refusal;
pub mod regular;
pub mod relative_path;
pub mod resting_place;
pub mod row_set;
pub mod run_event;
pub mod shard_writer;
pub mod tally;
pub mod token;
pub mod toml_place;

pub use artifact::{ArtifactError, DirLock, StagedFile, free_space};
pub use bin::{BinError, TokenBin, Tokens};
pub use bin_set::{BinSet, BinSetError, Shard};
pub use checksum::Checksum;
pub use file_record::FileRecord;
pub use held::{Held, HeldError};
pub use identity::{Identity, Sight};
pub use index::DocIndex;
pub use known::{Facts, Known};
pub use manifest::{
    BaseRecord, MAX_ROW_LEN, Manifest, ManifestError, PackCounts, PackRecord, PairsRecord,
    RowsRecord, ShardRecord, SourceRecord, Span, SplitRecord, TokenizerRecord,
};
pub use mmap::MappedFile;
pub use narrow::narrow;
pub use payload::{Carried, PayloadFile};
pub use plain_name::{NameError, PlainName};
pub use refusal::{refusal_hint, refusal_hint_in, tell_file_limit};
pub use regular::{open_regular, read_regular};
pub use relative_path::{PathError, RelativePath};
pub use resting_place::resting_place;
pub use row_set::{Row, RowSet, RowSetError};
pub use run_event::{Happening, RunEvent, RunOutcome};
pub use shard_writer::{ShardFiles, ShardWriter};
pub use tally::{TALLY_FILE, Tally, TallyFile};
pub use token::{Dtype, IGNORE_INDEX, TokenId};
pub use toml_place::{TomlPlace, TomlText};
