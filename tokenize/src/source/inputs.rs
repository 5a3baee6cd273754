//! Finds input files: paths, folders and patterns become a list in one fixed order.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use ratdata_objects::{Address, Object};
use ratdata_schemas::recipe::SplitFiles;

use super::csv::Separator;
use super::data_files::{Format, format};
use super::error::SourceError;
use super::foreign::{check, check_kind};
use super::found::{FoundFile, placed};
use super::input_file::InputFile;
use super::objects::find_objects;
use super::saved_dataset::of_saved;
use super::sift::{Found, LeftOut, Sifted};
use super::streams::Compression;
use super::tar::Members;
use super::walk::{FilePattern, below, utf8};

/// One file of documents, found but not opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// Its path; of plain texts, the folder or first file.
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

impl SourceFile {
    /// Returns the paths of its files: one, or those of all plain texts.
    pub fn paths(&self) -> &[PathBuf] {
        match &self.kind {
            InputKind::Texts(paths) => paths,
            _ => std::slice::from_ref(&self.path),
        }
    }
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
    /// Arrow's IPC format, a file or a stream.
    Arrow(Compression),
    /// One JSON object a line, or one array of objects.
    Lines(Compression),
    /// Separated values.
    Csv(Compression, Separator),
    /// An archive of files of lines.
    Tar(Compression, Members),
    /// Plain texts, one document each, read as one source so that a split has something to split.
    Texts(Vec<PathBuf>),
}

impl InputKind {
    /// Returns whether the file is a table, whose columns have types.
    pub fn is_table(&self) -> bool {
        matches!(self, Self::Parquet | Self::Arrow(_))
    }
}

/// Finds the files that `inputs` name, in the order of their names, whatever split they are of.
///
/// A folder stands for all data files below it; a name with `*`, `?` or `[` is a pattern, where `**`
/// crosses folders.
///
/// # Errors
///
/// An input matches nothing, is of an unknown kind, is empty, or cannot be read.
pub fn find_inputs(inputs: &[String]) -> Result<Vec<SourceFile>, SourceError> {
    let mut found = Vec::new();
    for input in inputs {
        found.extend(find_files(input, SplitFiles::All)?.files);
    }
    gather(found)
}

