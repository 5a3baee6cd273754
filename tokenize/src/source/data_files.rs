//! Finds out from the name of a file whether it holds documents, and how they are read.
//!
//! One rule serves folders on disk and data sets of the hub. What a folder has next to its data
//! (cards, licences, notes of programs) is no document; a file that is named on the command line is
//! always read.

use std::path::Path;

use super::csv::Separator;
use super::streams::Compression;

/// How a file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Apache Parquet.
    Parquet,
    /// Arrow's IPC format.
    Arrow(Compression),
    /// One JSON object a line, or one array of objects.
    Lines(Compression),
    /// Separated values.
    Csv(Compression, Separator),
    /// An archive of files of lines.
    Tar(Compression),
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

/// The endings without those of compression, which only parquet does without.
const KINDS: [Ending; 10] = [
    (".arrow", Format::Arrow(Compression::None), true),
    (".arrows", Format::Arrow(Compression::None), true),
    (".jsonl", Format::Lines(Compression::None), true),
    (".ndjson", Format::Lines(Compression::None), true),
    (".csv", Format::Csv(Compression::None, Separator::Comma), true),
    (".tsv", Format::Csv(Compression::None, Separator::Tab), true),
    (".tar", Format::Tar(Compression::None), true),
    (".txt", Format::Text(Compression::None), true),
    // In a folder the one is a card, and the other mostly settings.
    (".md", Format::Text(Compression::None), false),
    (".json", Format::Lines(Compression::None), false),
];

/// The endings of compression; in a folder, what is compressed is no card and no settings.
const COMPRESSED: [(&str, Compression); 2] =
    [(".gz", Compression::Gzip), (".zst", Compression::Zstd)];

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

/// Returns whether a file is what `datasets` keeps next to a data set: results of functions, and choices of rows.
fn is_cache_of_datasets(name: &str) -> bool {
    name.strip_suffix(".arrow").is_some_and(|stem| {
        stem.starts_with("cache-") || stem == "indices" || stem.ends_with("-indices")
    })
}

fn is_hidden(name: &str) -> bool {
    name.starts_with('.')
}

/// Returns whether a file is about the data, or a program's own.
fn is_about(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let is = |names: &[&str]| names.contains(&lower.as_str());
    if is(&OWN_FILES)
        || is_cache_of_datasets(&lower)
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
    is_about && matches!(ending(name), None | Some((_, Format::Text(_), _) | (_, _, false)))
}

/// Returns the length of a name's ending, how such a file is read, and whether it is data in a folder.
fn ending(name: &str) -> Option<(usize, Format, bool)> {
    let lower = name.to_ascii_lowercase();
    if let Some(short) = lower.strip_suffix(".tgz") {
        return Some((name.len() - short.len(), Format::Tar(Compression::Gzip), true));
    }
    if let Some(short) = lower.strip_suffix(".parquet") {
        return Some((name.len() - short.len(), Format::Parquet, true));
    }
    let packed =
        COMPRESSED.iter().find_map(|(ending, how)| Some((lower.strip_suffix(ending)?, how)));
    let (plain, compression) = packed.unwrap_or((lower.as_str(), &Compression::None));
    let (short, kind, is_data) = KINDS
        .iter()
        .find_map(|(ending, kind, is_data)| Some((plain.strip_suffix(ending)?, kind, is_data)))?;
    let (is_packed, compression) = (packed.is_some(), *compression);
    let format = match kind {
        Format::Parquet => Format::Parquet,
        Format::Arrow(_) => Format::Arrow(compression),
        Format::Lines(_) => Format::Lines(compression),
        Format::Csv(_, separator) => Format::Csv(compression, *separator),
        Format::Tar(_) => Format::Tar(compression),
        // A card is never compressed.
        Format::Text(_) if is_packed && !is_data => return None,
        Format::Text(_) => Format::Text(compression),
    };
    Some((name.len() - short.len(), format, is_packed || *is_data))
}

/// Returns how a file of this name is read, where it is named by itself, and its name without the
/// ending.
pub(crate) fn format_of(name: &str) -> Option<(Format, &str)> {
    let (len, format, _) = ending(name)?;
    Some((format, &name[..name.len() - len]))
}

/// Returns the name of a file without the ending that says how it is read.
pub fn without_ending(name: &str) -> &str {
    format_of(name).map_or(name, |(_, stem)| stem)
}

/// Returns whether a pattern names this file's kind by its ending, as `*.md` does.
pub(crate) fn names_ending(pattern: &str, name: &str) -> bool {
    ending(name).is_some_and(|(len, _, _)| {
        let ending = &name[name.len() - len..];
        pattern.to_ascii_lowercase().ends_with(&ending.to_ascii_lowercase())
    })
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
                "license.csv",
                "a.csv",
                "a.TSV.gz",
                "train/data-00000-of-00002.arrow",
                "a.arrows",
                "a.tar",
                "a.tar.zst",
                "a.tgz",
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
                "train/cache-9d1f1a7a1b2c3d4e.arrow",
                "indices.arrow",
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
        are(
            Role::Unknown,
            &["a.xlsx", "a.json", "a.parquet.gz", "a.gz", "a", "a.bin", "jsonl", "a.md.gz"],
        );
    }

    #[test]
    fn a_file_that_is_named_is_read_by_its_ending() {
        assert_eq!(format_of("README.md"), Some((Format::Text(Compression::None), "README")));
        assert_eq!(format_of("a.json"), Some((Format::Lines(Compression::None), "a")));
        assert_eq!(format_of("a.b.jsonl.gz"), Some((Format::Lines(Compression::Gzip), "a.b")));
        assert_eq!(format_of("a.tgz"), Some((Format::Tar(Compression::Gzip), "a")));
        assert_eq!(
            format_of("a.tsv.zst"),
            Some((Format::Csv(Compression::Zstd, Separator::Tab), "a"))
        );
        assert_eq!(format_of("a.xlsx"), None);
        assert_eq!(without_ending("x.y.json.gz"), "x.y");
        assert!(names_ending("d/*.md", "README.md") && !names_ending("d/*", "README.md"));
    }
}
