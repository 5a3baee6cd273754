//! Finds input files: paths, folders and patterns become a list in one fixed order.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use globset::GlobBuilder;

use super::error::SourceError;
use super::lines::Compression;

/// One file of documents, found but not opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// Where it lies; of plain texts, the folder or first file.
    pub path: PathBuf,
    /// Its name in manifests: relative to the input it was found by.
    pub name: String,
    /// Its name in shard files: no two inputs share one.
    pub stem: String,
    /// How it is read.
    pub kind: InputKind,
    /// Its size.
    pub bytes: u64,
}

/// A file and the name that it has by the input it was found by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FoundFile {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
}

/// A file that an estimate looks at.
#[derive(Clone, Debug)]
pub struct SampleFile {
    /// The file.
    pub file: SourceFile,
    /// How many files it stands for, itself included.
    pub files: usize,
    /// How many bytes those have on disk.
    pub bytes: u64,
}

impl From<SourceFile> for SampleFile {
    /// A file that stands for itself.
    fn from(file: SourceFile) -> Self {
        Self { files: 1, bytes: file.bytes, file }
    }
}

/// How a file is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InputKind {
    /// Apache Parquet.
    Parquet,
    /// One JSON object a line.
    Lines(Compression),
    /// Plain texts, one document each, read as one source so that a split has something to split.
    Texts(Vec<PathBuf>),
}

/// The endings of files and what they mean.
const ENDINGS: [(&str, Ending); 9] = [
    (".parquet", Ending::Parquet),
    (".jsonl", Ending::Lines(Compression::None)),
    (".ndjson", Ending::Lines(Compression::None)),
    (".jsonl.gz", Ending::Lines(Compression::Gzip)),
    (".json.gz", Ending::Lines(Compression::Gzip)),
    (".jsonl.zst", Ending::Lines(Compression::Zstd)),
    (".json.zst", Ending::Lines(Compression::Zstd)),
    (".txt", Ending::Text),
    (".md", Ending::Text),
];

#[derive(Clone, Copy)]
enum Ending {
    Parquet,
    Lines(Compression),
    Text,
}

/// Finds the files that `inputs` name, in the order of their names.
///
/// A folder stands for all files below it whose ending is known; a name with `*`, `?` or `[` is a
/// pattern, where `**` crosses folders.
///
/// # Errors
///
/// An input matches nothing, is of an unknown kind, is empty, or cannot be read.
pub fn find_inputs(inputs: &[String]) -> Result<Vec<SourceFile>, SourceError> {
    let mut found = Vec::new();
    for input in inputs {
        found.extend(find_files(input)?);
    }
    gather(found)
}

/// Finds the files that one input names.
pub(crate) fn find_files(input: &str) -> Result<Vec<FoundFile>, SourceError> {
    let mut found = Vec::new();
    find(input, &mut found)?;
    if found.is_empty() {
        return Err(SourceError::NoInput { pattern: input.to_owned() });
    }
    Ok(found)
}

/// Makes a list in one fixed order of the files that were found, each once, however many inputs
/// name it.
pub(crate) fn gather(mut found: Vec<FoundFile>) -> Result<Vec<SourceFile>, SourceError> {
    found.sort();
    let mut seen = HashSet::new();
    found.retain(|file| seen.insert(place_of(&file.path)));
    let mut files = Vec::new();
    let mut texts = Vec::new();
    for FoundFile { name, path } in found {
        let metadata =
            fs::metadata(&path).map_err(|source| SourceError::Io { path: path.clone(), source })?;
        let kind = match ending(&path) {
            Some((Ending::Parquet, _)) => InputKind::Parquet,
            Some((Ending::Lines(compression), _)) => InputKind::Lines(compression),
            Some((Ending::Text, _)) => {
                texts.push((path, metadata.len()));
                continue;
            }
            None => return Err(SourceError::UnknownKind { path }),
        };
        if metadata.len() == 0 {
            return Err(SourceError::Empty { path });
        }
        files.push(SourceFile { path, stem: String::new(), name, kind, bytes: metadata.len() });
    }
    if let Some((first, _)) = texts.first() {
        files.push(SourceFile {
            path: first.clone(),
            name: "texts".into(),
            stem: "texts".into(),
            bytes: texts.iter().map(|(_, bytes)| bytes).sum(),
            kind: InputKind::Texts(texts.into_iter().map(|(path, _)| path).collect()),
        });
    }
    name_shards(&mut files);
    Ok(files)
}

/// Returns where a file lies, by whatever way its folder was reached.
///
/// A link to a file stays a file of its own: caches link files of equal content to one.
fn place_of(path: &Path) -> PathBuf {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    match (folder.canonicalize(), path.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        _ => path.to_owned(),
    }
}

/// Adds every file that `input` stands for.
fn find(input: &str, found: &mut Vec<FoundFile>) -> Result<(), SourceError> {
    let path = Path::new(input);
    if path.is_dir() {
        return below(path, path, &mut |name, path| found.push(FoundFile { name, path }));
    }
    if path.exists() || !input.contains(['*', '?', '[']) {
        if path.exists() {
            let name = utf8(path, path.file_name().map(Path::new).unwrap_or(path))?;
            found.push(FoundFile { name, path: path.to_owned() });
        }
        return Ok(());
    }
    let glob = GlobBuilder::new(input)
        .literal_separator(true)
        .build()
        .map_err(|wrong| SourceError::Pattern { pattern: input.into(), reason: wrong.to_string() })?
        .compile_matcher();
    // The walk begins at the last folder before the first wildcard.
    let fixed = &input[..input.find(['*', '?', '[']).unwrap_or(0)];
    let root = fixed.rfind('/').map_or(Path::new("."), |slash| Path::new(&fixed[..=slash]));
    if !root.is_dir() {
        return Ok(());
    }
    let dot = !fixed.contains('/');
    below(root, root, &mut |name, path| {
        let shown = if dot { PathBuf::from(&name) } else { path.clone() };
        if glob.is_match(shown) {
            found.push(FoundFile { name, path });
        }
    })
}