/// Makes a list in one fixed order of the files that were found, each once, however many inputs
/// name it.
pub(crate) fn gather(mut found: Vec<FoundFile>) -> Result<Vec<SourceFile>, SourceError> {
    found.sort_by(|one, other| (&one.name, &one.path).cmp(&(&other.name, &other.path)));
    let mut seen = HashSet::new();
    found.retain(|file| seen.insert(place_of(&file.path)));
    let mut files = Vec::new();
    let mut texts = Vec::new();
    for FoundFile { name, path, members } in found {
        let bytes = bytes_of(&path)?;
        let kind = match format(&path) {
            Some((Format::Parquet, _)) => InputKind::Parquet,
            Some((Format::Arrow(compression), _)) => InputKind::Arrow(compression),
            Some((Format::Lines(compression), _)) => InputKind::Lines(compression),
            Some((Format::Csv(compression, separator), _)) => {
                InputKind::Csv(compression, separator)
            }
            Some((Format::Tar(compression), _)) => InputKind::Tar(compression, members),
            Some((Format::Text(_), _)) => {
                texts.push((path, bytes));
                continue;
            }
            None => {
                // Whatever it is called, a pointer is no data.
                check(&InputFile::find(&path)?)?;
                return Err(SourceError::UnknownKind { path });
            }
        };
        if bytes == 0 {
            return Err(SourceError::Empty { path });
        }
        files.push(SourceFile { path, stem: String::new(), name, kind, bytes });
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

/// Returns the size of a file on disk or of an object, and refuses what is no file.
fn bytes_of(path: &Path) -> Result<u64, SourceError> {
    if let Some(address) = Address::of_path(path) {
        return Ok(Object::open(&address)?.state().bytes);
    }
    let metadata = fs::metadata(path).map_err(SourceError::reading(path))?;
    check_kind(path, &metadata)?;
    Ok(metadata.len())
}

/// Returns the path of a file, whichever way its folder was reached.
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

/// Finds the files that one input names, on disk or in an object store; those of a folder by their split.
pub(crate) fn find_files(input: &str, take: SplitFiles) -> Result<Found<FoundFile>, SourceError> {
    if let Some(address) = Address::read(input)? {
        return find_objects(input, &address, take);
    }
    if input == "-" {
        return Err(SourceError::Stdin);
    }
    let path = Path::new(input);
    let none = || SourceError::NoInput { pattern: input.to_owned() };
    if path.is_dir() {
        let files = of_saved(below(path, None)?)?;
        let sifted = Sifted::folder(files, take).checked(input, take)?;
        return Ok(placed(sifted, take));
    }
    if path.exists() || !input.contains(['*', '?', '[']) {
        let last = path.file_name().filter(|_| path.exists()).ok_or_else(none)?;
        let name = utf8(path, Path::new(last))?;
        let files = vec![FoundFile::new(name, path.to_owned(), take)];
        return Ok(Found { files, left: LeftOut::default() });
    }
    let pattern = FilePattern::new(input)?;
    let root = &pattern.root;
    if !root.is_dir() {
        return Err(none());
    }
    let files = below(root, Some(&pattern))?.into_iter().filter(|file| pattern.matches(file));
    let sifted = Sifted::pattern(files, input);
    if sifted.taken.is_empty() {
        // A pattern that matches nothing that is read may well be a wrong one.
        let unknown = sifted.left().unknown.first().map(|name| root.join(name));
        return Err(unknown.map_or_else(none, |path| SourceError::UnknownKind { path }));
    }
    Ok(placed(sifted, take))
}

/// Names each file's shards by its stem, or by its whole relative name where stems repeat.
fn name_shards(files: &mut [SourceFile]) {
    let stems: Vec<String> = files
        .iter()
        .map(|file| match file.kind {
            InputKind::Texts(_) => file.stem.clone(),
            _ => format(&file.path).map_or_else(|| file.name.clone(), |(_, stem)| stem),
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
        let paths = [touch(folder.path(), "1.txt"), touch(folder.path(), "2.txt.gz")];

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

    fn named(found: &Found<FoundFile>) -> Vec<&str> {
        found.files.iter().map(|file| file.name.as_str()).collect()
    }

    #[test]
    fn a_folder_is_its_train_files_unless_others_are_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("test_root");
        for name in ["train.jsonl", "data/web.jsonl", "val/1.jsonl", "data/test-0.parquet"] {
            touch(&root, name);
        }
        let root = root.display().to_string();
        let find = |take| find_files(&root, take).unwrap();

        let train = find(SplitFiles::Train);

        assert_eq!(named(&train), ["data/web.jsonl", "train.jsonl"]);
        assert_eq!(train.left.other_splits, ["data/test-0.parquet", "val/1.jsonl"]);
        assert_eq!(named(&find(SplitFiles::Validation)), ["val/1.jsonl"]);
        assert_eq!(named(&find(SplitFiles::Test)), ["data/test-0.parquet"]);
        assert_eq!(named(&find(SplitFiles::All)).len(), 4);
        for named_by in ["val/1.jsonl", "val/*.jsonl", "val"] {
            let input = format!("{root}/{named_by}");
            let asked = find_files(&input, SplitFiles::Train).unwrap();
            assert_eq!(named(&asked), ["1.jsonl"], "{named_by}");
        }
    }

    #[test]
    fn a_folder_without_a_file_to_take_says_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let refused = |take| {
            let input = folder.path().display().to_string();
            find_files(&input, take).unwrap_err().to_string()
        };

        assert!(refused(SplitFiles::Train).contains("found no file; expected .parquet"));
        touch(folder.path(), "README.md");
        touch(folder.path(), "a.xlsx");
        let told = refused(SplitFiles::Train);
        assert!(told.contains("found 1 file (`a.xlsx`), and 1 that stand next to data"), "{told}");
        touch(folder.path(), "test.jsonl");
        let told = refused(SplitFiles::Train);
        assert!(told.contains("is taken as training data: found 1 file (`test.jsonl`)"), "{told}");
        let told = refused(SplitFiles::Validation);
        assert!(told.contains("is taken as validation data"), "{told}");
    }

    #[test]
    fn a_pattern_takes_data_and_what_it_names_by_its_ending() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.txt", "README.md", "b.xlsx", "test.json", ".c.md"] {
            touch(folder.path(), name);
        }
        let find = |pattern: &str| {
            find_files(&format!("{}/{pattern}", folder.path().display()), SplitFiles::Train)
        };

        let all = find("*").unwrap();

        assert_eq!((named(&all), all.left.unknown.len()), (vec!["a.txt"], 2));
        assert_eq!(named(&find("*.md").unwrap()), ["README.md"]);
        assert_eq!(named(&find("*.json").unwrap()), ["test.json"]);
        assert!(matches!(find("*.xlsx"), Err(SourceError::UnknownKind { .. })));
        assert!(matches!(find("*.gz"), Err(SourceError::NoInput { .. })));
    }

    #[test]
    fn what_is_no_file_on_disk_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("a.jsonl");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());

        for input in [&pipe.display().to_string(), "/dev/null"] {
            let refused = find_inputs(&[input.to_owned()]).unwrap_err();
            assert!(matches!(refused, SourceError::NoFile { .. }), "{input}: {refused}");
        }
    }
}
