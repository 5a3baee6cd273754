//! Finds out from the name of a file whether it holds documents, and how they are read.
//!
//! One rule serves folders on disk and data sets of the hub. What a folder has next to its data
//! (cards, licences, notes of programs) is no document; a file that is named on the command line is
//! always read.

use std::path::Path;

use super::streams::Compression;

/// How a file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Apache Parquet.
    Parquet,
    /// One JSON object a line.
    Lines(Compression),
    /// One plain text.
    Text(Compression),
}

/// What a file of a folder is to a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Documents.
    Data,
    /// Not data: hidden, about the data, or a program's own.
    About,
    /// A kind of file that is not read.
    Unknown,
}

/// The ending of a name, how such a file is read, and whether it is data in a folder.
type Ending = (&'static str, Format, bool);

const ENDINGS: [Ending; 14] = [
    (".parquet", Format::Parquet, true),
    (".jsonl", Format::Lines(Compression::None), true),
    (".ndjson", Format::Lines(Compression::None), true),
    (".jsonl.gz", Format::Lines(Compression::Gzip), true),
    (".ndjson.gz", Format::Lines(Compression::Gzip), true),
    (".json.gz", Format::Lines(Compression::Gzip), true),
    (".jsonl.zst", Format::Lines(Compression::Zstd), true),
    (".ndjson.zst", Format::Lines(Compression::Zstd), true),
    (".json.zst", Format::Lines(Compression::Zstd), true),
    (".txt", Format::Text(Compression::None), true),
    (".txt.gz", Format::Text(Compression::Gzip), true),
    (".txt.zst", Format::Text(Compression::Zstd), true),
    // In a folder the one is a card, and the other mostly settings.
    (".md", Format::Text(Compression::None), false),
    (".json", Format::Lines(Compression::None), false),
];

/// Folders that programs keep for themselves; hidden ones are, too.
const OWN_FOLDERS: [&str; 4] = ["__MACOSX", "__pycache__", "_delta_log", "_temporary"];

/// Files that programs note something in.
const OWN_FILES: [&str; 9] = [
    "_success",
    "_metadata",
    "_common_metadata",
    "dataset_dict.json",
    "dataset_info.json",
    "dataset_infos.json",
    "manifest.json",
    "prepared.json",
    "state.json",
];

/// How the names of such files begin, where an id follows.
const OWN_BEGINNINGS: [&str; 2] = ["_committed_", "_started_"];

/// The endings of files that are about data.
const ABOUT_ENDINGS: [&str; 12] = [
    ".asc",
    ".crc",
    ".dropped.zst",
    ".hits.zst",
    ".idx",
    ".ipynb",
    ".md",
    ".md5",
    ".py",
    ".sha256",
    ".sha512",
    ".sig",
];

/// The names of texts about the data; the first three may have a suffix, as `LICENSE-MIT`.
const ABOUT: [&str; 13] = [
    "license",
    "licence",
    "readme",
    "checksum",
    "checksums",
    "citation",
    "copying",
    "md5sum",
    "md5sums",
    "notice",
    "sha256sum",
    "sha256sums",
    "sha512sums",
];

/// Returns what a file below a folder is; `path` begins below that folder.
pub(crate) fn role_of(path: &str) -> Role {
    let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
    if is_hidden(name) || folders.split('/').any(is_own_folder) || is_about(name) {
        return Role::About;
    }
    match ending(name) {
        Some((_, _, true)) => Role::Data,
        _ => Role::Unknown,
    }
}

/// Returns whether nothing below a folder of this name is looked at.
pub(crate) fn is_own_folder(name: &str) -> bool {
    is_hidden(name) || OWN_FOLDERS.contains(&name)
}

fn is_hidden(name: &str) -> bool {
    name.starts_with('.')
}

/// Returns whether a file is about the data, or a program's own.
fn is_about(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let is = |names: &[&str]| names.contains(&lower.as_str());
    if is(&OWN_FILES)
        || OWN_BEGINNINGS.iter().any(|beginning| lower.starts_with(beginning))
        || ABOUT_ENDINGS.iter().any(|ending| lower.ends_with(ending))
    {
        return true;
    }
    let stem = lower.split('.').next().unwrap_or(&lower);
    let has_suffix =
        |about: &&str| stem.strip_prefix(about).is_some_and(|rest| rest.starts_with(['-', '_']));
    let is_about = ABOUT.contains(&stem) || ABOUT[..3].iter().any(has_suffix);
    // Licences in a table are data.
    is_about && !matches!(ending(name), Some((_, Format::Parquet | Format::Lines(_), true)))
}

fn ending(name: &str) -> Option<Ending> {
    let lower = name.to_ascii_lowercase();
    let known = ENDINGS.iter().filter(|(ending, _, _)| lower.ends_with(ending));
    known.max_by_key(|(ending, _, _)| ending.len()).copied()
}

/// Returns how a file of this name is read, where it is named by itself, and its name without the
/// ending.
pub(crate) fn format_of(name: &str) -> Option<(Format, &str)> {
    let (ending, format, _) = ending(name)?;
    Some((format, &name[..name.len() - ending.len()]))
}

/// Returns whether a pattern names this file's kind by its ending, as `*.md` does.
pub(crate) fn names_ending(pattern: &str, name: &str) -> bool {
    ending(name).is_some_and(|(ending, _, _)| pattern.to_ascii_lowercase().ends_with(ending))
}

/// Returns whether a file of this name is a plain text.
pub(crate) fn is_text(name: &str) -> bool {
    matches!(ending(name), Some((_, Format::Text(_), _)))
}

/// Returns how a file is read, and its name without the ending.
pub(super) fn format(path: &Path) -> Option<(Format, String)> {
    let name = path.file_name()?.to_string_lossy().into_owned();
    let (format, stem) = format_of(&name)?;
    Some((format, stem.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn are(role: Role, paths: &[&str]) {
        for path in paths {
            assert_eq!(role_of(path), role, "{path}");
        }
    }

    #[test]
    fn tables_lines_and_texts_are_data() {
        are(
            Role::Data,
            &[
                "a.parquet",
                "A.JSONL",
                "x/y/a.json.gz",
                "a.ndjson.zst",
                "a.txt",
                "a.txt.gz",
                "b/c.d/a.txt.zst",
                "license-texts.jsonl",
                "readme.parquet",
                "noticeboard.txt",
                "_data.jsonl",
            ],
        );
    }

    #[test]
    fn files_about_the_data_are_no_data() {
        are(
            Role::About,
            &[
                "README.md",
                "x/readme.txt",
                "README_zh.txt",
                "card.md",
                "LICENSE",
                "LICENSE-MIT.txt",
                "NOTICE",
                "notice.txt",
                ".gitattributes",
                ".git/a.jsonl",
                "x/.cache/huggingface/a.parquet",
                ".ipynb_checkpoints/a.txt",
                "_SUCCESS",
                "_committed_123",
                "_started_456",
                "_metadata",
                "_common_metadata",
                "_delta_log/0.checkpoint.parquet",
                "__MACOSX/a.txt",
                ".a.parquet.crc",
                "a.parquet.crc",
                "dataset_infos.json",
                "dataset_dict.json",
                "train/state.json",
                "loader.py",
                "a.idx",
                "manifest.json",
                "checksums.txt",
                "SHA256SUMS",
                "sha256sums.txt",
                "a.jsonl.sha256",
            ],
        );
    }

    #[test]
    fn other_kinds_are_unknown() {
        are(Role::Unknown, &["a.csv", "a.json", "a.arrow", "a.gz", "a", "a.bin", "jsonl"]);
    }

    #[test]
    fn a_file_that_is_named_is_read_by_its_ending() {
        assert_eq!(format_of("README.md"), Some((Format::Text(Compression::None), "README")));
        assert_eq!(format_of("a.json"), Some((Format::Lines(Compression::None), "a")));
        assert_eq!(format_of("a.b.jsonl.gz"), Some((Format::Lines(Compression::Gzip), "a.b")));
        assert_eq!(format_of("a.csv"), None);
        assert!(names_ending("d/*.md", "README.md") && !names_ending("d/*", "README.md"));
    }
}
