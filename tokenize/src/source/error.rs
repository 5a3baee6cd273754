//! Why documents could not be read.

use std::io;
use std::path::{Path, PathBuf};

use ratdata_objects::{AddressError, ObjectError};
use thiserror::Error;

use super::store_failure::store_failure;

/// An error of finding or reading documents.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The operating system refused the file.
    #[error("{}: cannot read: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// An object store cannot be read.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// Standard input was named where a file is asked for.
    #[error(
        "`-`: standard input is read once, and this command reads files at several places at once"
    )]
    Stdin,
    /// The file was changed between two looks at it.
    #[error("{}: this input was changed while it was read", .path.display())]
    Touched {
        /// The file.
        path: PathBuf,
    },
    /// Nothing is there by that name.
    #[error(
        "`{pattern}`: no input matched; expected a file, a folder or a pattern of tables, JSON lines or text files"
    )]
    NoInput {
        /// What was given.
        pattern: String,
    },
    /// A pattern is malformed.
    #[error("`{pattern}`: not a pattern: {reason}")]
    Pattern {
        /// What was given.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Links between folders make more paths than anybody has data in.
    #[error("{}: more than {most} folders below it", .path.display())]
    TooManyFolders {
        /// The folder.
        path: PathBuf,
        /// How many an input may have.
        most: usize,
    },
    /// A folder in which nothing is data.
    #[error("`{input}`: nothing here is data: found {}; expected {DATA}", there(.about, .unknown))]
    NoData {
        /// The folder.
        input: String,
        /// How many files are not data: hidden ones, cards, notes of programs.
        about: usize,
        /// The files of unknown kinds.
        unknown: Vec<String>,
    },
    /// A folder of which every file is of a split that was not asked for.
    #[error("`{input}`: no file of it is taken as {wanted}: found {}", files(.found))]
    NoSplit {
        /// The folder.
        input: String,
        /// What was asked for.
        wanted: &'static str,
        /// The data files there are.
        found: Vec<String>,
    },
    /// Something that is no file on disk.
    #[error("{}: {found}, expected a file on disk, which is read at several places at once", .path.display())]
    NoFile {
        /// Its path.
        path: PathBuf,
        /// What it is.
        found: &'static str,
    },
    /// What Git leaves in the place of a large file.
    #[error("{}: a pointer of Git LFS, not the file that it stands for", .path.display())]
    Pointer {
        /// The file.
        path: PathBuf,
    },
    /// A page of a web server.
    #[error("{}: an HTML or XML page, as servers send it instead of a file, and no data", .path.display())]
    Page {
        /// The file.
        path: PathBuf,
    },
    /// A file of lines that is one object.
    #[error("{}: one JSON object over several lines, expected an object a line or one array of objects", .path.display())]
    OneObject {
        /// The file.
        path: PathBuf,
    },
    /// An archive with a member that is not read.
    #[error("{}: member `{member}`: {found}, expected .jsonl or .ndjson (plain, .gz or .zst)", .path.display())]
    Member {
        /// The archive.
        path: PathBuf,
        /// The name of the member.
        member: String,
        /// What it is.
        found: &'static str,
    },
    /// An archive that is read as training data and has a held-out file in it.
    #[error("{}: member `{member}` is {split} data by its name, and the archive is read as training data", .path.display())]
    HeldOutMember {
        /// The archive.
        path: PathBuf,
        /// The name of the member.
        member: String,
        /// The split that its name says.
        split: &'static str,
    },
    /// A data set that `datasets` saved, of which a file is not there.
    #[error("{}: names `{missing}`, which is not there", .path.display())]
    NotWhole {
        /// The file that lists the others.
        path: PathBuf,
        /// What it lists.
        missing: String,
    },
    /// A data set that `datasets` saved, of which some rows were chosen.
    #[error("{}: the data set is a choice of rows of its files (`_indices_data_files`), which is not read", .path.display())]
    Chosen {
        /// The file that says so.
        path: PathBuf,
    },
    /// A file of lines in another encoding.
    #[error("{}: text in {found} by its first bytes, expected UTF-8", .path.display())]
    Encoding {
        /// The file.
        path: PathBuf,
        /// The encoding.
        found: &'static str,
    },
    /// A compressed file that looks back too far.
    #[error("{}: the Zstandard frame asks for a larger window than 2 GiB, or than this machine has memory for: {reason}", .path.display())]
    Window {
        /// The file.
        path: PathBuf,
        /// What the decoder said.
        reason: String,
    },
    /// A column that is there more than once.
    #[error("{}: {count} columns are called `{column}`; expected one", .path.display())]
    DoubledColumn {
        /// The file.
        path: PathBuf,
        /// Their name.
        column: String,
        /// How many there are.
        count: usize,
    },
    /// The user stopped the reading.
    #[error("interrupted")]
    Stopped,
    /// A file of a kind that is not read.
    #[error("{}: unknown kind of file; expected {DATA}", .path.display())]
    UnknownKind {
        /// The file.
        path: PathBuf,
    },
    /// A file without a byte.
    #[error("{}: the file is empty", .path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A file whose name no manifest can say.
    #[error("{}: the name is not UTF-8, and manifests name their sources", .path.display())]
    NotUtf8 {
        /// The file.
        path: PathBuf,
    },
    /// A file that is cut or damaged.
    #[error("{}: damaged at {place}: {reason}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where in it.
        place: String,
        /// What the reader said.
        reason: String,
    },
    /// The text column is missing.
    #[error("{}: no column `{column}`; the columns are: {}", .path.display(), .present.join(", "))]
    NoColumn {
        /// The file.
        path: PathBuf,
        /// The column that was asked for.
        column: String,
        /// The columns there are.
        present: Vec<String>,
    },
    /// The text column holds something else.
    #[error("{}: column `{column}` holds {found}, expected text", .path.display())]
    ColumnType {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// What it holds.
        found: String,
    },
}