fn below(
    root: &Path,
    folder: &Path,
    file: &mut dyn FnMut(String, PathBuf),
) -> Result<(), SourceError> {
    let io = |source| SourceError::Io { path: folder.to_owned(), source };
    for entry in fs::read_dir(folder).map_err(io)? {
        let path = entry.map_err(io)?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if hidden {
            continue;
        }
        if path.is_dir() {
            below(root, &path, file)?;
        } else if ending(&path).is_some() {
            let name = utf8(&path, path.strip_prefix(root).unwrap_or(&path))?;
            file(name, path);
        }
    }
    Ok(())
}

/// Returns the name of a file as a manifest says it: written otherwise it would name another.
fn utf8(path: &Path, name: &Path) -> Result<String, SourceError> {
    name.to_str().map(str::to_owned).ok_or_else(|| SourceError::NotUtf8 { path: path.to_owned() })
}

/// Returns what a file's ending means, and the name without it.
fn ending(path: &Path) -> Option<(Ending, String)> {
    let name = path.file_name()?.to_string_lossy().into_owned();
    let known = ENDINGS.iter().filter(|(ending, _)| name.to_ascii_lowercase().ends_with(ending));
    let (ending, kind) = known.max_by_key(|(ending, _)| ending.len())?;
    Some((*kind, name[..name.len() - ending.len()].to_owned()))
}

/// Returns whether a file of this name can be read.
pub(crate) fn is_readable(name: &str) -> bool {
    ending(Path::new(name)).is_some()
}

/// Returns whether a file of this name is a plain text.
pub(crate) fn is_text(name: &str) -> bool {
    matches!(ending(Path::new(name)), Some((Ending::Text, _)))
}

/// Names each file's shards by its stem, or by its whole relative name where stems repeat.
fn name_shards(files: &mut [SourceFile]) {
    let stems: Vec<String> = files
        .iter()
        .map(|file| match file.kind {
            InputKind::Texts(_) => file.stem.clone(),
            _ => ending(&file.path).map_or_else(|| file.name.clone(), |(_, stem)| stem),
        })
        .collect();
    let unique = stems.iter().collect::<HashSet<_>>().len() == stems.len();
    for (number, (file, stem)) in files.iter_mut().zip(stems).enumerate() {
        file.stem = if unique { stem } else { format!("{number:05}-{}", stem.replace('/', "-")) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(root: &Path, name: &str) -> PathBuf {
        use std::io::Write;
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::File::create(&path).unwrap().write_all(b"x").unwrap();
        path
    }

    fn names(files: &[SourceFile]) -> Vec<(&str, &str)> {
        files.iter().map(|file| (file.name.as_str(), file.stem.as_str())).collect()
    }

    #[test]
    fn a_folder_is_all_known_files_below_it_by_name() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b/2.parquet", "a/1.jsonl.gz", "c.unknown", ".hidden/3.parquet"] {
            touch(folder.path(), name);
        }

        let found = find_inputs(&[folder.path().display().to_string()]).unwrap();

        assert_eq!(names(&found), [("a/1.jsonl.gz", "1"), ("b/2.parquet", "2")]);
    }

    #[test]
    fn a_pattern_finds_what_it_matches() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["x/1.parquet", "y/1.parquet", "y/2.jsonl"] {
            touch(folder.path(), name);
        }

        let found = find_inputs(&[format!("{}/*/1.parquet", folder.path().display())]).unwrap();

        assert_eq!(names(&found), [("x/1.parquet", "00000-1"), ("y/1.parquet", "00001-1")]);
    }

    #[test]
    fn texts_are_one_source() {
        let folder = tempfile::tempdir().unwrap();
        let paths = [touch(folder.path(), "1.txt"), touch(folder.path(), "2.md")];

        let found = find_inputs(&[folder.path().display().to_string()]).unwrap();

        assert_eq!(names(&found), [("texts", "texts")]);
        assert_eq!(found[0].kind, InputKind::Texts(paths.to_vec()));
    }

    #[test]
    fn a_file_that_is_given_twice_is_read_once() {
        let folder = tempfile::tempdir().unwrap();
        touch(folder.path(), "a/1.jsonl");
        std::os::unix::fs::symlink(folder.path().join("a"), folder.path().join("b")).unwrap();
        let inputs = ["a/1.jsonl", "a", "a/*.jsonl", "b", "a/../a/1.jsonl"];

        let given = inputs.map(|input| folder.path().join(input).display().to_string());
        let found = find_inputs(&given).unwrap();

        assert_eq!(names(&found), [("1.jsonl", "1")]);
    }

    #[test]
    fn a_file_whose_name_is_not_utf8_is_refused_and_not_renamed() {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt;
        let folder = tempfile::tempdir().unwrap();
        for name in [&b"x\xfe.jsonl"[..], b"x\xff.jsonl"] {
            fs::File::create(folder.path().join(OsStr::from_bytes(name))).unwrap();
        }

        let refused = find_inputs(&[folder.path().display().to_string()]).unwrap_err();

        assert!(matches!(refused, SourceError::NotUtf8 { .. }), "{refused}");
    }

    #[test]
    fn what_matches_nothing_is_named() {
        let refused = find_inputs(&["no/such/*.parquet".into()]).unwrap_err();

        assert!(
            matches!(refused, SourceError::NoInput { pattern } if pattern == "no/such/*.parquet")
        );
    }
}