/// The kinds of files that are data.
const DATA: &str =
    ".parquet, or (each plain, .gz or .zst) .arrow, .jsonl, .ndjson, .csv, .tsv, .txt or .tar";

impl From<AddressError> for SourceError {
    fn from(wrong: AddressError) -> Self {
        Self::Object(wrong.into())
    }
}

impl SourceError {
    /// Returns what makes a failed read an error of its file, or of its store, for `map_err`.
    pub fn reading(path: &Path) -> impl Fn(io::Error) -> Self + '_ {
        |source| match store_failure(&source) {
            Some(wrong) => Self::Object(wrong.clone()),
            None => Self::Io { path: path.to_owned(), source },
        }
    }

    /// Tells that a file is damaged, unless its store could not be read.
    pub fn damaged(
        path: &Path,
        place: impl Into<String>,
        wrong: &(dyn std::error::Error + 'static),
    ) -> Self {
        if let Some(wrong) = store_failure(wrong) {
            return Self::Object(wrong.clone());
        }
        let (path, reason) = (path.to_owned(), wrong.to_string());
        Self::Damaged { path, place: place.into(), reason }
    }

    /// Returns what the user can do about it, where there is something to do.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Object(wrong) => wrong.hint(),
            Self::NoColumn { .. } | Self::ColumnType { .. } => {
                Some("name the column that holds the text with `--text-column`")
            }
            Self::Damaged { .. } => Some("the file was cut or changed; fetch or write it again"),
            Self::Empty { .. } => Some("remove the file from the input, or fetch it again"),
            Self::NoInput { .. } => {
                Some("is the path right? quote patterns, so that the shell leaves them alone")
            }
            Self::NotUtf8 { .. } => Some("rename the file, or keep it out of the input"),
            Self::UnknownKind { .. } => {
                Some("rename it to end as its kind does, or keep it out of the input")
            }
            Self::Pattern { .. } => Some(
                "write `[[]` for a `[` that stands for itself, and quote patterns, so that the shell leaves them alone",
            ),
            Self::TooManyFolders { .. } => {
                Some("name a folder further down; are there links from folder to folder?")
            }
            Self::Touched { .. } => {
                Some("let what writes it end, then give the same command again")
            }
            Self::NoData { .. } => Some(
                "name a text or JSON lines file by itself to read it whatever its folder holds, or write its data in one of these kinds",
            ),
            Self::NoSplit { .. } => Some(
                "name the files that you want, or take them with `--split-files all`, `train`, `validation` or `test`",
            ),
            Self::Stdin | Self::NoFile { .. } => {
                Some("write what comes from there to a file first")
            }
            Self::Pointer { .. } => Some("`git lfs pull` fetches the file itself"),
            Self::Page { .. } => {
                Some("open it to see what the server said, and fetch the file again")
            }
            Self::OneObject { .. } => Some(
                "`jq -c '.data[]' FILE > FILE.jsonl` writes the objects of its field `data`, one a line",
            ),
            Self::Member { .. } => Some("pack the archive without it, or unpack it into a folder"),
            Self::HeldOutMember { .. } => Some(
                "pack the archive without it, or read all that is in it with `--split-files all`",
            ),
            Self::NotWhole { .. } => Some("fetch the folder again, or save the data set again"),
            Self::Chosen { .. } => Some(
                "`load_from_disk(FOLDER).flatten_indices().save_to_disk(OTHER)` writes the rows",
            ),
            Self::Encoding { .. } => Some("`iconv -f UTF-16 -t UTF-8 FILE` writes it in UTF-8"),
            Self::Window { .. } => {
                Some("compress it again with `zstd --long=31` or less, or free some memory")
            }
            Self::DoubledColumn { .. } => Some("rename one of them, or take it out of the file"),
            Self::Io { .. } | Self::Stopped => None,
        }
    }

    /// Returns whether the user stopped the reading.
    pub fn is_stop(&self) -> bool {
        match self {
            Self::Stopped | Self::Object(ObjectError::Interrupted) => true,
            Self::Io { source, .. } => source.kind() == io::ErrorKind::Interrupted,
            _ => false,
        }
    }
}

/// Returns what a folder without data has.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "`thiserror` calls it so")]
fn there(about: &usize, unknown: &[String]) -> String {
    match (about, unknown) {
        (0, []) => "no file".into(),
        (about, []) => {
            format!("{about} files that stand next to data (cards, notes, hidden files)")
        }
        (0, unknown) => files(unknown),
        (about, unknown) => format!("{}, and {about} that stand next to data", files(unknown)),
    }
}

/// Returns how many files there are, and the first of their names.
fn files(names: &[String]) -> String {
    let shown = names.iter().take(3).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    match names {
        [_] => format!("1 file ({shown})"),
        few if few.len() <= 3 => format!("{} files ({shown})", names.len()),
        _ => format!("{} files ({shown}, …)", names.len()),
    }
}
